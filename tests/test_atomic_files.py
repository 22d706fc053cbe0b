"""Files and folders that are there whole or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from posetalk.atomic_files import check_free, whole_file, whole_folder, write_text, writing
from posetalk.errors import PosetalkError
from posetalk.lock import only_run


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_file_takes_its_name_when_it_is_whole(tmp_path: Path) -> None:
    file = tmp_path / "new" / "report.html"
    with whole_file(file) as part:
        part.write_text("half")
        assert not file.exists() and part.suffix == ".html"
    assert file.read_text() == "half" and names(file.parent) == {"report.html"}
    for stop in (KeyboardInterrupt, PosetalkError, RuntimeError):
        with pytest.raises(stop), whole_file(file) as part:
            part.write_text("another")
            raise stop
        assert file.read_text() == "half" and names(file.parent) == {"report.html"}
    write_text(file, "a half \ud83d character")
    assert file.read_text() == "a half ? character"


def test_what_the_system_refuses_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder" / "full").mkdir(parents=True)
    for path in (tmp_path / "file" / "x", tmp_path / "folder", tmp_path / ("n" * 300)):
        with pytest.raises(PosetalkError, match=r"^cannot write .*; try elsewhere$"):
            write_text(path, "text", "try elsewhere")
    with (
        pytest.raises(
            PosetalkError, match=r"^cannot write it: No space left on device; choose another place$"
        ),
        writing("it"),
    ):
        raise OSError(28, os.strerror(28))
    assert names(tmp_path) == {"file", "folder"} and names(tmp_path / "folder") == {"full"}


def test_a_device_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    code = "import sys; from posetalk.atomic_files import write_text; write_text(sys.argv[1], 'through')"
    with subprocess.Popen([sys.executable, "-c", code, str(pipe)]):
        assert pipe.read_text() == "through"
    assert pipe.is_fifo() and names(tmp_path) == {"pipe"}


def test_several_processes_write_one_file(tmp_path: Path) -> None:
    code = (
        "import sys; from posetalk.atomic_files import whole_file\n"
        "for n in range(50):\n"
        "    with whole_file(sys.argv[1]) as part: part.write_text(sys.argv[2] * 9999)"
    )
    runs = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "file"), letter]) for letter in "abc"
    ]
    assert [run.wait() for run in runs] == [0, 0, 0]
    assert len(text := (tmp_path / "file").read_text()) == 9999 and len(set(text)) == 1
    assert names(tmp_path) == {"file"}


@pytest.mark.parametrize("there", [False, True], ids=["new", "empty"])
def test_a_folder_takes_its_name_when_it_is_whole(there: bool, tmp_path: Path) -> None:
    out = tmp_path / "out"
    if there:
        out.mkdir()
    (tmp_path / "out.part").mkdir()  # somebody's
    (tmp_path / ".out.77.part").mkdir()  # what a killed process left
    (tmp_path / ".outer.77.part").mkdir()  # of another folder
    with pytest.raises(RuntimeError), whole_folder(out) as part:
        (part / "a").touch()
        raise RuntimeError
    with whole_folder(out) as part:
        (part / "b").touch()
        with pytest.raises(PosetalkError, match="out is in use by another run"), whole_folder(out):
            pass
    assert names(out) == {"b"} and names(tmp_path) == {"out", "out.part", ".outer.77.part"}
    with (
        pytest.raises(PosetalkError, match="out is there already; give a folder"),
        whole_folder(out),
    ):
        pass
    with pytest.raises(PosetalkError, match="give a folder that is new or empty"):
        check_free(out / "b")


def test_what_killed_processes_left_is_removed_by_its_whole_name(tmp_path: Path) -> None:
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    running = os.getppid()
    kept = {
        ".a.jsonl",
        f".a.{dead.pid}.part",
        f".a.b.{dead.pid}.part.jsonl",
        f"a.{dead.pid}.part.jsonl",
        ".a.x.part.jsonl",
        f".a.{running}.part.jsonl",
    }
    for name in {*kept, f".a.{dead.pid}.part.jsonl", f".a.{10**30}.part.jsonl"}:
        (tmp_path / name).touch()
    write_text(tmp_path / "a.jsonl", "whole")
    assert names(tmp_path) == kept | {"a.jsonl"}


def test_the_next_process_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    write = "import os, sys, signal\nfrom posetalk.atomic_files import whole_file\n"
    write += "with whole_file(sys.argv[1]) as part:"
    killed = f"{write}\n part.write_text('half'); os.kill(os.getpid(), signal.SIGKILL)"
    run = [sys.executable, "-c", killed, str(tmp_path / "file.json")]
    assert subprocess.run(run).returncode < 0 and len(names(tmp_path)) == 1
    subprocess.run([sys.executable, "-c", f"{write}\n part.write_text('whole')", run[-1]], check=True)
    assert names(tmp_path) == {"file.json"}


def test_a_lock_beside_a_folder_leaves_it_empty(tmp_path: Path) -> None:
    with only_run(tmp_path, beside=True):
        assert not names(tmp_path) and tmp_path.with_name(f".{tmp_path.name}.lock").exists()
