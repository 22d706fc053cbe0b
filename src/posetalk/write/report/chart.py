"""What charts show: lying bars, and histograms of words. The templates draw them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from posetalk.pages.render import render
from posetalk.write.samples.statistics import median

BINS = 24  # of a histogram, at most
W, H = 320, 120  # of its plot, in its own units


@dataclass(frozen=True, slots=True)
class Bar:
    """part: its length, of the longest; share: of the total, as text; colour: the name of one of the page's."""

    name: str
    count: int
    part: float
    share: str
    colour: str


@dataclass(frozen=True, slots=True)
class Bin:
    """A standing bar of a histogram, in the plot's units; of: which answers it counts."""

    x: float
    y: float
    width: float
    height: float
    of: str
    count: int


@dataclass(frozen=True, slots=True)
class Plot:
    """A histogram. scale: places and numbers under it; middle, most: words; middle_at: where the middle one is."""

    title: str
    label: str
    colour: str
    bars: tuple[Bin, ...]
    scale: tuple[tuple[float, int], ...]
    middle: int
    middle_at: float
    most: int
    size: tuple[int, int] = (W, H)


def bars(rows: Sequence[tuple[str, int]], total: int, colours: Sequence[str] = ()) -> list[Bar]:
    """The longest bar is as wide as there is room; each has its number and its share of `total`."""
    longest = max((count for _, count in rows), default=1)
    return [
        Bar(name, count, count / longest, f"{100 * count / total:.1f} %", colours[place] if colours else "")
        for place, (name, count) in enumerate(rows)
    ]


def histogram(title: str, counts: Counter[int], colour: str) -> str:
    """As HTML; see `plot_of`."""
    return render("histogram.html.jinja", plot=plot_of(title, counts, colour))


def plot_of(title: str, counts: Counter[int], colour: str) -> Plot:
    """How many answers have how many words; the longest hundredth goes into the last bar."""
    ordered, total = sorted(counts), counts.total()
    passed, last = 0, ordered[-1]
    for number in ordered:
        passed += counts[number]
        if passed >= 0.99 * total:
            last = number
            break
    first = ordered[0]
    step = _round_step((last - first + 1) / BINS)
    start = first // step * step
    bins = [0] * ((last - start) // step + 1)
    for number, count in counts.items():
        bins[min((number - start) // step, len(bins) - 1)] += count
    highest, wide = max(bins), W / max(len(bins), 8)
    shapes = []
    for place, count in enumerate(bins):
        low, high = start + place * step, start + (place + 1) * step - 1
        of = f"{low} words" if low == high else f"{low} to {high} words"
        if place == len(bins) - 1 and ordered[-1] > high:
            of = f"{low} words or more"
        tall = max(H * count / highest, 1.5 if count else 0)
        shapes.append(Bin(place * wide + 0.75, H - tall, wide - 1.5, tall, of, count))
    every = max(1, round(len(bins) / 5))
    scale = tuple((place * wide, start + place * step) for place in range(0, len(bins), every))
    middle = median(counts)
    at = (min(middle, last) - start) / step * wide + wide / 2 / step
    label = f"{title}: {total:,} answers, {first} to {ordered[-1]} words, the middle one {middle}"
    return Plot(title, label, colour, tuple(shapes), scale, middle, at, ordered[-1])


def _round_step(least: float) -> int:
    """The next of 1, 2, 5, 10, 20, 50, ... that is no less."""
    ten = 10 ** math.floor(math.log10(max(least, 1)))
    return next(int(ten * one) for one in (1, 2, 5, 10) if ten * one >= least)
