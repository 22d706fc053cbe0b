"""Make the ONNX form of a model with the readout `point`, beside its weights.

    python runs/make_onnx.py src/posetalk/bundled

Three files are written into the model's folder: image.onnx encodes crops of people, question.onnx reads questions,
point.onnx points (`posetalk.model.pointing` says what goes in and comes out). They hold the graphs alone: the weights
are read from model.safetensors, as they lie there, and computed with in float32. The same model gives the same bytes.
Needs the extra `onnx`.
"""

from __future__ import annotations

import argparse
import io
import json
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper

from posetalk.inputs import content_of
from posetalk.model.files import conversation, load
from posetalk.model.fingerprint import write_sums
from posetalk.model.pointing import ImageEncoder, KeypointPointer, QuestionReader, eager_attention
from posetalk.model.posellm import PoseLLM
from posetalk.prompt.conversation import Conversation

OPSET = 17
WEIGHTS = "model.safetensors"
KINDS = {"F16": TensorProto.FLOAT16, "F32": TensorProto.FLOAT}
Axes = dict[str, dict[int, str]]


def graphs(network: PoseLLM, talk: Conversation) -> dict[str, onnx.ModelProto]:
    """The three networks as graphs with weights, by file name."""
    size, config = network.config.crop["size"], network.config.text_config
    length, tokens = len(talk.prefix), 3
    pixels = torch.zeros(2, 3, size, size)
    encoder = ImageEncoder(network, talk.prefix)
    layers, cells = encoder(pixels)
    questions = torch.zeros(tokens, config.hidden_size)
    asked = (torch.zeros(tokens, length + tokens), torch.full((tokens,), length), torch.arange(tokens))
    people = {0: "people"}
    return {
        "image.onnx": _graph(
            encoder,
            (pixels,),
            {"pixels": people},
            {"layers": people, "cells": people},
        ),
        "question.onnx": _graph(
            QuestionReader(network),
            (torch.ones(2, 5, dtype=torch.long), torch.tensor([5, 4])),
            {"ids": {0: "questions", 1: "tokens"}, "lengths": {0: "questions"}},
            {"readings": {0: "questions"}},
        ),
        "point.onnx": _graph(
            KeypointPointer(network),
            (layers, cells, questions, *asked),
            {
                "layers": people,
                "cells": people,
                "questions": {0: "tokens"},
                "unseen": {0: "tokens", 1: "length"},
                "positions": {0: "tokens"},
                "ends": {0: "keypoints"},
            },
            {"heat": {0: "people", 1: "keypoints"}, "visible": {0: "people", 1: "keypoints"}},
        ),
    }


def _graph(network: torch.nn.Module, inputs: tuple[Any, ...], given: Axes, found: Axes) -> onnx.ModelProto:
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of shapes that become constants, which they may here
        torch.onnx.export(
            network.eval(),
            inputs,
            file,
            input_names=list(given),
            output_names=list(found),
            dynamic_axes=given | found,
            opset_version=OPSET,
            do_constant_folding=False,
            dynamo=False,
        )
    return onnx.load_from_string(file.getvalue())


def without_constants(graph: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with all computed that hangs on neither inputs nor weights: shapes, most of all.

    ONNX Runtime does it, at the level that any runtime understands; the weights are inputs meanwhile.
    """
    weights = [tensor for tensor in graph.graph.initializer if tensor.name.startswith("network.")]
    for tensor in weights:
        graph.graph.initializer.remove(tensor)
        graph.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    with TemporaryDirectory() as folder:
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(Path(folder) / "graph.onnx")
        onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])
        smaller = onnx.load(options.optimized_model_filepath)
    del smaller.graph.value_info[:]
    names = {tensor.name for tensor in weights}
    for value in [value for value in smaller.graph.input if value.name in names]:
        smaller.graph.input.remove(value)
    used = {name for node in smaller.graph.node for name in node.input}
    smaller.graph.initializer.extend(tensor for tensor in weights if tensor.name in used)
    return smaller


def fold_padding(graph: onnx.ModelProto) -> None:
    """Have convolutions of stride 2 pad with zeros themselves (TensorFlow's SAME, even sides): what stands between them
    keeps its layout in memory."""
    pads = {node.output[0]: node for node in graph.graph.node if node.op_type == "Pad"}
    for node in graph.graph.node:
        if node.op_type == "Conv" and (pad := pads.get(node.input[0])):
            told = {attribute.name: attribute for attribute in node.attribute}
            assert list(told["strides"].ints) == [2, 2] and not any(told["pads"].ints)
            more = [kernel - 2 for kernel in told["kernel_shape"].ints]
            told["pads"].ints[:] = [total // 2 for total in more] + [total - total // 2 for total in more]
            node.input[0] = pad.input[0]
            graph.graph.node.remove(pad)


def share_weights(graph: onnx.ModelProto, weights: Path) -> None:
    """Have a graph read its weights from a safetensors file in its folder, in place of its own copies."""
    with weights.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        tensors = json.loads(file.read(length))
    casts = []
    for tensor in graph.graph.initializer:
        name = tensor.name.removeprefix("network.")
        if name not in tensors:
            continue
        begin, end = tensors[name]["data_offsets"]
        kind = KINDS[tensors[name]["dtype"]]
        if list(tensor.dims) != tensors[name]["shape"]:
            raise SystemExit(
                f"{name} has the shape {tensors[name]['shape']} in {weights}, {tensor.dims} in the graph"
            )
        if kind != TensorProto.FLOAT:
            cast = f"{tensor.name}.stored"
            casts.append(helper.make_node("Cast", [cast], [tensor.name], to=TensorProto.FLOAT))
            tensor.name = cast
        tensor.data_type = kind
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        place = {"location": weights.name, "offset": 8 + length + begin, "length": end - begin}
        for key, value in place.items():
            entry = tensor.external_data.add()
            entry.key, entry.value = key, str(value)
    for node in reversed(casts):
        graph.graph.node.insert(0, node)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    network, tokenizer = load(folder)
    with torch.no_grad(), eager_attention(network):
        made = graphs(network, conversation(network.config, tokenizer, network.question_tokenizer))
    for name, graph in made.items():
        fold_padding(graph)
        graph = without_constants(graph)
        share_weights(graph, folder / WEIGHTS)
        helper.set_model_props(graph, {"weights": content_of(folder / WEIGHTS).digest})
        data = graph.SerializeToString(deterministic=True)
        (folder / name).write_bytes(data)
        print(f"{folder / name}: {len(data):,} bytes")
    write_sums(folder)


if __name__ == "__main__":
    main()
