"""Write a model and the keypoints that it is asked for as one ONNX file."""

from __future__ import annotations

import io
import os
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import torch

from posetalk.atomic_files import whole_file
from posetalk.errors import PosetalkError
from posetalk.export.metadata import describe
from posetalk.export.network import PoseNetwork
from posetalk.export.precision import PRECISIONS, Precision, store
from posetalk.locate.localizer import Localizer
from posetalk.model.files import load
from posetalk.model.pointing import eager_attention
from posetalk.resources import model_path
from posetalk.skeleton import KeypointQuery, Skeleton, load_skeleton

OPSET = 17  # of 2022: older runtimes read it too
INPUTS, OUTPUTS = ("image", "box"), ("xy", "score", "std", "visible")
LIMIT = 2**31  # bytes, of a protobuf file
TOLERANCE = 1e-3  # of scores, between torch and ONNX Runtime


def export_onnx(
    out: str | Path,
    keypoints: KeypointQuery = "coco17",
    *,
    model: str | Path = "bundled",
    precision: Precision = "fp32",
    limbs: Iterable[tuple[int, int]] | None = None,
) -> Path:
    """Write a pose network for chosen keypoints as one ONNX file, which needs neither posetalk nor torch.

    The descriptions are read once, here, and built in. The file takes crops of people and gives places, scores,
    standard deviations and visibility, equal to those of `Localizer`. Its metadata says how to cut people out, and what
    the numbers mean. Needs the extra `onnx`.

    Args:
        out: The file, which ends in .onnx.
        keypoints: As in `Localizer.locate`.
        model: `bundled`, a model folder, or a hub id, of a model with the readout `point`.
        precision: How weights are stored: `fp32`; `fp16`, half the size; `int8`, the large ones in 8 bits, about a
            third. All compute in float32.
        limbs: Pairs of indices of keypoints, for drawings; None for those of the skeleton.

    Returns:
        The file.

    Raises:
        PosetalkError: the model has no readout `point`, is too large for one file, or has a part that ONNX cannot
            hold; the keypoints cannot be located, see `Localizer.questions`; the file cannot be written.
    """
    out = Path(out)
    if out.suffix != ".onnx":
        raise PosetalkError(
            f"an exported network is an .onnx file, not {out}; give a name that ends in .onnx"
        )
    if precision not in PRECISIONS:
        raise PosetalkError(f"there is no precision {precision!r}; choose {', '.join(PRECISIONS)}")
    posellm, tokenizer = load(model)
    if not posellm.config.cells:
        raise PosetalkError(
            f"{model} answers with digits alone, which a network of one pass cannot write; export a model with the "
            "readout 'point'"
        )
    localizer = Localizer(posellm, tokenizer, readout="point")
    points = localizer.questions(keypoints)
    if limbs is None:
        limbs = _skeleton_limbs(keypoints)
    network = PoseNetwork(posellm, localizer.conversation, localizer.crop, points).eval()
    with eager_attention(posellm), torch.no_grad():
        made = _export(network, str(model))
        _check(made, network, str(model))
    store(made, precision)
    describe(made, points, limbs, localizer.crop, str(model), Path(model_path(model)), precision)
    with whole_file(out) as part:
        part.write_bytes(made.SerializeToString(deterministic=True))
    return out


def _skeleton_limbs(keypoints: KeypointQuery) -> tuple[tuple[int, int], ...]:
    if isinstance(keypoints, Skeleton):
        return keypoints.limbs
    try:
        return load_skeleton(keypoints).limbs if isinstance(keypoints, str | Path) else ()
    except PosetalkError:  # a single keypoint's description
        return ()


def _export(network: PoseNetwork, name: str) -> onnx.ModelProto:
    apart = ("embed_tokens", "question_encoder", "question_reader")  # have done their work
    numbers = sum(p.numel() for key, p in network.named_parameters() if not any(a in key for a in apart))
    if 4 * numbers > LIMIT:
        raise PosetalkError(
            f"{name} has {numbers / 1e6:,.0f} million weights, and an ONNX file holds 2 GB; export a smaller model"
        )
    given = _random(network, 2)
    network(*given)  # positions are interpolated, which the exporter is not to see
    file: Any = io.BytesIO()  # its types do not know buffers
    try:
        with warnings.catch_warnings(), _silent_output():
            # The exporter that traces is deprecated, and made in a tenth of the time, with one package in place of
            # four, a network that computes the same. It warns of shapes that become constants: all but the number of
            # people are.
            warnings.simplefilter("ignore")
            torch.onnx.export(
                network,
                given,
                file,
                input_names=list(INPUTS),
                output_names=list(OUTPUTS),
                dynamic_axes={value: {0: "people"} for value in (*INPUTS, *OUTPUTS)},
                opset_version=OPSET,
                dynamo=False,
            )
    except (torch.onnx.errors.OnnxExporterError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise PosetalkError(f"{name} has a part that ONNX cannot hold: {reason}") from None
    return onnx.load_from_string(file.getvalue())


@contextmanager
def _silent_output() -> Iterator[None]:
    """Drop what C++ code prints: an exporter that fails prints its whole graph."""
    sys.stdout.flush()
    output, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        os.dup2(output, 1)
        os.close(output)
        os.close(nowhere)


def _check(made: onnx.ModelProto, network: PoseNetwork, name: str) -> None:
    """Compare with torch, for other numbers of people than the one that it was made with."""
    session = onnxruntime.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    for people in (1, 3):
        given = _random(network, people)
        expected = network(*given)
        try:
            found = session.run(None, {key: value.numpy() for key, value in zip(INPUTS, given, strict=True)})
        except Exception as error:  # ONNX Runtime has errors of many kinds
            found, reason = None, str(error).strip().splitlines()[0]
        else:
            away = max(float(abs(found[n] - expected[n].numpy()).max()) for n in (1, 3))
            reason = f"scores differ by {away:.3g}"
        if found is None or away > TOLERANCE or not np.isfinite(found[0]).all():
            raise PosetalkError(f"{name} has a part that ONNX cannot hold: for {people} people, {reason}")


def _random(network: PoseNetwork, people: int) -> tuple[torch.Tensor, torch.Tensor]:
    random, size = np.random.default_rng(people), network.size
    image = random.integers(0, 256, (people, size, size, 3), dtype=np.uint8)
    return torch.from_numpy(image), torch.from_numpy(random.uniform(0.3, 0.8, (people, 2)) * size).float()
