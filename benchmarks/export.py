"""What an exported network keeps of the bundled model: size, accuracy and time of each form.

    python -m benchmarks.export --data LABELS.json PHOTOS [--calibration LABELS.json PHOTOS] [--rounds 3]

--data         COCO-style labels and the folder of their photos: people are located in their labelled boxes
--calibration  the same of other people, on whom ONNX Runtime's full 8-bit quantisation is calibrated; posetalk does not
               write such files, and this says why

Distances are to `Localizer`, in px of the crop of 256 px. The time is of one person at a time on one thread, crops cut
already, in processor seconds, which other programs disturb less: the median over rounds, in turns.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from benchmarks.measure import show
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_dynamic, quantize_static

from posetalk.export.precision import PRECISIONS
from posetalk.export.run import export_onnx
from posetalk.formats.dataset import read_people
from posetalk.images.affine import Square, crop_square
from posetalk.images.opening import cut, read_image
from posetalk.locate.localizer import Localizer
from posetalk.locate.predictions import Prediction, predictions_of
from posetalk.score.evaluate import evaluate
from posetalk.settings import CropSettings
from posetalk.skeleton import load_skeleton
from posetalk.types import Floats, Person, PoseImage, Poses, PoseSet

SKELETON = load_skeleton("coco17")
Inputs = dict[str, np.ndarray[Any, Any]]


def labelled(truth: PoseSet) -> Iterator[tuple[PoseImage, Person]]:
    for image in truth.images:
        for person in image.people:
            if person.labelled.any() and not person.is_crowd:
                yield image, person


def inputs_of(truth: PoseSet, crop: CropSettings) -> tuple[list[Square], list[Inputs]]:
    """Each person's square, and what a network is given."""
    squares, inputs = [], []
    for image, person in labelled(truth):
        pixels, box = read_image(image.path), person.box
        square = crop_square(box, crop, pixels.shape[1], pixels.shape[0])
        size = np.array([[box.w, box.h]], np.float32) * np.float32(square.size / square.side)
        squares.append(square)
        inputs.append({"image": cut(pixels, square)[None], "box": size})
    return squares, inputs


class Calibration(CalibrationDataReader):
    """ONNX Runtime's interface to the inputs that it measures ranges on."""

    def __init__(self, inputs: list[Inputs]) -> None:
        self.inputs = iter(inputs)

    def get_next(self) -> Inputs | None:
        return next(self.inputs, None)


def others(folder: Path, inputs: list[Inputs]) -> dict[str, Path]:
    """The forms of ONNX Runtime's own tools: matrix products in 8 bits, and convolutions with calibrated ranges."""
    whole = folder / "fp32.onnx"
    made = {
        "8-bit products (dynamic)": folder / "dynamic.onnx",
        "8-bit convolutions (static)": folder / "static.onnx",
    }
    dynamic, static = made.values()
    quantize_dynamic(
        whole, dynamic, op_types_to_quantize=["MatMul"], per_channel=True, weight_type=QuantType.QInt8
    )
    options: Any = {"op_types_to_quantize": ["Conv"], "per_channel": True, "weight_type": QuantType.QInt8}
    quantize_static(whole, static, Calibration(inputs), **options)
    return made


def answers(networks: dict[str, Path], inputs: list[Inputs], rounds: int) -> dict[str, tuple[Inputs, float]]:
    """What each network answers, (P, K, ...) by name, and its ms of processor time a person."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    sessions = {name: onnxruntime.InferenceSession(file, options) for name, file in networks.items()}
    names = ["xy", "score", "std", "visible"]
    seconds: dict[str, list[float]] = {name: [] for name in networks}
    found: dict[str, Inputs] = {}
    for _ in range(rounds):
        for name, session in sessions.items():
            session.run(names, inputs[0])
            begun = time.process_time()
            rows = [session.run(names, given) for given in inputs]
            seconds[name].append(time.process_time() - begun)
            found[name] = dict(zip(names, map(np.concatenate, zip(*rows, strict=True)), strict=True))
    return {name: (found[name], float(np.median(seconds[name])) / len(inputs) * 1e3) for name in networks}


def accuracy(truth: PoseSet, xy: list[Floats], score: list[Floats]) -> tuple[float, float]:
    """AP and mean OKS of places in px of the photos."""
    rows: list[Prediction] = []
    for (image, person), places, scores in zip(labelled(truth), xy, score, strict=True):
        poses = Poses(places[None], scores[None], SKELETON.names, (person.box,))
        rows += predictions_of(image, [person.id], poses)
    numbers = evaluate(truth, rows, SKELETON).numbers
    return float(numbers["AP"] or 0), float(numbers["mean_oks"] or 0)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", nargs=2, type=Path, required=True)
    parser.add_argument("--calibration", nargs=2, type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    truth = read_people(*given.data)
    localizer = Localizer.from_pretrained("bundled", batch_size=1)
    squares, inputs = inputs_of(truth, localizer.crop)
    boxes = [(image.path, [person.box]) for image, person in labelled(truth)]
    located = [poses for poses in localizer.locate_all(boxes) if isinstance(poses, Poses)]
    exact = [poses.xy[0] for poses in located]
    ap, oks = accuracy(truth, exact, [poses.score[0] for poses in located])
    rows = [["Localizer", "", f"{ap:.3f}", f"{oks:.4f}", "", "", "", ""]]
    data: dict[str, Any] = {"Localizer": {"AP": ap, "mean_oks": oks}}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        networks = {
            precision: export_onnx(folder / f"{precision}.onnx", SKELETON, precision=precision)
            for precision in PRECISIONS
        }
        if given.calibration:
            people = inputs_of(read_people(*given.calibration), localizer.crop)[1]
            networks |= others(folder, people[:: len(people) // 32])
        for form, (found, ms) in answers(networks, inputs, given.rounds).items():
            size = networks[form].stat().st_size / 1e6
            pairs = list(zip(squares, found["xy"], strict=True))
            places = [square.denormalise(xy / square.size) for square, xy in pairs]
            ap, oks = accuracy(truth, places, list(found["score"]))
            crops = [xy - square.to_crop(known) for (square, xy), known in zip(pairs, exact, strict=True)]
            away = np.linalg.norm(crops, axis=-1)
            median, p95, mean = np.median(away), np.quantile(away, 0.95), away.mean()
            data[form] = {"MB": size, "AP": ap, "mean_oks": oks, "ms": ms}
            data[form] |= {"px_median": median, "px_p95": p95, "px_mean": mean, "px_max": away.max()}
            distances = [f"{median:.2g}", f"{p95:.2g}", f"{away.max():.2g}"]
            rows.append([form, f"{size:.1f}", f"{ap:.3f}", f"{oks:.4f}", *distances, f"{ms:.1f}"])
    header = ["form", "MB", "AP", "mean OKS", "px median", "px 95 %", "px largest", "ms a person"]
    show("export", f"The bundled model exported, {len(inputs)} people", header, rows, data)


if __name__ == "__main__":
    main()
