"""Whatever the command line prints to: a reader that has left, a full disk, nothing, 40 columns, ASCII; odd names."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import tomli_w
from rich.table import Table
from tests.bench.desk import asked_in, bench

import posetalk
from posetalk.bench.answers.answer import answer_here
from posetalk.bench.report.table import _table as table_of_report
from posetalk.cli import main
from posetalk.cli.terminal import Stream, show
from posetalk.errors import PosetalkError, shown
from posetalk.messages import show_progress

ROOT = Path(__file__).parents[1]
SOURCE = str(Path(posetalk.__file__).parents[1])
ESC = "a\x1b[31mb\x9b\x07[/red]:smile:\u202e"
SHOWN = r"a\x1b[31mb\x9b\x07[/red]:smile:\u202e"
full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is always full is Linux's")


def toml(folder: Path, name: str, description: str) -> Path:
    """A skeleton of one keypoint."""
    point = {"name": name, "sentence": description}
    file = folder / "s.toml"
    file.write_text(tomli_w.dumps({"name": "s", "source": "s", "keypoint": [point]}), encoding="utf-8")
    return file


def shell(command: str, **environment: str) -> tuple[int, str, str]:
    """Exit code, output and errors of a shell's line, in which `posetalk` is the program."""
    line = f'posetalk() {{ "{sys.executable}" -m posetalk "$@"; }}; {command}'
    known = {key: value for key, value in os.environ.items() if key not in {"COLUMNS", "PYTHONIOENCODING"}}
    done = subprocess.run(
        ["bash", "-c", line],
        capture_output=True,
        env=known | {"PYTHONPATH": SOURCE} | environment,
        timeout=60,
    )
    return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")


