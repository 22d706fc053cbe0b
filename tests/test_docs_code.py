"""Every block of code in README.md and the docs does what the text says.

Python runs; commands and settings are accepted by the program's own parsers. A comment in the line before a block says
how it is looked at where its language does not: `<!-- test: compile -->` for Python that needs a GPU, a server or a
hub; `<!-- test: TrainSettings -->` or `<!-- test: Skeleton mine.toml -->` for what a TOML block is, and the file that
the text calls it. The blocks of the tutorials are run in turn; what stands in a block of text after one is among what
it prints, but for numbers.
"""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from tests.locate.track.clips import write_clip

from posetalk.cli import app, main
from posetalk.exchange.label_studio_interface import Interface
from posetalk.llm.client import ServerSettings
from posetalk.settings import Settings, TrainSettings
from posetalk.skeleton import load_skeleton
from posetalk.tune.presets import preset
from posetalk.tune.settings import TuneSettings

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
TUTORIALS = [page for page in PAGES if page.parent.name == "tutorials"]
SETTINGS: dict[str, type[Settings]] = {
    "TrainSettings": TrainSettings,
    "TuneSettings": TuneSettings,
    "ServerSettings": ServerSettings,
}
# Programs that docs may call beside posetalk.
OTHERS = {
    "python",
    "make",
    "pip",
    "export",
    "torchrun",
    "accelerate",
    "cp",
    "cat",
    "head",
    "for",
    "hf",
    "npm",
    "node",
    "test",
}


@dataclass(frozen=True)
class Block:
    page: Path
    line: int
    language: str
    mark: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """Fenced blocks, and indented ones, which are commands."""
    found, lines = [], page.read_text(encoding="utf-8").splitlines()
    number = 0
    while number < len(lines):
        line, before = lines[number], lines[number - 1] if number else ""
        mark = re.match(r"<!-- test: (.+) -->", before)
        end = number + 1
        if line.startswith("```"):
            while lines[end] != "```":
                end += 1
            inside = lines[number + 1 : end]
            found.append(Block(page, number + 1, line[3:], mark[1] if mark else "", "\n".join(inside)))
            end += 1
        elif line.startswith("    ") and not before.strip():
            while end < len(lines) and lines[end].startswith("    "):
                end += 1
            found.append(Block(page, number + 1, "", "", "\n".join(lines[number:end])))
        number = end
    return found


def of(language: str, pages: list[Path] = PAGES) -> list[Block]:
    return [block for page in pages for block in blocks(page) if block.language == language]


def commands(block: Block) -> list[list[str]]:
    """The words of each command, variables of the block put in, comments left out."""
    text = block.text.replace("\\\n", " ")
    for name, value in re.findall(r'^(\w+)="(.*)"$', text, re.MULTILINE):
        text = text.replace(f'{name}="{value}"', "").replace(f"${name}", value)
    return [words for line in text.splitlines() if (words := shlex.split(line, comments=True))]


def is_commands(block: Block) -> bool:
    """An indented block of README is a list of files where it names no program first."""
    return block.language == "bash" or (
        block.language == "" and block.text.split()[0] in OTHERS | {"posetalk"}
    )


def test_every_block_is_of_a_language_that_is_looked_at() -> None:
    known = {"", "bash", "python", "toml", "json", "jsonl", "xml", "text"}
    known |= {"py", "js"}  # of examples/, which tests/export runs
    assert [
        f"{block}: {block.language}"
        for page in PAGES
        for block in blocks(page)
        if block.language not in known
    ] == []
    assert len(of("python")) > 5 and len(of("bash")) > 20 and len(of("toml")) > 4


@pytest.mark.parametrize("block", [b for p in PAGES for b in blocks(p) if is_commands(b)], ids=str)
def test_commands_are_accepted(block: Block) -> None:
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for words in commands(block):
        if "posetalk" in words:  # also behind torchrun's and accelerate's own options
            parse(words[words.index("posetalk") + 1 :])
        elif words[0] == "make":
            assert {word for word in words[1:] if "=" not in word} <= set(targets)
        elif words[0] == "python" and words[1].endswith(".py"):
            assert (ROOT / words[1]).is_file(), words[1]
        else:
            assert words[0] in OTHERS, words


def parse(words: list[str]) -> None:
    """As the program would: options that exist, values of their types, nothing missing."""
    if "--help" in words:
        assert app.parse_commands(words)[2] == ["--help"]
    else:
        app.parse_args(words, exit_on_error=False, print_error=False)


def test_a_command_that_is_not_accepted_is_seen() -> None:
    for words in (
        "facts",
        "locate a.jpg --aks nose",
        "tune written --out o --max-steps many",
        "loacte a.jpg",
    ):
        with pytest.raises(Exception, match=r"(?i)missing|requires|unknown|convert|invalid|unable|unused"):
            parse(words.split())


