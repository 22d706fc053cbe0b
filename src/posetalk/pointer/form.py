"""The form in which a family of vision-language models is asked for places and answers with them (forms/*.toml)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from posetalk.errors import PosetalkError
from posetalk.resources import resource_toml
from posetalk.settings import Settings
from posetalk.skeleton import Keypoint

FORMS = ("qwen2.5-vl", "qwen3-vl", "molmo", "molmo2", "gemini", "moondream", "florence-2", "json")

Place = tuple[float, float]
"""x and y as shares, 0 to 1, of the width and the height of the picture that is shown; origin top left."""


class PointForm(Settings):
    """How places are asked for and written. Each file in forms/ names the documentation that it follows."""

    syntax: Literal["json", "mapping", "xy", "point tag", "coords tag", "loc tokens"]
    """How a place is written: in a list of objects, an object by names, an object of x and y, Molmo's and Molmo2's
    tags, or Florence-2's tokens."""
    key: str = "point"
    """For `json`: the key of the two numbers."""
    order: Literal["xy", "yx"] = "xy"
    """Which of the two numbers comes first."""
    scale: Literal["pixels"] | int
    """What the whole width and the whole height are: `pixels` of the picture that is shown, or a number for both."""
    decimals: int = Field(default=0, ge=0, le=6)
    """Decimals of a number."""
    factor: int = Field(default=1, ge=1)
    """Both sides of the picture that is shown are multiples of it."""
    max_pixels: int | None = Field(default=None, ge=1)
    """The most pixels of the picture that is shown."""
    points_per_request: int = Field(ge=1)
    """How many places are asked for at once, at most."""
    box: str
    """How a box is written in a question, with {x1}, {y1}, {x2}, {y2} in the form's numbers; empty where the model
    reads none."""
    line: str = "- {name}: {sentence}"
    """How a place is named in a question. Without a sentence, all between the two is left away."""
    prompt: str
    """The question, with {who}, {points}, and where it needs them {width} and {height} of the picture in px."""

    def ask(
        self, points: Sequence[Keypoint], size: tuple[int, int], box: tuple[Place, Place] | None = None
    ) -> str:
        """The question for some places on one person.

        Args:
            points: The places.
            size: Width and height of the picture that is shown, px.
            box: The person's box by two corners; None where the person is in the middle of the picture.
        """
        who = "the person in the middle of the picture"
        if box and self.box:
            (x1, y1), (x2, y2) = (self._numbers(corner, size) for corner in box)
            corners = {"{x1}": x1, "{y1}": y1, "{x2}": x2, "{y2}": y2}
            who = f"the person in the box {_filled(self.box, corners)}"
        elif box:
            who = "the person"
        lines = "\n".join(
            _filled(self.line, {"{name}": point.name, "{sentence}": point.sentence})
            if point.sentence
            else self.line.split("{name}")[0] + point.name
            for point in points
        )
        values = {"{who}": who, "{points}": lines, "{width}": str(size[0]), "{height}": str(size[1])}
        return _filled(self.prompt.strip(), values)

    def write(self, places: Mapping[str, Place], size: tuple[int, int]) -> str:
        """An answer in this form.

        Args:
            places: The places by name.
            size: Width and height of the picture that is shown, px.
        """
        texts = {name: self._numbers(place, size) for name, place in places.items()}
        pairs = {name: f"[{', '.join(self._ordered(pair))}]" for name, pair in texts.items()}
        match self.syntax:
            case "json":
                rows = (f'{{"{self.key}": {pair}, "label": {_quoted(name)}}}' for name, pair in pairs.items())
                return f"[{', '.join(rows)}]"
            case "mapping":
                return f"{{{', '.join(f'{_quoted(name)}: {pair}' for name, pair in pairs.items())}}}"
            case "xy":
                rows = (f'{{"x": {x}, "y": {y}}}' for x, y in texts.values())
                return f'{{"points": [{", ".join(rows)}]}}'
            case "point tag":
                return " ".join(
                    f'<point x="{x}" y="{y}" alt="{_attribute(name)}">{_attribute(name)}</point>'
                    for name, (x, y) in texts.items()
                )
            case "coords tag":
                return " ".join(
                    f'<points coords="1 1 {x:0>3} {y:0>3}">{_attribute(name)}</points>'
                    for name, (x, y) in texts.items()
                )
            case "loc tokens":
                steps = {
                    name: [min(math.floor(v * self._full(size)[0]), self._full(size)[0] - 1) for v in place]
                    for name, place in places.items()
                }
                return "".join(f"{name}{f'<loc_{x}><loc_{y}>' * 2}" for name, (x, y) in steps.items())

    def place(self, numbers: tuple[float, float], size: tuple[int, int], ordered: bool = False) -> Place:
        """The place that two numbers of an answer mean. ordered: x is known to come first."""
        x, y = numbers if self.order == "xy" or ordered else (numbers[1], numbers[0])
        width, height = self._full(size)
        return x / width, y / height

    def _full(self, size: tuple[int, int]) -> tuple[int, int]:
        return size if self.scale == "pixels" else (self.scale, self.scale)

    def _numbers(self, place: Place, size: tuple[int, int]) -> tuple[str, str]:
        x, y = (
            f"{value * full:.{self.decimals}f}" for value, full in zip(place, self._full(size), strict=True)
        )
        return x, y

    def _ordered(self, pair: tuple[str, str]) -> tuple[str, str]:
        return pair if self.order == "xy" else (pair[1], pair[0])


def form_name(form: str) -> str:
    """The name of a form, built-in or of a TOML file, for reports and cards."""
    return Path(form).name.removesuffix(".toml")


def load_form(name: str) -> PointForm:
    """A built-in form by its name, or one of your own from a TOML file.

    Raises:
        PosetalkError: Neither of these, or a file that is no form.
    """
    if name in FORMS:
        return PointForm.check(resource_toml(f"pointer/forms/{name}.toml"), f"the form {name}")
    if not name.endswith(".toml"):
        raise PosetalkError(
            f"no form {name!r} of pointing; choose of {', '.join(FORMS)}, or give a .toml file"
        )
    return PointForm.load(name)


def _filled(text: str, values: Mapping[str, str]) -> str:
    """The text with each key replaced; what is put in is not looked into again."""
    for key in values:
        text = text.replace(key, f"\0{key}\0")
    return "".join(values.get(part, part) for part in text.split("\0"))


def _quoted(name: str) -> str:
    return json.dumps(name, ensure_ascii=False)


def _attribute(name: str) -> str:
    """A name as it can stand in a tag."""
    return name.replace('"', "'").replace("<", "(").replace(">", ")")
