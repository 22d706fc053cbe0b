"""Keep up with a source that does not wait."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from threading import Condition, Thread
from typing import Generic, TypeVar

T = TypeVar("T")


class Newest(Generic[T]):
    """Iterates over a source in a thread, and gives the newest item to whoever asks.

    Attributes:
        left_out: How many items nobody asked for before the next one came.
    """

    def __init__(self, source: Iterable[T]) -> None:
        self.left_out = 0
        self._source = source
        self._change = Condition()
        self._item: list[T] = []  # one at most
        self._error: BaseException | None = None
        self._ended = self._stopped = False

    def __iter__(self) -> Generator[T, None, None]:
        """The items; it waits for each, and raises what the source raises."""
        # a source that is silent for long must not hold up the end of the program
        Thread(target=self._read, daemon=True).start()
        try:
            while True:
                with self._change:
                    self._change.wait_for(lambda: self._item or self._ended)
                    if not self._item:
                        break
                    item = self._item.pop()
                yield item
            if self._error is not None:
                raise self._error
        finally:
            self._stopped = True

    def _read(self) -> None:
        try:
            for item in self._source:
                with self._change:
                    self.left_out += len(self._item)
                    self._item[:] = [item]
                    self._change.notify()
                if self._stopped:
                    break
        except BaseException as error:
            self._error = error
        with self._change:
            self._ended = True
            self._change.notify()
