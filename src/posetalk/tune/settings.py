"""The settings of a tuning run."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PlainSerializer, SerializationInfo

from posetalk.inputs import LocalPath, ModelName, resolved
from posetalk.settings import Settings

Method = Literal["lora", "qlora", "full"]
MADE = ("small", "tiny")  # models that are made on the spot, see `tune.small`


HELD = ("samples.jsonl", "train.json")  # what is read of a folder of samples: the first that is there


def _resolved_samples(value: str, info: SerializationInfo) -> str:
    return resolved(value, info, HELD)


SamplesPath = Annotated[str, PlainSerializer(_resolved_samples)]  # a file, or a folder that holds one


class Source(Settings):
    """Conversations about pictures.

    file:   a folder of `posetalk write`, `screen` or `export --form llava`, a samples.jsonl, or LLaVA's JSON list.
    images: the folder that the pictures' names belong to.
    """

    file: SamplesPath
    images: LocalPath


class Replay(Source):
    """Other conversations mixed in against forgetting: share samples for each of our own, drawn by the seed."""

    share: float = Field(gt=0)


class TuneSettings(Settings):
    """A tuning run. The defaults are LLaVA-1.5's second stage with LoRA. The vision tower is frozen, as it was there.

    model:          a folder or hub id that `AutoModelForImageTextToText` knows; `small`, `tiny`: see `tune.small`.
    method:         `lora`: adapters on the language model; `qlora`: the same on a language model of 4 bits, which
                    needs bitsandbytes and a GPU; `full`: every weight of the language model. All three train the
                    whole connector.
    lora_rank, lora_alpha, lora_dropout: of the adapters. lora_target_modules: the ends of the names of the linear layers that get one; all linear
                    layers of the language model where it is empty.
    learning_rate:           peak learning rate of the adapters or the language model; connector_learning_rate: the connector's.
    batch_size:          samples per gradient step over all processes; `per_device_batch_size` at a time on each of them.
    max_steps:          gradient steps; None for `epochs` passes over the data.
    warmup_ratio:         share of the steps in which the rate rises; then it falls as a cosine.
    max_length:         tokens of a sample, those of the picture included; longer ones are left out, never cut. None: as
                    many as the model takes.
    pad_to_square:            pictures become square by padding, as LLaVA-1.5 was trained, and not by cutting the middle out, as
                    its published processor does; saved with the model. For LLaVA alone.
    feature_cache:       a folder for what the frozen tower sees in the pictures, looked at once before the first step; later
                    epochs and other runs find it there. Of models built as LLaVA-1.5 alone. None: looked at in each
                    step.
    gradient_checkpointing:  activations are computed again in the backward pass, which saves memory and costs time.
    save_format:           `merged`: a whole model in the run's folder, beside adapters/; `adapters`: those alone.
    """

    model: ModelName
    data: tuple[Source, ...] = Field(min_length=1)
    replay: tuple[Replay, ...] = ()
    probe: Source | None = None
    method: Method = "lora"
    lora_rank: int = Field(128, ge=1)
    lora_alpha: float = Field(256, gt=0)
    lora_dropout: float = Field(0.05, ge=0, lt=1)
    lora_target_modules: tuple[str, ...] = ()
    learning_rate: float = Field(2e-4, gt=0)
    connector_learning_rate: float = Field(2e-5, gt=0)
    batch_size: int = Field(128, ge=1)
    per_device_batch_size: int = Field(1, ge=1)
    epochs: float = Field(1, gt=0)
    max_steps: int | None = Field(None, ge=1)
    warmup_ratio: float = Field(0.03, ge=0, lt=1)
    weight_decay: float = Field(0.0, ge=0)
    max_grad_norm: float = Field(1.0, gt=0)
    max_length: int | None = Field(None, ge=1)
    pad_to_square: bool = False
    bf16: bool = True
    feature_cache: LocalPath | None = None
    gradient_checkpointing: bool = True
    seed: int = 42
    num_workers: int = Field(2, ge=0)
    save_steps: int = Field(500, ge=1)
    log_steps: int = Field(10, ge=1)
    save_format: Literal["merged", "adapters"] = "merged"
