"""Files and texts that nobody means: good ones with bytes, values or structure changed, all of it drawn from a seed."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Sequence
from typing import Any

MOST = 300_000  # bytes of a file, characters of a text
ODD_TEXTS = [
    *(
        "",
        " ",
        "\0",
        "\udcff",
        "\ud83d",
        "\x1b[31m",
        "..",
        "../../etc/passwd",
        "/etc/passwd",
        "a" * 300,
        "\n",
        "\r",
    ),
    *(
        "[/red]",
        "%s",
        "{0}",
        "NaN",
        "1e999",
        "null",
        "\u202e",
        "é",
        "漢字",
        "👩‍👧",
        "<script>",
        "con",
        "-1",
        "ⅳ",
        "٣",
    ),
]
ODD_VALUES: list[Any] = [
    *(
        None,
        True,
        False,
        0,
        -1,
        1.5,
        1e308,
        -1e308,
        float("inf"),
        float("nan"),
        2**31,
        2**63,
        2**64,
        10**400,
        -(2**63),
    ),
    *([], {}, [[]], {"": ""}, [None], [1, 2], [0] * 51, [1e308] * 51, {"id": 1}),
    *ODD_TEXTS,
]
_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?")
_STRING = re.compile(rb'"[^"\n]*"')
_ODD_NUMBERS = [
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"1e999",
    b"-1",
    b"0",
    b"1e308",
    b"9" * 400,
    b"0.0000001",
    b"-0",
]


def mutated(seeds: Sequence[bytes], draw: random.Random) -> bytes:
    """One of the seeds, changed."""
    data = draw.choice(seeds)
    ways = _BYTES
    if data[:1] in (b"{", b"["):
        ways = (*_BYTES, _value, _value, _value, _value, _value, _value)
    for _ in range(draw.choice((1, 1, 1, 2, 3, 8))):
        data = draw.choice(ways)(data, seeds, draw)[:MOST]
    return data


def text_of(pieces: Sequence[str], draw: random.Random) -> str:
    """Pieces one after the other, some many times; with odd characters between."""
    found = []
    for _ in range(draw.randint(1, 12)):
        piece = draw.choice(pieces if draw.random() < 0.85 else ODD_TEXTS)
        found.append(piece * (draw.choice((10, 200, 2000)) if draw.random() < 0.1 else 1))
    return draw.choice(("", " ", "\n")).join(found)[:MOST]


_Way = Callable[[bytes, Sequence[bytes], random.Random], bytes]


def _flip(data: bytes, seeds: Sequence[bytes], draw: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(draw.choice((1, 1, 4, 30))):
        if changed:
            changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _delete(data: bytes, seeds: Sequence[bytes], draw: random.Random) -> bytes:
    start, end = _span(data, draw)
    return data[:start] + data[end:]


def _insert(data: bytes, seeds: Sequence[bytes], draw: random.Random) -> bytes:
    at = draw.randint(0, len(data))
    odd = draw.choice(ODD_TEXTS).encode("utf-8", "surrogatepass")
    return (
        data[:at]
        + draw.choice((odd, draw.randbytes(draw.randint(1, 20)), b"\xff\xfe", b"\0" * 9))
        + data[at:]
    )


def _repeat(data: bytes, seeds: Sequence[bytes], draw: random.Random) -> bytes:
    start, end = _span(data, draw)
    return data[:end] + data[start:end] * draw.choice((1, 3, 1000)) + data[end:]


def _truncate(data: bytes, seeds: Sequence[bytes], draw: random.Random) -> bytes:
    return data[: draw.randint(0, len(data))]


def _splice(data: bytes, seeds: Sequence[bytes], draw: random.Random) -> bytes:
    other = draw.choice(seeds)
    return data[: draw.randint(0, len(data))] + other[draw.randint(0, len(other)) :]


def _nest(data: bytes, seeds: Sequence[bytes], draw: random.Random) -> bytes:
    deep = draw.choice((50, 2000, 100_000))
    opens, closes = draw.choice(((b"[", b"]"), (b'{"a":', b"}"), (b"[[", b"")))
    spans = [found.span() for found in _NUMBER.finditer(data)] or [(0, 0)]
    start, end = draw.choice(spans)
    return data[:start] + opens * deep + b"1" + closes * deep + data[end:]


def _number(data: bytes, seeds: Sequence[bytes], draw: random.Random) -> bytes:
    return _put(data, _NUMBER, draw.choice(_ODD_NUMBERS), draw)


def _string(data: bytes, seeds: Sequence[bytes], draw: random.Random) -> bytes:
    text = json.dumps(draw.choice(ODD_TEXTS), ensure_ascii=draw.random() < 0.5)
    return _put(data, _STRING, text.encode("utf-8", "surrogatepass"), draw)


def _put(data: bytes, what: re.Pattern[bytes], new: bytes, draw: random.Random) -> bytes:
    spans = [found.span() for found in what.finditer(data)]
    if not spans:
        return data + new
    start, end = draw.choice(spans)
    return data[:start] + new + data[end:]


def _span(data: bytes, draw: random.Random) -> tuple[int, int]:
    start = draw.randint(0, len(data))
    return start, min(len(data), start + draw.choice((1, 2, 10, 200)))


def _value(data: bytes, seeds: Sequence[bytes], draw: random.Random) -> bytes:
    """JSON, alone or a line each, with a value anywhere in it replaced, taken out or doubled."""
    lines = data.splitlines()
    one = draw.randrange(len(lines)) if lines else 0
    for text in (data, lines[one] if lines else b""):
        try:
            tree = json.loads(text)
        except (ValueError, RecursionError):
            continue
        holder, key = _place(tree, draw)
        if holder is None:
            tree = draw.choice(ODD_VALUES)
        else:
            _change(holder, key, draw)
        new = json.dumps(tree, ensure_ascii=draw.random() < 0.5).encode("utf-8", "surrogatepass")
        return new if text is data else b"\n".join([*lines[:one], new, *lines[one + 1 :]])
    return _flip(data, seeds, draw)


def _place(tree: Any, draw: random.Random) -> tuple[Any, Any]:
    """A list or table in a tree, and a key of it; None where the tree is neither."""
    found: tuple[Any, Any] = (None, None)
    while isinstance(tree, dict | list) and tree:
        key = draw.choice(list(tree)) if isinstance(tree, dict) else draw.randrange(len(tree))
        found, tree = (tree, key), tree[key]
        if draw.random() < 0.25:
            break
    return found


def _change(holder: Any, key: Any, draw: random.Random) -> None:
    what = draw.random()
    if what < 0.7:
        holder[key] = draw.choice(ODD_VALUES)
    elif what < 0.8:
        del holder[key]
    elif isinstance(holder, list):
        holder.insert(key, holder[draw.randrange(len(holder))])
    else:
        holder[draw.choice(ODD_TEXTS)] = holder.pop(key)


_BYTES: tuple[_Way, ...] = (
    *(_flip, _delete, _insert, _repeat, _truncate, _splice, _nest, _number, _number, _string, _string),
)
