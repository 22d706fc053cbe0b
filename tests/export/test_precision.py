"""Weights in fewer bits are the weights, to the step of their own channel."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from posetalk.export import precision
from posetalk.export.precision import store

RANDOM = np.random.default_rng(0)


def network(operation: str, weight: np.ndarray, given: list[int], **attributes: int) -> onnx.ModelProto:
    node = helper.make_node(operation, ["x", "w"], ["y"], **attributes)
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, given)
    y = helper.make_tensor_value_info(
        "y", TensorProto.FLOAT, [None] * (weight.ndim if operation == "Conv" else 2)
    )
    graph = helper.make_graph([node], "one", [x], [y], [numpy_helper.from_array(weight, "w")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def run(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"x": x})[0])


CASES = [
    ("MatMul", (40, 30), 1, [5, 40], {}),
    ("Gemm", (40, 30), 1, [5, 40], {}),
    ("Gemm", (30, 40), 0, [5, 40], {"transB": 1}),
    ("Conv", (30, 8, 3, 3), 0, [1, 8, 6, 6], {}),
    ("Conv", (30, 8, 5), 0, [1, 8, 9], {}),
]


@pytest.mark.parametrize(("operation", "shape", "axis", "given", "attributes"), CASES)
@pytest.mark.parametrize(("form", "step"), [("fp16", 2**-11), ("int8", 1 / 254)])
def test_each_output_channel_has_its_own_step(
    operation: str,
    shape: tuple[int, ...],
    axis: int,
    given: list[int],
    attributes: dict[str, int],
    form: str,
    step: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(precision, "LARGE", 0)
    spread = 10.0 ** RANDOM.uniform(-3, 3, shape[axis])  # a step for all channels would lose the small ones
    weight = np.moveaxis(RANDOM.uniform(-1, 1, shape).astype(np.float32), axis, -1)
    weight = np.ascontiguousarray(np.moveaxis(weight * spread, -1, axis), np.float32)
    model = network(operation, weight, given, **attributes)
    x = RANDOM.uniform(-1, 1, given).astype(np.float32)
    before, size = run(model, x), model.ByteSize()
    store(model, form)  # type: ignore[arg-type]
    onnx.checker.check_model(model, full_check=True)
    after = run(model, x)
    channel = 1 if operation != "MatMul" else -1
    error = np.moveaxis(abs(after - before), channel, -1).reshape(-1, shape[axis]).max(0)
    terms = weight.size / shape[axis]
    assert (error < spread * step * terms).all()
    if form == "int8":
        assert error.max() > 0 and model.ByteSize() < 0.55 * size


def test_what_is_small_or_no_weight_or_too_large_for_half_stays() -> None:
    huge = np.full((40, 30), 1e6, np.float32)
    for model in (
        network("MatMul", np.ones((3, 30), np.float32), [5, 3]),
        network("Add", np.ones((40, 30), np.float32), [40, 30]),
        network("MatMul", huge, [5, 40]),
    ):
        before = model.SerializeToString()
        store(model, "int8")
        assert model.SerializeToString() == before


def test_single_precision_is_left_alone() -> None:
    model = network("MatMul", np.ones((400, 300), np.float32), [5, 400])
    before = model.SerializeToString()
    store(model, "fp32")
    assert model.SerializeToString() == before
