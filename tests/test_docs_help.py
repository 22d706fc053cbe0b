"""The help of each command stands alone: what it does, an example that is accepted, every option in sentences."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import pytest
from cyclopts import App

from posetalk.cli import app


def commands(program: App, words: tuple[str, ...] = ()) -> Iterator[tuple[str, App]]:
    for name in program:
        if not name.startswith("-"):
            found = program[name]
            if found.default_command is None:
                yield from commands(found, (*words, name))
            else:
                yield " ".join((*words, name)), found


COMMANDS = dict(commands(app))


def test_all_commands_are_looked_at() -> None:
    assert len(COMMANDS) >= 18
    assert {"locate", "write", "bench run"} <= set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_what_the_command_does_and_shows_it(name: str) -> None:
    text = re.sub(r"\s+", " ", COMMANDS[name].default_command.__doc__ or "")
    assert re.match(r"[A-Z].*?\.", text), "it begins with a sentence"
    example = re.search(r"Example: `posetalk ([^`]+)`", text)
    assert example, "it has an example"
    words = shlex.split(example[1])
    assert " ".join(words[: len(name.split())]) == name
    app.parse_args(words, exit_on_error=False, print_error=False)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_described_in_sentences(name: str) -> None:
    options = COMMANDS[name].assemble_argument_collection(parse_docstring=True)
    assert options
    for option in options:
        said = (option.parameter.help or "").strip()
        assert re.match(r"[A-Z`].*[.]$", said, re.DOTALL), f"{option.name}: {said!r}"
