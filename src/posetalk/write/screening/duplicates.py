"""Samples that say what another one has said, word by word or nearly so, found in one pass and in bounded memory.

What is compared is all answers of a sample in one text. Questions are not: they are few by nature. "He is standing." is
worth saying of everybody who stands: a short text may recur with other pictures where their facts bear it out. Without
facts to bear it out it is what a model says of any picture; and a page that fits two pictures describes neither.

Near duplicates: MinHash (Broder, 1997) over runs of words, looked up by bands (locality-sensitive hashing). A band's
table is of fixed size and its newest entry wins, so that memory does not grow with it; as alike texts have many bands
in common, next to none is missed by that.
"""

from __future__ import annotations

from collections.abc import Callable
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from posetalk.llm.fault import Fault
from posetalk.write.samples.sample import Sample
from posetalk.write.screening.english import words

RUN = 3  # words that are hashed together
SHORT = 25  # words below which a text may recur with other pictures
ALIKE = 0.8  # share of common runs (Jaccard, estimated) from which texts are near duplicates
ROWS, BANDS = 4, 16  # hashes a band; texts of which 0.8 is common meet in a band with probability 0.9998
SLOTS = 1 << 18  # of a band's table
_BLOCK = 8192  # samples that room is made for at a time
_MIX = np.random.default_rng(2506_21317).integers(
    1, 2**64, ROWS * BANDS, np.uint64, endpoint=False
) | np.uint64(1)


class Duplicates:
    """What was said before. Fed with the samples that are kept, in order: the first of alike ones stays.

    borne_out: whether the facts of its own picture bear out a sample; asked of short ones that recur. 180 bytes a
    sample, 100 more for each short text, and 17 MB.
    """

    def __init__(self, borne_out: Callable[[Sample], bool] = lambda _: True) -> None:
        self._borne_out = borne_out
        self._tables = np.full((BANDS, SLOTS), -1, np.int32)  # the newest sample with a band's hash
        self._blocks: list[NDArray[np.uint16]] = []  # hashes of each sample, cut to 16 bits
        self._keys: list[NDArray[np.int64]] = []  # of each sample: its text's hash
        self._images: list[int] = []  # of each sample: its picture; ids have no limit
        self._short: dict[int, int] = {}  # by the hash of a short text: the picture that it was first said of

    def faults_of(self, sample: Sample) -> tuple[Fault, ...]:
        """A fault if the sample's answers were given before; if not, they are remembered."""
        said = words(" ".join(answer for _, answer in sample.turns))
        short = len(said) < SHORT
        text = " ".join(said)
        anywhere = _hash(text)
        text = f"{sample.image_id if short else ''} {text}"
        whole = _hash(text)
        runs = [text] if short else [" ".join(said[i : i + RUN]) for i in range(len(said) - RUN + 1)]
        hashes = _min_hashes(runs)
        slots = _bands(hashes)
        cut = (hashes >> np.uint64(48)).astype(np.uint16)
        for place in sorted({int(place) for place in self._tables[np.arange(BANDS), slots] if place >= 0}):
            key, image_id = self._keys[place // _BLOCK][place % _BLOCK], self._images[place]
            where = "of this picture" if image_id == sample.image_id else f"of picture {image_id}"
            if key == whole:
                return (Fault("duplicate", f"the same was said {where} before"),)
            alike = float((self._blocks[place // _BLOCK][place % _BLOCK] == cut).mean())
            if not short and alike >= ALIKE:
                return (Fault("near-duplicate", f"nearly the same was said {where} before ({alike:.0%})"),)
        if short:
            first = self._short.setdefault(anywhere, sample.image_id)
            if first != sample.image_id and not self._borne_out(sample):
                return (
                    Fault(
                        "duplicate",
                        f"the same was said of picture {first} before, and no fact bears it out here",
                    ),
                )
        self._remember(cut, whole, sample.image_id, slots)
        return ()

    def _remember(self, cut: NDArray[np.uint16], whole: int, image_id: int, slots: NDArray[np.int64]) -> None:
        block, row = divmod(count := len(self._images), _BLOCK)
        if row == 0:
            self._blocks.append(np.zeros((_BLOCK, ROWS * BANDS), np.uint16))
            self._keys.append(np.zeros(_BLOCK, np.int64))
        self._blocks[block][row] = cut
        self._keys[block][row] = whole
        self._images.append(image_id)
        self._tables[np.arange(BANDS), slots] = count


def _hash(text: str) -> int:
    """63 bits, the same in every process."""
    return crc32(text.encode()) << 31 ^ crc32(text[::-1].encode())


def _min_hashes(runs: list[str]) -> NDArray[np.uint64]:
    """(ROWS * BANDS,): the least of each hash over the runs. The same on every machine and in every process."""
    base = np.array([crc32(run.encode()) for run in runs], np.uint64)
    mixed = (base[:, None] + np.uint64(1)) * _MIX  # modulo 2**64
    mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)  # splitmix64's
    mixed ^= mixed >> np.uint64(32)
    least: NDArray[np.uint64] = mixed.min(axis=0)
    return least * np.uint64(0x94D049BB133111EB)  # the least of many have zeros in front


def _bands(hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
    """(BANDS,): the slot of each band's table."""
    rows = hashes.reshape(BANDS, ROWS)
    found = rows[:, 0].copy()
    for row in range(1, ROWS):
        found = (found ^ rows[:, row]) * np.uint64(0x9E3779B97F4A7C15)
        found ^= found >> np.uint64(31)
    return (found % np.uint64(SLOTS)).astype(np.int64)
