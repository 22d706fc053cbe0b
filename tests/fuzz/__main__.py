"""Damaged files through every reader, odd texts through every parser.

    python -m tests.fuzz --seed 1 --minutes 3 [--targets coco,reply] [--out build/fuzz]
    python -m tests.fuzz --case 1:coco:17

Whatever is raised that is no PosetalkError (nor what a parser documents), and whatever takes too long or longer than in
proportion to its text, is a finding: printed once with the case that makes it again, and written to OUT/findings.txt
with its traceback, the input beside it. Exit code 1 where there is one.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections import Counter
from itertools import count
from pathlib import Path

from tests.fuzz.run import Finding, tried
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
    end = time.monotonic() + 60 * given.minutes
    # a case of each target in turn; every tenth of a parser's is one of growth
    for number in count():
        for name in names:
            if time.monotonic() > end:
                print(
                    f"{cases:,} cases, {len(findings)} findings in {given.out if findings else 'none of them'}"
                )
                return int(bool(findings))
            growth = name in PARSERS and number % 10 == 9
            if name == "model" and number % 20:
                continue  # takes a second
            found = tried(f"{given.seed}:{name}:{f'growth-{number}' if growth else number}")
            cases += 1
            if found:
                _tell(found, name, findings, given.out)
    raise AssertionError("time ends")


def _tell(found: Finding, name: str, findings: Counter[str], out: Path) -> None:
    """Each mistake of a target once, the same error from the same line; of texts that take long, a few."""
    same = f"{name} {found.what.split(': ')[0]}"
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
