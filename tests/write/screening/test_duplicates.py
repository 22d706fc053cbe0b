"""What was said before is found, what is only alike a little is not, and memory is bounded."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posetalk.write.samples.sample import Sample, Turns
from posetalk.write.screening.duplicates import RUN, SHORT, SIMILAR, Duplicates
from posetalk.write.screening.english import words

LONG = (
    "The person at the stove stirs a pot with the right hand while the left one holds its handle. The feet are close "
    "together, both legs are straight, and the head is bent down over the steam that rises from the pot."
)


def sample(*answers: str, image_id: int = 1, question: str = "What is seen?") -> Sample:
    turns: Turns = tuple((question, answer) for answer in answers)
    return Sample("x", image_id, "a.jpg", "detail", turns, "test")


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        (sample(LONG), sample(LONG), "duplicate"),
        (sample(LONG), sample(LONG, image_id=2), "duplicate"),
        (sample(LONG), sample(LONG.upper().replace(",", " --"), image_id=2), "duplicate"),
        (sample(LONG), sample(LONG, question="And now?"), "duplicate"),
        (sample(LONG, "Nobody."), sample(f"{LONG} Nobody."), "duplicate"),
        (sample(LONG), sample(LONG.replace("steam", "smoke"), image_id=2), "near-duplicate"),
        (sample(LONG), sample(f"{LONG} Nobody else."), "near-duplicate"),
        (
            sample(LONG),
            sample(LONG.replace("stove", "sink").replace("stirs", "cleans").replace("left", "other")),
            None,
        ),
        (sample(LONG), sample(" ".join(reversed(LONG.split()))), None),
        (sample("He is standing."), sample("He is standing."), "duplicate"),
        (sample("He is standing."), sample("he is STANDING"), "duplicate"),
        (sample("He is standing."), sample("He is standing.", image_id=2), None),
        (sample("He is standing."), sample("He is standing.", "His left arm is raised."), None),
        (sample(""), sample("", image_id=2), None),
    ],
)
def test_what_counts_as_said_before(first: Sample, second: Sample, reason: str | None) -> None:
    duplicates = Duplicates()
    assert duplicates.faults_of(first) == ()
    assert [fault.reason for fault in duplicates.faults_of(second)] == ([reason] if reason else [])


def test_the_first_stays_and_is_named() -> None:
    duplicates = Duplicates()
    assert duplicates.faults_of(sample(LONG, image_id=785)) == ()
    for _ in range(3):
        [fault] = duplicates.faults_of(sample(LONG, image_id=2))
        assert "of image 785" in fault.words
    [fault] = duplicates.faults_of(sample(LONG, image_id=785))
    assert "of this image" in fault.words


def text(draw: random.Random, length: int) -> list[str]:
    return [f"w{draw.randrange(3000)}" for _ in range(length)]


def test_against_counting_runs_one_by_one() -> None:
    """Of texts with some words changed, those well above the threshold are found and those well below are not."""
    draw, duplicates = random.Random(0), Duplicates()
    near = far = found = mistaken = 0
    for number in range(300):
        one = text(draw, draw.randint(SHORT + 10, 200))
        other = [f"x{draw.randrange(3000)}" if draw.random() < number / 4000 else word for word in one]
        runs = [{tuple(some[i : i + RUN]) for i in range(len(some) - RUN + 1)} for some in (one, other)]
        alike = len(runs[0] & runs[1]) / len(runs[0] | runs[1])
        assert duplicates.faults_of(sample(" ".join(one), image_id=number)) == ()
        faults = duplicates.faults_of(sample(" ".join(other), image_id=-number - 1))
        if alike >= SIMILAR + 0.1:
            near += 1
            found += bool(faults)
        elif alike <= SIMILAR - 0.15:
            far += 1
            mistaken += bool(faults)
    assert near > 50 and far > 40
    assert found >= 0.97 * near and mistaken <= 0.02 * far


def test_memory_is_bounded_and_old_texts_are_not_forgotten() -> None:
    """144 bytes a sample, room being made for 8,192 at a time, and the tables: 36 MB for 135,000 samples."""
    draw = random.Random(1)
    texts = [" ".join(text(draw, 30)) for _ in range(100)]
    tracemalloc.start()
    try:
        duplicates = Duplicates()
        empty = tracemalloc.get_traced_memory()[0]
        for number, one in enumerate(texts):
            assert duplicates.faults_of(sample(one, image_id=number)) == ()
        for number in range(3_000):
            duplicates.faults_of(sample(" ".join(text(draw, 30)), image_id=number))
        full = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert empty < 18 << 20 and full - empty < 8192 * 160
    for number, one in enumerate(texts):
        [fault] = duplicates.faults_of(sample(one, image_id=-1))
        assert fault.reason == "duplicate" and f"image {number} " in fault.words


def test_the_same_is_found_in_every_process() -> None:
    """Python's own hashes of texts differ between processes."""
    code = (
        "import sys; sys.path.insert(0, '.')\n"
        "from posetalk.write.screening.duplicates import _bands, _min_hashes\n"
        "print(_bands(_min_hashes(['he is standing', 'is standing there'])).tolist())"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    ]
    assert said[0] == said[1] != ""


@given(st.lists(st.tuples(st.text(max_size=80), st.integers(0, 3)), max_size=12))
@settings(deadline=None)
def test_no_duplicate_is_kept_and_nothing_else_is_lost(said: list[tuple[str, int]]) -> None:
    """Short texts: exactly the first of each picture's is kept."""
    duplicates, kept = Duplicates(), set()
    for answer, image_id in said:
        key = (words(answer), image_id)
        assert bool(duplicates.faults_of(sample(answer, image_id=image_id))) == (key in kept)
        kept.add(key)


@pytest.mark.parametrize(
    ("second", "true", "found"),
    [
        (sample("He is standing.", image_id=2), True, False),
        (sample("He is standing.", image_id=2), False, True),
        (sample("he is -- STANDING", image_id=2), False, True),
        (sample("He is standing.", question="And now?", image_id=2), False, True),
        (sample("He is.", "Standing.", image_id=2), False, True),
        (sample("He is standing.", image_id=1), True, True),  # of the same picture no fact helps
        (sample("He is sitting.", image_id=2), False, False),
        (sample("He is standing.", image_id=2**63), False, True),
    ],
)
def test_a_short_text_recurs_where_the_facts_bear_it_out(second: Sample, true: bool, found: bool) -> None:
    duplicates = Duplicates(lambda _: true)
    assert duplicates.faults_of(sample("He is standing.", image_id=1)) == ()
    assert [fault.reason for fault in duplicates.faults_of(second)] == ["duplicate"] * found


def test_a_long_text_recurs_nowhere() -> None:
    duplicates = Duplicates(lambda _: True)
    assert duplicates.faults_of(sample(LONG, image_id=2**70)) == ()  # ids have no limit
    [fault] = duplicates.faults_of(sample(LONG, image_id=2))
    assert fault.reason == "duplicate" and f"of image {2**70} " in fault.words
