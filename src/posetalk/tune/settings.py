"""The settings of a tuning run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, PlainSerializer, SerializationInfo

from posetalk.inputs import LocalPath, ModelName, resolved
from posetalk.settings import Settings

Method = Literal["lora", "qlora", "full"]
MADE = ("small", "tiny")  # models that are made on the spot, see `tune.small`


SAMPLE_FILES = ("samples.jsonl", "train.json")  # what is read of a folder of samples: the first that is there


def _resolved_samples(value: str, info: SerializationInfo) -> str:
    return resolved(value, info, SAMPLE_FILES)


SamplesPath = Annotated[str, PlainSerializer(_resolved_samples)]  # a file, or a folder that holds one


class Source(Settings):
    """Conversations about images."""

    file: SamplesPath
    """A folder of `posetalk write`, `screen` or `export --format llava`, a samples.jsonl, or LLaVA's JSON list."""
    images: LocalPath
    """The folder that the names of the images belong to."""


class Replay(Source):
    """Other conversations mixed in against forgetting, drawn by the seed."""

    share: float = Field(gt=0)
    """Samples drawn from this file for each sample of our own."""


class TuneSettings(Settings):
    """A tuning run. The defaults are LLaVA-1.5's second stage with LoRA, where the vision encoder is frozen."""

    renamed: ClassVar[Mapping[str, str]] = {
        "r": "lora_rank",
        "alpha": "lora_alpha",
        "dropout": "lora_dropout",
        "targets": "lora_target_modules",
        "rate": "learning_rate",
        "connector_rate": "connector_learning_rate",
        "batch": "batch_size",
        "device_batch": "per_device_batch_size",
        "steps": "max_steps",
        "warmup": "warmup_ratio",
        "clip": "max_grad_norm",
        "length": "max_length",
        "pad": "pad_to_square",
        "features": "feature_cache",
        "checkpointing": "gradient_checkpointing",
        "workers": "num_workers",
        "form": "save_format",
    }

    model: ModelName
    """A folder or hub id that `AutoModelForImageTextToText` knows; `small`, `tiny`: see `tune.small`."""
    data: tuple[Source, ...] = Field(min_length=1)
    """The conversations to learn; several files are mixed."""
    replay: tuple[Replay, ...] = ()
    """Other conversations mixed in against forgetting."""
    probe: Source | None = None
    """Conversations on which the loss is measured before and after."""
    method: Method = "lora"
    """`lora`: adapters on the language model; `qlora`: the same on a language model of 4 bits (bitsandbytes, extra
    `quantize`); `full`: every weight of the language model. All three train the whole connector."""
    lora_rank: int = Field(default=128, ge=1)
    """Rank of the adapters."""
    lora_alpha: float = Field(default=256, gt=0)
    """Scale of the adapters; they are multiplied by lora_alpha / lora_rank."""
    lora_dropout: float = Field(default=0.05, ge=0, lt=1)
    """Dropout in the adapters."""
    lora_target_modules: tuple[str, ...] = ()
    """The ends of the names of the linear layers that get an adapter; empty for all linear layers of the language
    model."""
    learning_rate: float = Field(default=2e-4, gt=0)
    """Peak learning rate of the adapters or the language model (AdamW); it falls as a cosine."""
    connector_learning_rate: float = Field(default=2e-5, gt=0)
    """Peak learning rate of the connector."""
    batch_size: int = Field(default=128, ge=1)
    """Samples per gradient step over all processes."""
    per_device_batch_size: int = Field(default=1, ge=1)
    """Samples per forward pass on each device; gradients are accumulated up to `batch_size`."""
    epochs: float = Field(default=1, gt=0)
    """Passes over the data."""
    max_steps: int | None = Field(default=None, ge=1)
    """Gradient steps; None for `epochs` passes over the data."""
    warmup_ratio: float = Field(default=0.03, ge=0, lt=1)
    """Share of the steps in which the learning rate rises."""
    weight_decay: float = Field(default=0.0, ge=0)
    """AdamW's weight decay."""
    max_grad_norm: float = Field(default=1.0, gt=0)
    """Gradients are clipped to this norm."""
    max_length: int | None = Field(default=None, ge=1)
    """Longest sample in tokens, those of the image included. Longer ones are left out, never cut. None: as many as
    the model takes."""
    pad_to_square: bool = False
    """Images become square by padding, as LLaVA-1.5 was trained, not by cropping the centre, as its published
    processor does; saved with the model. LLaVA only."""
    bf16: bool = True
    """Mixed precision in bfloat16."""
    language_model_dtype: Literal["float32", "bfloat16"] | None = None
    """Number format of the frozen weights of a run with adapters; what is trained is in float32. None: `bfloat16` where
    a GPU trains in mixed precision, else `float32`."""
    feature_cache: LocalPath | None = None
    """A folder that keeps what the frozen vision encoder computes for each image, once before the first step. Later
    epochs and other runs read it. Models built as LLaVA-1.5 only. None: the encoder runs in each step."""
    gradient_checkpointing: bool = True
    """Recompute activations in the backward pass: saves memory, costs time."""
    seed: int = 42
    """Seed of the order and of new weights."""
    num_workers: int = Field(default=2, ge=0)
    """Processes that load data."""
    save_steps: int = Field(default=500, ge=1)
    """Steps between two checkpoints."""
    log_steps: int = Field(default=10, ge=1)
    """Steps between two lines of log.jsonl."""
    save_format: Literal["merged", "adapters"] = "merged"
    """What is saved at the end: the whole model in the run's folder, beside adapters/ (`merged`), or the adapters
    alone (`adapters`)."""
