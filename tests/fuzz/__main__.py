"""Damaged files through every reader, odd texts through every parser.

    python -m tests.fuzz --seed 1 --minutes 3 [--targets coco,reply] [--out build/fuzz]
    python -m tests.fuzz --case 1:coco:17

Whatever is raised that is no PosetalkError (nor what a parser documents), and whatever takes too long or longer than in
proportion to its text, is a finding: printed once with the case that makes it again, and written to OUT/findings.txt
with its traceback, the input beside it. Exit code 1 where there is one.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import TextIO

from tests.fuzz.run import Finding, case, tried
from tests.fuzz.targets import FULL, PARSERS

FEW = 5
MEMORY = 8 << 30  # bytes; a file that makes more of it needed is a finding


def main() -> int:
    options = argparse.ArgumentParser(prog="python -m tests.fuzz")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--minutes", type=float, default=3)
    options.add_argument("--targets", default=",".join(FULL))
    options.add_argument("--out", type=Path, default=Path("build/fuzz"))
    options.add_argument("--case", help="run this one alone")
    given = options.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    if given.case:
        found = tried(given.case)
        print(f"{found.case} {found.what}\n{found.trace}" if found else f"{given.case}: nothing is found")
        return int(found is not None)
    names = given.targets.split(",")
    if unknown := set(names) - set(FULL):
        options.error(f"there is no target {min(unknown)}; there are {', '.join(FULL)}")
    findings, cases = Counter[str](), 0
    end, rest = time.monotonic() + 60 * given.minutes, _cases(given.seed, names)
    # in a process of its own, which another takes the place of where a damaged file kills it
    while time.monotonic() < end:
        pipe, started = _child(rest, end)
        for line in pipe:
            kind, *found = ast.literal_eval(line)
            if kind == "begun":
                started, cases = found[0], cases + 1
                if next(rest) != started:
                    raise AssertionError("parent and child have the same cases in the same order")
            else:
                _tell(Finding(*found), findings, given.out)
        status = os.waitstatus_to_exitcode(os.wait()[1])
        if status:
            how = f"killed by {signal.Signals(-status).name}" if status < 0 else f"exit code {status}"
            data = b"" if "growth" in started else case(started.split(":")[1], random.Random(started))
            _tell(Finding(started, how, "", data), findings, given.out)
    print(f"{cases:,} cases, {len(findings)} kinds of findings{f' in {given.out}' if findings else ''}")
    return int(bool(findings))


def _cases(seed: int, names: list[str]) -> Iterator[str]:
    """A case of each target in turn; every tenth of a parser's is one of growth."""
    for number in count():
        for name in names:
            if name != "model" or number % 20 == 0:  # which takes a second
                growth = name in PARSERS and number % 10 == 9
                yield f"{seed}:{name}:{f'growth-{number}' if growth else number}"


def _child(cases: Iterator[str], end: float) -> tuple[TextIO, str]:
    """What a process says that runs cases until the time ends: a line when it begins one, a line for a finding."""
    out, into = os.pipe()
    if not os.fork():
        os.close(out)
        with os.fdopen(into, "w", buffering=1) as pipe:
            while time.monotonic() < end:
                named = next(cases)
                pipe.write(f"{('begun', named)!r}\n")
                if found := tried(named):
                    pipe.write(f"{('found', found.case, found.what, found.trace, found.data)!r}\n")
        os._exit(0)
    os.close(into)
    return os.fdopen(out), ""


def _tell(found: Finding, findings: Counter[str], out: Path) -> None:
    """Each mistake of a target once, the same error from the same line; of texts that take long, a few."""
    same = f"{found.case.split(':')[1]} {found.what.split(': ')[0]}"
    findings[same] += 1
    if findings[same] > (FEW if "growth" in same else 1):
        return
    print(f"{found.case} {found.what}", flush=True)
    out.mkdir(parents=True, exist_ok=True)
    with (out / "findings.txt").open("a", encoding="utf-8", errors="backslashreplace") as file:
        file.write(f"{found.case} {found.what}\n{found.trace}\n")
    (out / found.case.replace(":", "-")).write_bytes(found.data)


if __name__ == "__main__":
    sys.exit(main())
