"""Duplicates and near duplicates of earlier samples, found in one pass and in bounded memory.

The answers of a sample are compared, as one text. Questions are not, since there are few ways to ask. A short text such
as "He is standing." may recur with other images where their facts support it; without such facts it is what a model
says of any image. A long text that fits two images describes neither.

Near duplicates are found by MinHash (Broder, 1997) over runs of words, with bands (locality-sensitive hashing). The
table of a band has a fixed size and its newest entry wins, so that its memory does not grow. Since similar texts share
many bands, hardly any is missed because of that.
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
SHORT = 25  # words below which a text may recur with other images
SIMILAR = 0.8  # share of common runs (Jaccard, estimated) from which texts are near duplicates
ROWS, BANDS = 4, 16  # hashes of a band; texts that share 0.8 meet in a band with probability 0.9998
SLOTS = 1 << 18  # entries of a band's table
_BLOCK = 8192  # samples that memory is allocated for at a time
_MULTIPLIERS = np.random.default_rng(2506_21317).integers(
    1, 2**64, ROWS * BANDS, np.uint64, endpoint=False
) | np.uint64(1)


class Duplicates:
    """Finds samples that repeat an earlier one, which is kept. It is given the samples in their order.

    supported: whether the facts of its own image support a sample; called for short texts that recur. Memory: 180 bytes
    a sample, 100 more for each short text, and 17 MB.
    """

    def __init__(self, supported: Callable[[Sample], bool] = lambda _: True) -> None:
        self._supported = supported
        self._tables = np.full((BANDS, SLOTS), -1, np.int32)  # the newest sample with a band's hash
        self._hashes: list[NDArray[np.uint16]] = []  # the hashes of each sample, cut to 16 bits
        self._text_hashes: list[NDArray[np.int64]] = []  # the hash of each sample's text
        self._images: list[int] = []  # the image of each sample; ids have no limit
        self._short_texts: dict[int, int] = {}  # the image that a short text was first said of, by its hash

    def faults_of(self, sample: Sample) -> tuple[Fault, ...]:
        """A fault if an earlier sample gave the same answers; if none did, the sample's answers are remembered."""
        answer_words = words(" ".join(answer for _, answer in sample.turns))
        short = len(answer_words) < SHORT
        text = " ".join(answer_words)
        text_of_image = f"{sample.image_id if short else ''} {text}"
        text_hash = _hash(text_of_image)
        if short:
            runs = [text_of_image]
        else:
            runs = [" ".join(answer_words[i : i + RUN]) for i in range(len(answer_words) - RUN + 1)]
        hashes = _min_hashes(runs)
        slots = _bands(hashes)
        cut_hashes = (hashes >> np.uint64(48)).astype(np.uint16)
        for number in sorted({int(n) for n in self._tables[np.arange(BANDS), slots] if n >= 0}):
            earlier_hash, image_id = (
                self._text_hashes[number // _BLOCK][number % _BLOCK],
                self._images[number],
            )
            where = "of this image" if image_id == sample.image_id else f"of image {image_id}"
            if earlier_hash == text_hash:
                return (Fault("duplicate", f"the same was said {where} before"),)
            similarity = float((self._hashes[number // _BLOCK][number % _BLOCK] == cut_hashes).mean())
            if not short and similarity >= SIMILAR:
                words_of_fault = f"nearly the same was said {where} before ({similarity:.0%})"
                return (Fault("near-duplicate", words_of_fault),)
        if short:
            first_image_id = self._short_texts.setdefault(_hash(text), sample.image_id)
            if first_image_id != sample.image_id and not self._supported(sample):
                return (
                    Fault(
                        "duplicate",
                        f"the same was said of image {first_image_id} before, and no fact bears it out here",
                    ),
                )
        self._remember(cut_hashes, text_hash, sample.image_id, slots)
        return ()

    def _remember(
        self, cut_hashes: NDArray[np.uint16], text_hash: int, image_id: int, slots: NDArray[np.int64]
    ) -> None:
        block, row = divmod(count := len(self._images), _BLOCK)
        if row == 0:
            self._hashes.append(np.zeros((_BLOCK, ROWS * BANDS), np.uint16))
            self._text_hashes.append(np.zeros(_BLOCK, np.int64))
        self._hashes[block][row] = cut_hashes
        self._text_hashes[block][row] = text_hash
        self._images.append(image_id)
        self._tables[np.arange(BANDS), slots] = count


def _hash(text: str) -> int:
    """63 bits, the same in every process."""
    return crc32(text.encode()) << 31 ^ crc32(text[::-1].encode())


def _min_hashes(runs: list[str]) -> NDArray[np.uint64]:
    """The smallest value of each hash over the runs, (ROWS * BANDS,); the same on every machine."""
    base = np.array([crc32(run.encode()) for run in runs], np.uint64)
    mixed = (base[:, None] + np.uint64(1)) * _MULTIPLIERS  # modulo 2**64
    mixed ^= mixed >> np.uint64(29)
    mixed *= np.uint64(0xBF58476D1CE4E5B9)  # splitmix64's
    mixed ^= mixed >> np.uint64(32)
    minima: NDArray[np.uint64] = mixed.min(axis=0)
    return minima * np.uint64(0x94D049BB133111EB)  # the minima of many values have leading zeros


def _bands(hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
    """(BANDS,): the slot of each band's table."""
    rows = hashes.reshape(BANDS, ROWS)
    combined = rows[:, 0].copy()
    for row in range(1, ROWS):
        combined = (combined ^ rows[:, row]) * np.uint64(0x9E3779B97F4A7C15)
        combined ^= combined >> np.uint64(31)
    return (combined % np.uint64(SLOTS)).astype(np.int64)
