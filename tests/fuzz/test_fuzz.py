"""A slice of `python -m tests.fuzz`, always the same; and the fuzzer finds what is planted."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from tests.fuzz import run
from tests.fuzz.mutate import mutated, text_of
from tests.fuzz.run import case, tried
from tests.fuzz.seeds import COCO
from tests.fuzz.targets import FULL, PARSERS, READERS, Parser

import posetalk
from posetalk.errors import PosetalkError

CASES = 8
LEFT_OUT = {"model"}  # a case takes a second
SLICE = [name for name in FULL if name not in LEFT_OUT]


@pytest.mark.parametrize("name", SLICE)
def test_damaged_files_and_odd_texts_end_in_a_sentence(name: str) -> None:
    for number in range(CASES):
        found = tried(f"16:{name}:{number}")
        assert found is None, f"python -m tests.fuzz --case {found.case}\n{found.what}\n{found.trace}"


def planted(monkeypatch: pytest.MonkeyPatch, parse: object) -> str:
    monkeypatch.setitem(PARSERS, "planted", Parser(parse, ["ab", "c", " "]))  # type: ignore[arg-type]
    return "1:planted:"


def test_an_error_that_nobody_documents_is_found_and_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def parse(text: str) -> None:
        raise KeyError(text) if "c" in text else PosetalkError("there is no c; write one")

    name = planted(monkeypatch, parse)
    found = [one for number in range(30) if (one := tried(f"{name}{number}"))]
    assert 0 < len(found) < 30 and all("KeyError" in one.what for one in found)
    again = tried(found[0].case)
    assert again == found[0] and b"c" in again.data


@pytest.mark.parametrize("error", [PosetalkError(""), ValueError("x"), RecursionError(), MemoryError()])
def test_an_error_without_a_sentence_is_found(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def parse(text: str) -> None:
        raise error

    assert tried(planted(monkeypatch, parse) + "0")


def test_what_never_ends_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "SECONDS", 0.1)

    def parse(text: str) -> None:
        while True:
            with suppress(Exception):  # no Exception ends it
                time.process_time()

    found = tried(planted(monkeypatch, parse) + "0")
    assert found and "TooSlow" in found.what


@pytest.mark.parametrize(("pattern", "steep"), [(r"a*?b", True), (r"ab", False)])
def test_time_that_grows_faster_than_the_text_is_found(
    pattern: str, steep: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "SHORT", 3000)
    monkeypatch.setitem(PARSERS, "planted", Parser(re.compile(pattern).search, ["a"]))
    # a process that is interrupted may measure anything once
    found = next(filter(None, (tried("1:planted:growth-1") for _ in range(3))), None)
    assert bool(found) == steep and (not found or "growth: " in found.what)


def test_cases_hang_on_their_seed_alone_and_differ() -> None:
    for name in FULL[:3]:
        assert case(name, random.Random("x")) == case(name, random.Random("x"))
    assert len({mutated(COCO, random.Random(i)) for i in range(40)}) > 30
    assert len({text_of(["a", "b"], random.Random(i)) for i in range(40)}) > 30


def test_every_target_takes_its_own_good_file() -> None:
    for name, target in READERS.items():
        if name == "model":
            continue
        for data in target.seeds():
            with run.folder({**(target.others or {}), target.name: data}) as at:
                target.read(at / target.name)


def test_a_file_that_kills_the_process_is_found_and_the_next_one_is_tried(tmp_path: Path) -> None:
    code = f"""
import os, signal, sys
from tests.fuzz import __main__ as command
from tests.fuzz.targets import FULL, PARSERS, Parser
PARSERS["planted"] = Parser(lambda text: "c" in text and os.kill(os.getpid(), signal.SIGKILL), ["a", "c"])
FULL.append("planted")
sys.argv[1:] = ["--minutes", "0.01", "--targets", "planted", "--out", {str(tmp_path)!r}]
sys.exit(command.main())
"""
    path = os.pathsep.join([str(Path(posetalk.__file__).parents[1]), str(Path(__file__).parents[2])])
    start = [sys.executable, "-c", code]
    done = subprocess.run(start, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": path})
    assert done.returncode == 1, done.stderr
    assert "killed by SIGKILL" in done.stdout and done.stdout.count("killed") == 1
    cases = int(done.stdout.splitlines()[-1].split()[0].replace(",", ""))
    assert cases > 3
    assert "killed by SIGKILL" in (tmp_path / "findings.txt").read_text()
