"""The command line: one command per stage. Parses and calls, nothing else; heavy imports wait for the command."""

from __future__ import annotations

import sys

from cyclopts import CycloptsError

from posetalk.cli import bench, points, tune, words  # noqa: F401  (they add their commands)
from posetalk.cli.app import app
from posetalk.errors import PosetalkError


def main(argv: list[str] | None = None) -> None:
    """Run a command. Bad input: one sentence on standard error, exit code 2."""
    try:
        app(argv, exit_on_error=False, print_error=False)
    except (PosetalkError, CycloptsError) as error:
        print(f"posetalk: {' '.join(str(error).split())}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print(
            "posetalk: stopped; what was done is kept, the same command goes on from there", file=sys.stderr
        )
        raise SystemExit(130) from None
