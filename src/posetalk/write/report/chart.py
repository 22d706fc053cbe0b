"""The numbers of charts, horizontal bars and histograms of words. The templates draw them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from posetalk.pages.render import render
from posetalk.write.samples.statistics import median

BINS = 24  # most bins of a histogram
W, H = 320, 120  # width and height of its plot, in its own units


@dataclass(frozen=True, slots=True)
class Bar:
    """A horizontal bar.

    Attributes:
        name: What it counts.
        count: The number.
        part: Its length as a share of the longest bar.
        share: Its share of the total, as text.
        colour: The name of one of the page's colours.
    """

    name: str
    count: int
    part: float
    share: str
    colour: str


@dataclass(frozen=True, slots=True)
class HistogramBin:
    """A bar of a histogram, in the plot's units; of: which answers it counts."""

    x: float
    y: float
    width: float
    height: float
    of: str
    count: int


@dataclass(frozen=True, slots=True)
class Plot:
    """A histogram. scale: positions and numbers of its axis; middle, most: median and maximum of words; middle_at: the
    position of the median."""

    title: str
    label: str
    colour: str
    bars: tuple[HistogramBin, ...]
    scale: tuple[tuple[float, int], ...]
    middle: int
    middle_at: float
    most: int
    size: tuple[int, int] = (W, H)


def bars(rows: Sequence[tuple[str, int]], total: int, colours: Sequence[str] = ()) -> list[Bar]:
    """Bars for rows of a name and a count, with their shares of `total`; colours: one for each row, or none."""
    longest = max((count for _, count in rows), default=1)
    return [
        Bar(name, count, count / longest, f"{100 * count / total:.1f} %", colours[index] if colours else "")
        for index, (name, count) in enumerate(rows)
    ]


def histogram(title: str, counts: Counter[int], colour: str) -> str:
    """The histogram of `plot_of` as HTML."""
    return render("histogram.html.jinja", plot=plot_of(title, counts, colour))


def plot_of(title: str, counts: Counter[int], colour: str) -> Plot:
    """The histogram of answers by their number of words; the longest hundredth is in the last bar."""
    ordered, total = sorted(counts), counts.total()
    cumulated, last = 0, ordered[-1]
    for number in ordered:
        cumulated += counts[number]
        if cumulated >= 0.99 * total:
            last = number
            break
    first = ordered[0]
    step = _round_step((last - first + 1) / BINS)
    start = first // step * step
    bins = [0] * ((last - start) // step + 1)
    for number, count in counts.items():
        bins[min((number - start) // step, len(bins) - 1)] += count
    highest, bar_width = max(bins), W / max(len(bins), 8)
    shapes = []
    for index, count in enumerate(bins):
        low, high = start + index * step, start + (index + 1) * step - 1
        answers = f"{low} words" if low == high else f"{low} to {high} words"
        if index == len(bins) - 1 and ordered[-1] > high:
            answers = f"{low} words or more"
        bar_height = max(H * count / highest, 1.5 if count else 0)
        shapes.append(
            HistogramBin(
                index * bar_width + 0.75, H - bar_height, bar_width - 1.5, bar_height, answers, count
            )
        )
    label_step = max(1, round(len(bins) / 5))
    scale = tuple((index * bar_width, start + index * step) for index in range(0, len(bins), label_step))
    median_words = median(counts)
    median_x = (min(median_words, last) - start) / step * bar_width + bar_width / 2 / step
    label = f"{title}: {total:,} answers, {first} to {ordered[-1]} words, the middle one {median_words}"
    return Plot(title, label, colour, tuple(shapes), scale, median_words, median_x, ordered[-1])


def _round_step(minimum: float) -> int:
    """The smallest of 1, 2, 5, 10, 20, 50, ... that is not below `minimum`."""
    power = 10 ** math.floor(math.log10(max(minimum, 1)))
    return next(int(power * factor) for factor in (1, 2, 5, 10) if power * factor >= minimum)
