"""The parts of the site that are generated from the code: API, commands, settings, texts of the repository.

A page has a line `<!-- generated: NAME -->`. This file is a hook of mkdocs that replaces the line by the part.
It needs only the core of posetalk: the API is read from the source, not imported.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

ROOT = Path(__file__).resolve().parent.parent

# Headings of the API page, and the parts of the package whose public names are listed under each, in this order.
GROUPS = {
    "Words to points": ("detect", "locate", "export", "model", "prompt"),
    "Training and scoring": ("train", "score", "plan"),
    "Points to words": ("facts", "write", "describe", "llm", "tune", "bench"),
    "Data": ("types", "skeleton", "formats", "exchange", "images", "draw", "hub"),
    "Settings, messages and errors": ("settings", "messages", "errors"),
}
# The settings that a TOML file may have, by the command that reads it.
SETTINGS = {
    "posetalk train": "posetalk.settings.TrainSettings",
    "posetalk tune": "posetalk.tune.settings.TuneSettings",
    "posetalk write, bench answer, bench judge": "posetalk.llm.client.ServerSettings",
    "The wording of a question": "posetalk.prompt.wording.Wording",
}


def on_page_markdown(markdown: str, **_: Any) -> str:
    """mkdocs' hook: the text of a page with its generated parts."""
    return re.sub(r"<!-- generated: (\S+) -->", lambda mark: _part(mark[1]), markdown)


def _part(name: str) -> str:
    made: dict[str, Callable[[], str]] = {"api": api, "commands": commands, "settings": settings}
    return made[name]() if name in made else (ROOT / name).read_text(encoding="utf-8")


def public_names() -> dict[str, str]:
    """Each name of `posetalk.__all__` -> the part of the package that it is imported from."""
    tree = ast.parse((ROOT / "src/posetalk/__init__.py").read_text(encoding="utf-8"))
    typed = next(n for n in tree.body if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING")
    return {
        alias.asname or alias.name: (f"{node.module}.{alias.name}").split(".")[1]
        for node in typed.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def api() -> str:
    """A heading for each group, and under it the names for mkdocstrings."""
    import posetalk

    parts = public_names()
    lines = []
    for title, group in GROUPS.items():
        names = [name for name in posetalk.__all__ if parts[name] in group]
        if names:
            lines += [f"## {title}", ""]
            lines += [line for name in names for line in (f"::: posetalk.{name}", "")]
    return "\n".join(lines)


def commands() -> str:
    """The help of every command."""
    from posetalk.cli import app

    text = app.generate_docs(heading_level=1, flatten_commands=True)
    text = text[text.index("**Commands**") :]
    return text.replace("\n# posetalk ", "\n## posetalk ")


def settings() -> str:
    """A table for each class of settings, and for the classes of its fields."""
    lines, seen = [], set()
    for title, place in SETTINGS.items():
        lines += [f"## {title}", ""]
        for table, model in _nested(model_of(place)):
            if model in seen:
                lines += [f"### `{table}`: {model.__name__}, as above", ""]
            else:
                seen.add(model)
                lines += _table(table, model)
    return "\n".join(lines)


def model_of(place: str) -> Any:
    """The class with this dotted name."""
    module, _, name = place.rpartition(".")
    return getattr(import_module(module), name)


def _nested(model: type[BaseModel], table: str = "") -> list[tuple[str, type[BaseModel]]]:
    found = [(table, model)]
    for name, field in model.model_fields.items():
        inner = [kind for kind in _kinds(field.annotation) if _is_model(kind)]
        many = "tuple" in str(field.annotation)
        for kind in inner:
            path = f"{table.strip('[]')}.{name}".strip(".")
            found += _nested(kind, f"[[{path}]]" if many else f"[{path}]")
    return found


def described(model: type[BaseModel]) -> dict[str, str]:
    """What stands below each setting in the source of its class.

    pydantic can read it too (`use_attribute_docstrings`), but does so at each import, and doubles its time.
    """
    found: dict[str, str] = {}
    for kind in reversed(model.__mro__[: model.__mro__.index(BaseModel)]):
        body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0].body  # type: ignore[attr-defined]
        for node, after in pairwise(body):
            if (
                isinstance(node, ast.AnnAssign)
                and isinstance(node.target, ast.Name)
                and isinstance(after, ast.Expr)
                and isinstance(after.value, ast.Constant)
            ):
                found[node.target.id] = " ".join(str(after.value.value).split())
    return found


def _table(table: str, model: type[BaseModel]) -> list[str]:
    title = f"### `{table}`: {model.__name__}" if table else f"### {model.__name__}"
    rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
    meanings = described(model)
    for name, field in model.model_fields.items():
        cells = (f"`{name}`", _shown(field), _default(field), meanings[name])
        rows.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return [title, "", inspect.getdoc(model) or "", "", *rows, ""]


def _kinds(annotation: Any) -> list[Any]:
    """The members of a union; the items of a tuple."""
    if get_origin(annotation) is Annotated:
        return _kinds(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType, tuple):
        return [kind for part in get_args(annotation) if part is not ... for kind in _kinds(part)]
    return [annotation]


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _shown(field: FieldInfo) -> str:
    words = []
    for kind in _kinds(field.annotation):
        if get_origin(kind) is Literal:
            words += [f'`"{choice}"`' for choice in get_args(kind)]
        elif kind is not NoneType:
            words.append(
                "table"
                if _is_model(kind) or get_origin(kind) is dict
                else getattr(kind, "__name__", str(kind))
            )
    text = " or ".join(words)
    if "tuple" in str(field.annotation):
        text = f"list of {text}"
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    bounds = [
        f"{sign} {getattr(rule, name):g}"
        for rule in field.metadata
        for name, sign in signs.items()
        if getattr(rule, name, None) is not None
    ]
    return ", ".join([text, *bounds])


def _default(field: FieldInfo) -> str:
    value = field.default
    if value is PydanticUndefined:
        return "required"
    if value is None or value in ((), {}):
        return "none"
    if _is_model(type(value)):
        return "see its table"
    if isinstance(value, tuple):
        value = list(value)  # as TOML writes it
    shown = str(value).lower() if isinstance(value, bool) else f"{value!r}".replace("'", '"')
    return f"`{shown}`"