@pytest.mark.parametrize("buffered", ["", "1"], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize("words", ["skeletons", "--help"])
def test_a_reader_that_has_left_ends_the_program_without_a_word(words: str, buffered: str) -> None:
    # the reader has gone before anything is written
    code, _, error = shell(f"posetalk {words} | true; exit ${{PIPESTATUS[0]}}", PYTHONUNBUFFERED=buffered)
    assert (code, error) == (141, "")


@full
@pytest.mark.parametrize("buffered", ["", "1"], ids=["buffered", "unbuffered"])
@pytest.mark.parametrize("words", ["skeletons", "--help"])
def test_a_full_disk_under_standard_output_is_one_sentence(words: str, buffered: str) -> None:
    code, _, error = shell(f"posetalk {words} >/dev/full", PYTHONUNBUFFERED=buffered)
    said = "posetalk: cannot write to standard output: No space left on device; send it to another place\n"
    assert (code, error) == (2, said)


@pytest.mark.parametrize(
    ("command", "code", "says"),
    [
        pytest.param("posetalk nonsense 2>/dev/full", 2, "", marks=full),
        ("posetalk skeletons >&-", 0, ""),
        ("posetalk nonsense 2>&-", 2, ""),
        ("posetalk skeletons <&- >/dev/null", 0, ""),
        ("HOME= TMPDIR=/nowhere posetalk skeletons >/dev/null", 0, ""),
        ("unset HOME; posetalk skeletons >/dev/null", 0, ""),
        ("cd $(mktemp -d) && rmdir $PWD && posetalk facts x.json", 2, "there is no file x.json"),
        (r"posetalk facts $'x\xff\e[31m.json'", 2, r"no file x\udcff\x1b[31m.json;"),
        (r"LC_ALL=C posetalk facts $'x\xff\u6f22.json'", 2, r"no file x\udcff"),
    ],
)  # fmt: skip
def test_other_ends(command: str, code: int, says: str) -> None:
    found, _, error = shell(command)
    assert found == code and "Traceback" not in error and "ignored" not in error
    assert says in error and error.count("\n") == bool(says)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_every_character_can_be_printed(encoding: str, tmp_path: Path) -> None:
    toml(tmp_path, "鼻 nose", "the tip – of it")
    code, out, error = shell(f"posetalk skeletons {tmp_path}/s.toml", PYTHONIOENCODING=encoding)
    assert (code, error) == (0, "") and r"\u9f3b" in out.replace("\n", "")
    code, _, error = shell(f"posetalk skeletons {tmp_path}/鼻", PYTHONIOENCODING=encoding)
    assert code == 2 and r"\u9f3b" in error


@pytest.mark.parametrize("columns", ["0", "1", "40"])
def test_help_fits_into_few_columns(columns: str) -> None:
    code, out, _ = shell("posetalk locate --help", COLUMNS=columns)
    assert code == 0 and max(map(len, out.splitlines())) <= max(20, int(columns))
    assert "--decoding" in out or columns != "40"


@pytest.mark.parametrize("columns", [20, 40, 80])
def test_a_table_keeps_its_numbers_in_few_columns(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    table = Table("person", "keypoint", "x px", "y px", "score", "visible")
    table.add_row("1", "a keypoint with a long name", "1397.9", "2338.7", "0.97", "yes")
    show(table)
    models = ["HuggingFaceTB/SmolLM2-135M-Instruct", "liuhaotian/llava-v1.5-7b"]
    report = table_of_report("Questions answered rightly", ["about", "n", "chance", *models])
    report.add_row("arms", "1,234", "0.500", *["0.123 (0.101 to 0.456)"] * 2)
    show(report)
    out = capsys.readouterr().out
    assert {"1397.9", "2338.7", "0.97", "1,234", "0.500", "0.123", "(0.101", "0.456)"} <= set(
        re.split(r"[\s┃│]+", out)
    )


def test_names_are_neither_markup_nor_commands_to_a_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = toml(tmp_path, f"{ESC}1", f"{ESC}2")
    with pytest.raises(SystemExit) as stop:
        main(["skeletons", str(file)])
    out = capsys.readouterr().out
    assert stop.value.code == 0 and "\x1b" not in out and "\x9b" not in out and "\u202e" not in out
    assert r"a\x1b[31mb\x9b\x07[/red]" in out and ":smile:" in out


@pytest.mark.parametrize(
    ("text", "right"),
    [
        (ESC, SHOWN),
        ("\udcff \ud800", r"\udcff \ud800"),
        ("a\tb\nc", "a\tb\nc"),
        ("\r\x00\x7f\u2028\u2066", r"\r\x00\x7f\u2028\u2066"),
        ("Zoë 漢字 👩‍👧 ‏ ab", "Zoë 漢字 👩‍👧 ‏ ab"),
    ],
)
def test_what_steers_a_terminal_is_shown(text: str, right: str) -> None:
    assert shown(text) == right and shown(right) == right


def test_a_stream_lets_progress_bars_pass_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    stream = Stream(sys.stdout, "standard output")
    for text in ("\r 5% |", "\x1b[A", "\x1b[31m", "a\rb", "\x1b[A\x1b[2J"):
        assert stream.write(text) == len(text)
    assert capsys.readouterr().out == "\r 5% |\x1b[A" + r"\x1b[31m" + r"a\rb" + r"\x1b[A\x1b[2J"


class OutOfMemory(RuntimeError):
    """As torch's."""


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (OSError(28, "No space left on device", "out.json"), "No space left on device (out.json)"),
        (OSError("image file is truncated"), "image file is truncated"),
        (PermissionError(13, "Permission denied", "a\x1bb"), r"Permission denied (a\x1bb)"),
        (MemoryError(), "not enough memory"),
        (OutOfMemory("DefaultCPUAllocator: can't allocate memory: 4 bytes"), "not enough memory"),
        (RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"), "No space left"),
        (RecursionError("maximum recursion depth exceeded"), "nested too deeply"),
        (ModuleNotFoundError("No module named 'torch'", name="torch"), "posetalk[model]"),
        (PosetalkError("two\nlines \udcff"), r"two lines \udcff"),
        (ValueError("a mistake"), None),
        (FileExistsError(17, "File exists"), "File exists"),
        (ModuleNotFoundError("No module named 'own'", name="own"), None),
    ],
)  # fmt: skip
def test_what_a_machine_cannot_do_is_one_sentence_and_a_mistake_keeps_its_traceback(
    error: Exception, says: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*words: object, **options: object) -> None:
        raise error

    monkeypatch.setattr("posetalk.cli.app", fail)
    with pytest.raises(SystemExit if says else type(error)) as stop:
        main([])
    if says:
        said = capsys.readouterr().err
        assert stop.value.code == 2 and says in said  # type: ignore[union-attr]
        assert said.startswith("posetalk: ") and said.count("\n") == 1


@full
def test_a_full_disk_under_a_command_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["locate", str(ROOT / "docs" / "images" / "card.png"), "--ask", "nose", "--json", "/dev/full"])
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert "No space left on device" in said and said.count("\n") == 1


def test_make_bench_ends_badly_where_a_part_does(tmp_path: Path) -> None:
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/ran\ncase "$2" in *limit) exit 3;; esac\n')
    python.chmod(0o755)
    make = ["make", "bench", "--old-file=.venv/dev", f"BIN={python.parent}"]
    done = subprocess.run(make, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode != 0, done.stderr
    ran = (tmp_path / "ran").read_text()
    assert "benchmarks.locate" in ran and "benchmarks.training" not in ran


def test_a_models_name_in_a_progress_bar_is_not_markup(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    at = bench(tmp_path / "of")
    show_progress()
    try:
        found = answer_here(
            asked_in(at), lambda some, words: ["yes"] * len(some), at / "m.jsonl", f"[/red]{ESC}"
        )
    finally:
        show_progress(False)
    said = capsys.readouterr().err
    assert found.new and "[/red]a\\x1b[31mb" in said.replace("\n", "") and "\x1b[31m" not in said
