"""The short form of benchmarks/serve_load.py: several callers at once, each answer compared with a single call's."""

from __future__ import annotations

from benchmarks.serve_load import load, singly
from benchmarks.served import Served


def test_every_answer_under_load_is_a_single_call_s(server: Served, photos: list[bytes]) -> None:
    few = photos[:4]
    right = singly(server, few)
    assert len({str(one) for one in right}) == len(few)
    found = load(server, few, right, callers=4, seconds=1.5)
    assert found.seconds and not found.wrong and not found.refused
    early, late = found.mb
    assert late < early + 200
    wrong = load(server, few, right[::-1], callers=2, seconds=0.2)  # whose answers are mixed up
    assert wrong.wrong and not wrong.seconds
