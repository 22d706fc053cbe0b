"""Templates escape what they show and refuse what is not given; the script of a page is the one that may run."""

from __future__ import annotations

import base64
import hashlib

import pytest
from jinja2 import UndefinedError

from posetalk.pages.render import render, script_of
from posetalk.write.report.chart import bars


@pytest.mark.parametrize("words", ["<b>", "\"'&", "</style><script>", "{{ title }}", "{% raw %}"])
def test_what_is_shown_is_escaped(words: str) -> None:
    text = render("photo.html.jinja", data="AA==", size=(1, 2), name=words)
    escaped = words.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert f'alt="{escaped.replace(chr(34), "&#34;").replace(chr(39), "&#39;")}">' in text


def test_a_name_that_is_not_given_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="'name' is undefined"):
        render("photo.html.jinja", data="AA==", size=(1, 2))


def test_the_hash_is_that_of_the_script() -> None:
    text, digest = script_of("writing.js")
    assert digest == base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    assert "</script" not in text


def test_bars_are_shares_of_the_longest_and_of_all() -> None:
    found = bars([("a", 3), ("b", 1)], 8, ["--x", "--y"])
    assert [(bar.part, bar.share, bar.colour) for bar in found] == [
        (1.0, "37.5 %", "--x"),
        (1 / 3, "12.5 %", "--y"),
    ]
    assert bars([], 0) == []
