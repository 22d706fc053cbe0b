"""Charts as inline SVG and HTML, drawn by nothing but their own text; colours are the page's."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from html import escape

from posetalk.write.samples.statistics import median

BINS = 24  # of a histogram, at most
W, H = 320, 120  # of its plot, in its own units


def bars(rows: Sequence[tuple[str, int]], total: int, colours: Sequence[str] = ()) -> str:
    """Lying bars, the longest as wide as there is room, each with its number and its share of `total`."""
    longest = max((count for _, count in rows), default=1)
    lines = []
    for place, (name, count) in enumerate(rows):
        colour = f"--bar:var({colours[place]});" if colours else ""
        lines.append(
            f'<div class="bar" style="{colour}--part:{100 * count / longest:.2f}%"><span>{escape(name)}</span><i></i>'
            f"<b>{count:,}</b><em>{100 * count / total:.1f} %</em></div>"
        )
    return f'<div class="bars">{"".join(lines)}</div>'


def histogram(title: str, counts: Counter[int], colour: str) -> str:
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
        shapes.append(
            f'<rect x="{place * wide + 0.75:.2f}" y="{H - tall:.2f}" width="{wide - 1.5:.2f}" height="{tall:.2f}" '
            f'rx="1.5"><title>{of}: {count:,} answers</title></rect>'
        )
    every = max(1, round(len(bins) / 5))
    for place in range(0, len(bins), every):
        shapes.append(f'<text x="{place * wide:.1f}" y="{H + 16}">{start + place * step:,}</text>')
    middle = median(counts)
    at = (min(middle, last) - start) / step * wide + wide / 2 / step
    shapes.append(f'<path d="M{at:.1f} -6V{H}"/>')
    label = f"{title}: {total:,} answers, {first} to {ordered[-1]} words, the middle one {middle}"
    return (
        f'<figure class="plot" style="--bar:var({colour})"><figcaption><i class="dot"></i>{escape(title)}'
        f"<small>middle <b>{middle:,}</b> words, most {ordered[-1]:,}</small></figcaption>"
        f'<svg viewBox="0 -8 {W} {H + 28}" role="img" aria-label="{escape(label)}">{"".join(shapes)}'
        f'<path class="axis" d="M0 {H}H{W}"/></svg></figure>'
    )


def _round_step(least: float) -> int:
    """The next of 1, 2, 5, 10, 20, 50, ... that is no less."""
    ten = 10 ** math.floor(math.log10(max(least, 1)))
    return next(int(ten * one) for one in (1, 2, 5, 10) if ten * one >= least)
