"""The number formats that an exported network's weights are stored in. All are computed with in float32."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from posetalk.types import Floats

Precision = Literal["fp32", "fp16", "int8"]
PRECISIONS = get_args(Precision)
SMALL = 1_000  # numbers; a smaller weight stays as it is
# Smaller weights stay in float16 at int8: the narrow first layers of a vision encoder lose most by it.
LARGE = 100_000


def store(network: ModelProto, precision: Precision) -> None:
    """Change how the weights of convolutions and matrix products are stored.

    A weight that was converted goes through a cast (for int8, and a product with a factor for each output channel) that
    ONNX Runtime computes once, when it loads the file.

    Args:
        network: Is changed.
        precision: `fp32` leaves it as it is; `fp16` rounds the weights; `int8` also rounds the large ones to 255 steps.
    """
    if precision == "fp32":
        return
    graph = network.graph
    users: dict[str, list[NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    restored: list[NodeProto] = []
    for tensor in list(graph.initializer):
        using = users.get(tensor.name, [])
        if tensor.data_type != TensorProto.FLOAT or not all(
            node.op_type in ("Conv", "MatMul", "Gemm") for node in using
        ):
            continue
        weight: npt.NDArray[Any] = numpy_helper.to_array(tensor)
        if weight.size < SMALL or abs(weight).max() > np.finfo(np.float16).max:
            continue
        name, stored = tensor.name, f"{tensor.name}.stored"
        graph.initializer.remove(tensor)
        cast = helper.make_node("Cast", [stored], [name], to=TensorProto.FLOAT)
        if precision == "int8" and weight.size >= LARGE:
            steps, factor = _rounded(weight, _output_axis(using[0], weight.ndim))
            graph.initializer.append(numpy_helper.from_array(steps, stored))
            graph.initializer.append(numpy_helper.from_array(factor, f"{name}.factor"))
            cast.output[0] = f"{name}.steps"
            restored += [cast, helper.make_node("Mul", [cast.output[0], f"{name}.factor"], [name])]
        else:
            graph.initializer.append(numpy_helper.from_array(weight.astype(np.float16), stored))
            restored.append(cast)
    nodes = [*restored, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def _rounded(weight: Floats, axis: int) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """A weight as whole numbers in -127..127, and the factor of each channel of `axis`."""
    others = tuple(n for n in range(weight.ndim) if n != axis)
    factor = np.maximum(abs(weight).max(others, keepdims=True), 1e-12) / 127
    return np.round(weight / factor).astype(np.int8), factor.astype(np.float32)


def _output_axis(node: NodeProto, dimensions: int) -> int:
    if node.op_type == "Conv":
        return 0
    transposed = any(part.name == "transB" and part.i for part in node.attribute)
    return 0 if transposed else dimensions - 1
