"""A PoseLLM in ONNX Runtime, which needs no torch: the readout `point`, on the CPU.

The graphs were made by runs/make_onnx.py and lie beside the weights that they read.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from posetalk.errors import PosetalkError
from posetalk.inputs import content_of
from posetalk.locate.engine import Answers
from posetalk.model.fingerprint import check_sums
from posetalk.model.graphs import GRAPHS, cores, graphs_of, has_graphs, sessions
from posetalk.prompt.conversation import Conversation
from posetalk.prompt.file_tokenizer import QUESTION_TOKENIZER, FileTokenizer, question_tokenizer
from posetalk.prompt.wording import Wording
from posetalk.settings import CropSettings, Readout
from posetalk.skeleton import Keypoint
from posetalk.types import Floats

WEIGHTS = "model.safetensors"
UNSEEN = -3e4  # added to attention scores
REFINEMENT_STEPS = 3  # of `settle`
Array = npt.NDArray[np.float32]
R = TypeVar("R")


@dataclass(frozen=True, slots=True, eq=False)
class Crops:
    """P encoded crops.

    Attributes:
        layers: (P, layers, 2, heads, n, width) keys and values.
        cells: (P, side * side, d) keys of the heat map's cells.
    """

    layers: Array
    cells: Array

    def __getitem__(self, rows: slice) -> Crops:
        return Crops(self.layers[rows], self.cells[rows])

    @classmethod
    def concat(cls, parts: Sequence[Crops]) -> Crops:
        """Several as one."""
        return cls(
            np.concatenate([part.layers for part in parts]), np.concatenate([part.cells for part in parts])
        )


class OnnxEngine:
    """Runs a PoseLLM in ONNX Runtime, see `Engine`.

    Each session computes in the thread that calls it. Several people, or several questions, are shared out among
    threads, which wait for each other once a batch, where threads within a session would wait once a layer.

    Args:
        folder: The model folder.
        threads: How many threads compute; None for one for each core.

    Raises:
        PosetalkError: The folder has no ONNX form, or a damaged one.
    """

    name = "onnx"
    points = True

    def __init__(self, folder: str | Path, threads: int | None = None) -> None:
        folder = Path(folder)
        if not has_graphs(folder):
            raise PosetalkError(
                f"{folder} has no ONNX form ({', '.join(GRAPHS)}), which the engine 'onnx' runs; use engine='torch'"
            )
        self.source = str(folder)
        self._threads = threads or cores()
        made = sessions(graphs_of(folder))
        check_sums(folder, "model")
        self._pool = ThreadPoolExecutor(self._threads)
        try:
            config = json.loads((folder / "config.json").read_bytes())
            self._image, self._question, self._point = (one.result() for one in made)
            made_for = {
                s.get_modelmeta().custom_metadata_map["weights"]
                for s in (self._image, self._question, self._point)
            }
            self.readout: Readout = config["readout"]
            self.trained_keypoints = tuple(config["keypoints"] or ())
            self.synonyms: tuple[str, ...] = tuple(config.get("synonyms") or ())
            reads_apart = config.get("question_config") is not None
            self.context: int | None = config["text_config"]["max_position_embeddings"]
            image, tokens = config["image_token_index"], config["image_seq_length"]
        except Exception as error:  # ONNX Runtime has errors of many kinds
            raise PosetalkError(
                f"cannot load the model from {folder}: {error}; get the model again"
            ) from None
        if made_for != {content_of(folder / WEIGHTS).digest}:
            raise PosetalkError(f"the ONNX form in {folder} was made for other weights; use engine='torch'")
        self.crop = CropSettings.check(config["crop"] or {}, "the model's crop")
        words = Wording.check(config["wording"] or {}, "the model's wording")
        questions = question_tokenizer(folder / QUESTION_TOKENIZER) if reads_apart else None
        self.conversation = Conversation(FileTokenizer(folder), words, image, tokens, image + 1, questions)

    def encode(self, pixels: Array, *, points: bool) -> Crops:
        """See `Engine`."""

        def encoded(crop: Array) -> Crops:
            return Crops(*self._image.run(["layers", "cells"], {"pixels": crop[None]}))

        # one at a time, whose arrays stay in the processor's cache
        return Crops.concat(self._each(encoded, pixels))

    def read(self, keypoints: Sequence[Keypoint]) -> list[Array]:
        """See `Engine`."""

        def readings(part: slice) -> list[Array]:
            questions = [self.conversation.question(keypoint) for keypoint in keypoints[part]]
            lengths = np.array([len(question) for question in questions])
            ids = np.zeros((len(questions), lengths.max()), np.int64)
            for row, question in zip(ids, questions, strict=True):
                row[: len(question)] = question
            return list(self._question.run(["readings"], {"ids": ids, "lengths": lengths})[0])

        return [reading for part in self._each(readings, self._parts(len(keypoints))) for reading in part]

    def point(self, crops: Crops, questions: Sequence[Array], scale: Floats) -> Answers:
        """See `Engine`."""
        heat, visible = self._maps(crops, questions)
        return settle(heat, visible, scale.astype(np.float32))

    def heat(self, crops: Crops, questions: Sequence[Array]) -> Floats:
        """See `Engine`."""
        return probabilities(self._maps(crops, questions)[0]).astype(np.float64)

    def _maps(self, crops: Crops, questions: Sequence[Array]) -> tuple[Array, Array]:
        """Logits of the heat maps (P, K, S * S) and of visibility (P, K)."""
        count, prefix = len(questions), crops.layers.shape[4]
        itself = np.where(np.eye(count), 0, UNSEEN)
        asked = {
            "questions": np.stack(questions),
            "unseen": np.concatenate([np.zeros((count, prefix)), itself], 1).astype(np.float32),
            "positions": np.full(count, prefix),
            "ends": np.arange(count),
        }

        def maps(part: slice) -> list[Array]:
            people = {"layers": crops.layers[part], "cells": crops.cells[part]}
            found: list[Array] = self._point.run(["heat", "visible"], people | asked)
            return found

        heat, visible = zip(*self._each(maps, self._parts(len(crops.layers))), strict=True)
        return np.concatenate(heat), np.concatenate(visible)

    def digits(self, crops: Crops, questions: Sequence[Array], branches: int) -> Answers:
        """Raises PosetalkError."""
        raise PosetalkError("the engine 'onnx' has no readout 'digits'; use engine='torch'")

    def _parts(self, count: int) -> list[slice]:
        """As many parts of `count` rows as there are threads, or as there are rows."""
        ends = np.linspace(0, count, min(count, self._threads) + 1).astype(int).tolist()
        return [slice(*part) for part in pairwise(ends)]

    def _each(self, work: Callable[[Any], R], items: Collection[Any]) -> list[R]:
        """The work on each item, in several threads where there are several of both."""
        alone = min(len(items), self._threads) == 1
        return [*map(work, items)] if alone else [*self._pool.map(work, items)]


def probabilities(logits: Array) -> Array:
    """Logits (..., S * S) as probabilities (..., S, S)."""
    side = math.isqrt(logits.shape[-1])
    probability = np.exp(logits - logits.max(-1, keepdims=True))
    probability /= probability.sum(-1, keepdims=True)
    return np.asarray(probability.reshape(*logits.shape[:-1], side, side))


def settle(logits: Array, visible: Array, scale: Array) -> Answers:
    """Turn heat maps into coordinates, as `locate.decode.settle` does in torch.

    Args:
        logits: (P, K, S * S) of the cells.
        visible: (P, K) logits of visibility.
        scale: (P, K) the s of OKS, exp(-d^2 / (2 s^2)), in crop sides.
    """
    probability = probabilities(logits)
    side = probability.shape[-1]
    centres = (np.arange(side, dtype=np.float32) + np.float32(0.5)) / np.float32(side)
    wide = scale[..., None]

    def kernel(values: Array) -> Array:
        return np.asarray(np.exp(-(((centres - values[..., None]) / wide) ** 2) / 2))

    between = np.exp(-(((centres[:, None] - centres) / wide[..., None]) ** 2) / 2)
    best = (between @ probability @ between).reshape(logits.shape).argmax(-1)
    x, y = centres[best % side], centres[best // side]
    for step in range(REFINEMENT_STEPS + 1):
        weighted_x = (kernel(y)[..., None, :] @ probability)[..., 0, :] * kernel(x)
        score = weighted_x.sum(-1)
        if step < REFINEMENT_STEPS:
            weighted_y = (probability @ kernel(x)[..., None])[..., 0] * kernel(y)
            total = np.maximum(score, 1e-12)
            x, y = (weighted_x * centres).sum(-1) / total, (weighted_y * centres).sum(-1) / total
    std = [
        np.sqrt(((centres - place[..., None]) ** 2 * share).sum(-1))
        for place, share in ((x, probability.sum(-2)), (y, probability.sum(-1)))
    ]
    return Answers(
        np.stack([x, y], -1).astype(np.float64),
        np.stack(std, -1).astype(np.float64),
        score.astype(np.float64),
        (1 / (1 + np.exp(-visible))).astype(np.float64),
    )
