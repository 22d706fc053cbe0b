"""A LLaVA of random weights, built offline, and conversations about pictures of noise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tests.conftest import byte_tokenizer

from posetalk.tune.settings import Source, TuneSettings
from posetalk.write.samples.sample import Kind, Sample

SIZE = 28  # px of the tiny tower's picture: 2 x 2 patches
# A chat template of our own; what stands between the generation marks is learned.
TEMPLATE = (
    "{% for message in messages %}{{ message.role }}: "
    "{% for part in message.content if part.type == 'image' %}<image>{% endfor %}"
    "{% for part in message.content if part.type == 'text' %}"
    "{% if message.role == 'assistant' %}{% generation %}{{ part.text }}</s>{% endgeneration %}"
    "{% else %}{{ part.text }}\n{% endif %}{% endfor %}{% endfor %}"
)


def tiny_llava() -> tuple[Any, Any]:
    """A CLIP tower and a Llama of width 32 and their processor."""
    from transformers import (
        CLIPImageProcessorPil,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
    )

    tokenizer = byte_tokenizer()
    tokenizer.add_special_tokens({"pad_token": "<pad>", "additional_special_tokens": ["<image>"]})
    vision = CLIPVisionConfig(
        hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, image_size=SIZE,
        patch_size=14, projection_dim=32,
    )  # fmt: skip
    text = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, bos_token_id=0, eos_token_id=1, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    image = tokenizer.convert_tokens_to_ids("<image>")
    torch.manual_seed(0)
    model = LlavaForConditionalGeneration(
        LlavaConfig(vision_config=vision, text_config=text, image_token_index=image)
    )
    processor = LlavaProcessor(
        CLIPImageProcessorPil(size={"shortest_edge": SIZE}, crop_size={"height": SIZE, "width": SIZE}),
        tokenizer,
        patch_size=14,
        vision_feature_select_strategy="default",
        chat_template=TEMPLATE,
        num_additional_image_tokens=1,
    )
    return model, processor


@pytest.fixture(scope="session")
def llava(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model in a folder."""
    folder = tmp_path_factory.mktemp("llava")
    model, processor = tiny_llava()
    model.generation_config.eos_token_id = 1
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten conversations of one to three turns about pictures of many shapes: samples.jsonl and pictures/."""
    folder = tmp_path_factory.mktemp("talk")
    (folder / "pictures").mkdir()
    draw = np.random.default_rng(0)
    with (folder / "samples.jsonl").open("w") as file:
        for number in range(10):
            pixels = draw.integers(0, 255, (40 + 7 * number, 90 - 3 * number, 3), np.uint8)
            Image.fromarray(pixels).save(folder / "pictures" / f"{number}.png")
            kind: Kind = "conversation" if number % 3 else "detail"
            said = tuple((f"What is {i}?", f"Answer {i}" + "!" * number) for i in range(1 + number % 3))
            file.write(Sample(f"{number}-{kind}", number, f"{number}.png", kind, said, "facts").line())
    return folder


@pytest.fixture(scope="session")
def general(talk: Path) -> Path:
    """LLaVA's JSON list about the same pictures: other words."""
    rows = [
        {
            "id": str(number),
            "image": f"{number}.png",
            "conversations": [
                {"from": "human", "value": "<image>\nWhere is it?"},
                {"from": "gpt", "value": f"In town {number}."},
            ],
        }
        for number in range(6)
    ]
    (talk / "general.json").write_text(json.dumps(rows))
    return talk / "general.json"


def tiny(llava: Path, talk: Path, **more: Any) -> TuneSettings:
    """A run of six steps on the tiny model."""
    given: dict[str, Any] = {
        "model": str(llava), "data": (Source(file=str(talk), images=str(talk / "pictures")),), "method": "lora",
        "lora_rank": 4, "lora_alpha": 8, "lora_dropout": 0.1, "learning_rate": 1e-2, "connector_learning_rate": 1e-2,
        "batch_size": 4, "per_device_batch_size": 2, "max_steps": 6, "bf16": False,
        "gradient_checkpointing": False, "num_workers": 0, "save_steps": 3, "log_steps": 1,
    }  # fmt: skip
    return TuneSettings(**{**given, **more})
