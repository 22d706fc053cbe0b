"""Cases of the targets, made from a seed, run with a limit of time, and what was found."""

from __future__ import annotations

import random
import signal
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.mutate import mutated, text_of
from tests.fuzz.targets import EXPECTED, PARSERS, READERS, Parser, Reader

SECONDS, SECONDS_A_BYTE = 2.0, 1e-4  # of the processor; a case that takes longer is a finding
SHORT, TIMES = 8_000, 4  # a text of so many characters, and one so many times as long
STEEPER, SLACK = 8.0, 0.1  # what takes 8 times as long for 4 times the text grows faster than it; seconds


class TooSlow(BaseException):
    """No Exception, so that nobody takes it for a damaged file."""


@dataclass(frozen=True)
class Finding:
    """case: `1:coco:17`, which makes it again. what: the error and where it was raised, or the time."""

    case: str
    what: str
    trace: str
    data: bytes


def case(name: str, draw: random.Random) -> bytes:
    """What a target gets."""
    if name in READERS:
        return mutated(READERS[name].seeds(), draw)
    return text_of(PARSERS[name].pieces, draw).encode("utf-8", "surrogatepass")


def tried(named: str) -> Finding | None:
    """Run a case: `seed:target:number`, or `seed:target:growth-number` for how the time grows with the text."""
    _, name, number = named.split(":")
    draw = random.Random(named)
    if number.startswith("growth"):
        return _growth(named, PARSERS[name], draw)
    data = case(name, draw)
    try:
        _run(READERS.get(name) or PARSERS[name], data, SECONDS + SECONDS_A_BYTE * len(data))
    except (Exception, TooSlow) as error:
        return Finding(named, _where(error), traceback.format_exc(), data)
    return None


def _growth(named: str, parser: Parser, draw: random.Random) -> Finding | None:
    unit = "".join(draw.choice(parser.pieces) for _ in range(draw.randint(1, 3))) or " "
    short = (unit * SHORT)[:SHORT]
    try:
        once = _run(parser, short.encode("utf-8", "surrogatepass"), 20.0)
        for _ in range(3):  # what is slow once may have been interrupted, by the collector of garbage say
            more = _run(parser, (short * TIMES).encode("utf-8", "surrogatepass"), 20.0)
            if more <= STEEPER * once + SLACK:
                return None
    except (Exception, TooSlow) as error:
        what = f"growth: {unit!r} again and again: {_where(error)}"
        return Finding(named, what, traceback.format_exc(), short.encode("utf-8", "surrogatepass"))
    what = f"growth: {unit!r} again and again: {SHORT} characters {once:.2f} s, {SHORT * TIMES} characters {more:.2f} s"
    return Finding(named, what, "", (short * TIMES).encode("utf-8", "surrogatepass"))


def _run(target: Reader | Parser, data: bytes, seconds: float) -> float:
    """The processor's seconds. Errors: what is not documented; TooSlow."""
    with folder({}) as at:
        if isinstance(target, Reader):
            for name, other in (target.others or {}).items():
                (at / name).write_bytes(other)
            (at / target.name).write_bytes(data)
        start = time.process_time()
        try:
            with _limit(seconds), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of numpy, about numbers that no picture has
                if isinstance(target, Reader):
                    target.read(at / target.name)
                else:
                    target.parse(data.decode("utf-8", "surrogatepass"))
        except EXPECTED as error:
            if not str(error).strip():
                raise AssertionError("an error without a sentence") from error
        took = time.process_time() - start
    if took > seconds:  # in code that no signal stops
        raise TooSlow(f"{took:.1f} s")
    return took


@contextmanager
def _limit(seconds: float) -> Iterator[None]:
    """Seconds of the processor, so that a busy machine is no finding."""

    def stop(*_: object) -> None:
        raise TooSlow(f"{seconds:.1f} s")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds, 0.5)  # again, where an error on the way hid the first
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


@contextmanager
def folder(given: dict[str, bytes]) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="fuzz") as name:
        for file, data in given.items():
            (Path(name) / file).write_bytes(data)
        yield Path(name)


def _where(error: BaseException) -> str:
    """The error and the last line of posetalk that it came through: the same for the same mistake."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "posetalk" in Path(frame.filename).parts
    ]
    at = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "?"
    return f"{type(error).__name__} at {at}: {str(error)[:120]!r}"