@pytest.mark.parametrize("block", of("toml"), ids=str)
def test_settings_are_accepted(block: Block, tmp_path: Path) -> None:
    if block.mark.startswith("Skeleton"):
        (tmp_path / "mine.toml").write_text(block.text)
        load_skeleton(tmp_path / "mine.toml")
    else:
        SETTINGS[block.mark].check(tomllib.loads(block.text), str(block))


@pytest.mark.parametrize("block", of("xml"), ids=str)
def test_labelling_interfaces_are_read(block: Block) -> None:
    assert Interface.read(block.text).labels


@pytest.mark.parametrize("block", [*of("json"), *of("jsonl")], ids=str)
def test_json_is_json(block: Block) -> None:
    for text in [block.text] if block.language == "json" else block.text.splitlines():
        json.loads(text)


TABLES = [("train", [TrainSettings]), ("tune", [TuneSettings])]


@pytest.mark.parametrize("name, models", TABLES, ids=[name for name, _ in TABLES])
def test_tables_of_settings_name_their_keys(name: str, models: list[type[Settings]]) -> None:
    text = (ROOT / "docs/guides" / f"{name}.md").read_text()
    table = text[text.index("| key | default | meaning |") :].split("\n\n")[0]
    named = {key for row in table.splitlines()[2:] for key in re.findall(r"`(\w+)`", row.split("|")[1])}
    known = {key for model in models for key in model.model_fields}
    assert named <= known
    assert known - named <= {"data", "model", "augmentation"}


def test_presets_are_those_of_the_guide() -> None:
    text = (ROOT / "docs/guides/tune.md").read_text()
    table = text[text.index("| preset | method |") :].split("\n\n")[0]
    for row in table.splitlines()[2:]:
        cells = [cell.strip() for cell in row.split("|")[1:-1]]
        for method in re.findall(r"`(\w+)`", cells[1]):
            made = preset(cells[0].strip("`"), method)
            told = [float(cell) for cell in cells[2:5]]
            assert [made[key] for key in ("learning_rate", "connector_learning_rate", "batch_size")] == told


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with the photo that the pages speak of."""
    import skimage
    from PIL import Image

    photo = Image.open(Path(skimage.__path__[0]) / "data" / "camera.png")
    photo.save(tmp_path / "photo.jpg")
    write_clip(tmp_path / "clip.mp4", [np.asarray(photo.convert("RGB"))] * 2)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "page", [p for p in PAGES if of("python", [p]) and p not in TUTORIALS], ids=lambda p: p.stem
)
def test_python_runs(page: Path, folder: Path) -> None:
    names: dict[str, object] = {}
    for block in of("toml", [page]):
        if block.mark.startswith("Skeleton"):
            (folder / block.mark.split()[1]).write_text(block.text)
    for block in of("python", [page]):
        code = compile(block.text, str(block), "exec")
        if block.mark != "compile":
            exec(code, names)


@pytest.mark.parametrize("page", TUTORIALS, ids=lambda p: p.stem)
def test_a_tutorial_runs_and_prints_what_it_shows(
    page: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("COLUMNS", "100")
    for file in page.parent.glob("*.json"):
        (folder / file.name).write_bytes(file.read_bytes())
    names: dict[str, object] = {}
    printed = ""
    for block in blocks(page):
        if block.language == "text":
            assert shape(block.text) in shape(printed), f"{block} prints\n{printed}"
        elif block.language == "toml":
            (folder / block.mark.split()[1]).write_text(block.text)
        elif block.language == "python":
            code = compile(block.text, str(block), "exec")
            printed = said(lambda code=code: exec(code, names))
        elif block.language == "bash":
            printed = "".join(map(run, block.text.replace("\\\n", " ").splitlines()))


def run(line: str) -> str:
    """A command of posetalk in this process, which saves it loading torch; any other in a shell."""
    if line.startswith("pip "):
        return ""
    if not line.startswith("posetalk "):
        return subprocess.run(line, shell=True, check=True, capture_output=True, text=True).stdout

    def command() -> None:
        with pytest.raises(SystemExit) as stop:
            main(shlex.split(line)[1:])
        assert stop.value.code == 0, line

    return said(command)


def said(step: Callable[[], object]) -> str:
    text = io.StringIO()
    with redirect_stdout(text):
        step()
    return text.getvalue()


def shape(text: str) -> str:
    """What is printed without numbers, which differ between machines, and without widths."""
    return re.sub(r"[\s━─]+", " ", re.sub(r"-?\d+(?:[.,]\d+)*", "#", text)).strip()
