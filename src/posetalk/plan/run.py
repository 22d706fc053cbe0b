"""Plan a run: what it needs, whether that fits, which setting would make it fit, and how long it takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal

import torch
from torch import nn

from posetalk.errors import PosetalkError
from posetalk.plan import jobs
from posetalk.plan.count import Count
from posetalk.plan.memory import GB, MemoryPlan, memory_of
from posetalk.plan.network import (
    for_locating,
    for_training,
    for_tuning,
    language_model_dtype,
    llava_config,
    posellm_config,
    words_of,
)
from posetalk.settings import ModelSettings, TrainSettings
from posetalk.skeleton import load_skeleton
from posetalk.train.steps import gradient_accumulation
from posetalk.tune.settings import TuneSettings

Job = Literal["train", "tune", "locate", "evaluate"]
# bfloat16 operations a second of matrix units, dense, by the makers' data sheets (float32 sums); memory as on the card.
CARDS = {
    "rtx-3090": (71e12, 24),
    "rtx-4090": (165.2e12, 24),
    "l40s": (362e12, 48),
    "a100": (312e12, 80),
    "h100": (989e12, 80),
}
# The share of a card's peak that a run is taken to reach. LocLLM's own code says three days on four RTX 3090 for a run
# of 0.28e20 operations by this count: 38 % of their peak.
REACHED = 0.4
COCO_PEOPLE = 149_813  # people of COCO train2017 with a labelled keypoint
COCO_KEYPOINTS = 11  # that they have on average (10.96)
COCO_VAL_PEOPLE = 6_352  # of val2017
LLAVA_POSE_SAMPLES = 200_328  # that LLaVA-Pose learns (arXiv 2506.21317)
_BRANCHES = 3  # as `Localizer` follows


@dataclass(frozen=True, slots=True)
class JobPlan:
    """What one job needs.

    Attributes:
        job: `train`, `tune`, `locate` or `evaluate`.
        parameters: The network's parameters, adapters among them.
        trained: Those that are trained.
        at_once: People or samples that a GPU takes at a time.
        memory: Bytes on each GPU.
        limit: Bytes that each GPU has.
        step_flops: Operations of a gradient step over all GPUs, or of a batch that is located.
        run_flops: Operations of the run.
        examples: People or samples of the run, each of its passes counted.
        days: Days that the run takes at the planned speed.
        fits_with: Settings that make it fit, where it does not: empty if it fits, or if none was found.
    """

    job: Job
    parameters: int
    trained: int
    at_once: int
    memory: MemoryPlan
    limit: int
    step_flops: int
    run_flops: int
    examples: int
    days: float
    fits_with: Mapping[str, Any]

    @property
    def fits(self) -> bool:
        """Whether the memory is enough."""
        return self.memory.total <= self.limit


@dataclass(frozen=True, slots=True)
class RunPlan:
    """What a run needs: counted, not run.

    Attributes:
        jobs: A plan for each job.
        gpus: Number of GPUs.
        shard: Whether they share the weights.
        tflops: Operations a second that each is taken to reach, in 10^12.
        tokens: Of the longest row of the network's language model, the image's among them.
    """

    jobs: tuple[JobPlan, ...]
    gpus: int
    shard: bool
    tflops: float
    tokens: int


def plan_run(
    settings: TrainSettings | TuneSettings,
    *,
    gpus: int = 1,
    memory: float = 80,
    tflops: float | None = None,
    shard: bool = False,
    examples: int | None = None,
    tokens: int | None = None,
    batch_size: int = 8,
    dtype: Literal["float32", "bfloat16"] = "bfloat16",
) -> RunPlan:
    """Count what a run needs on GPUs, without weights, data or a GPU.

    The network is built without numbers and the product's own step is run on it, so that operations and bytes are those
    of the code. What is not counted is a stated allowance: CUDA's context and the allocator's losses.

    Args:
        settings: Of a training run, which is planned with locating and evaluating by its model; or of a tuning run.
            Their data are not read.
        gpus: Number of GPUs of one machine.
        memory: Memory of each, in GB of 2^30 bytes.
        tflops: Operations a second that each reaches, in 10^12; None for 40 % of the peak of an RTX 3090 up to 24 GB,
            else of an A100.
        shard: Share weights, gradients and optimiser among the GPUs (FSDP), in place of a copy on each (DDP).
        examples: People or samples of one pass; None for COCO train2017's people, or LLaVA-Pose's samples.
        tokens: Tokens of a sample of a tuning run, the image's among them; None for the longest that is allowed.
        batch_size: People at a time in locating and evaluating.
        dtype: Of the language model in locating and evaluating.

    Returns:
        A plan for each job.

    Raises:
        PosetalkError: a number that makes no sense, a model that is not there or not built as PoseLLM or LLaVA.
    """
    for name, value in (("gpus", gpus), ("memory", memory), ("tflops", tflops), ("batch_size", batch_size)):
        if value is not None and not 0 < value < 1e6:
            raise PosetalkError(f"{name} is a number above 0, not {value}")
    card = "rtx-3090" if memory <= 24 else "a100"
    speed = tflops or REACHED * CARDS[card][0] / 1e12
    machine = _Machine(gpus, round(memory * GB), shard, speed * 1e12)
    if isinstance(settings, TuneSettings):
        config = llava_config(settings)
        longest = tokens or settings.max_length or config.text_config.max_position_embeddings
        if longest <= config.image_seq_length:
            raise PosetalkError(f"a sample has more than the {config.image_seq_length} tokens of its image")
        plans = (_tune(settings, config, machine, longest, examples or LLAVA_POSE_SAMPLES),)
        return RunPlan(plans, gpus, shard, speed, longest)
    model = settings.model or ModelSettings()
    config = posellm_config(settings)
    talk = words_of(config, settings.start or model.language_model)
    keypoints = load_skeleton("coco17").keypoints
    batch = jobs.training_batch(settings, config, talk, keypoints)
    train = _train(settings, config, machine, talk, examples or COCO_PEOPLE)
    lower = getattr(torch, dtype)
    locate = _locate(config, machine, talk, batch_size, lower)
    flops = locate.run_flops // locate.examples * COCO_VAL_PEOPLE
    evaluate = replace(
        locate, job="evaluate", examples=COCO_VAL_PEOPLE, run_flops=flops, days=machine.days(flops, gpus=1)
    )
    return RunPlan((train, locate, evaluate), gpus, shard, speed, batch["input_ids"].shape[1])


@dataclass(frozen=True, slots=True)
class _Machine:
    gpus: int
    limit: int
    shard: bool
    speed: float

    def days(self, flops: int, gpus: int | None = None) -> float:
        return flops / (self.speed * (gpus or self.gpus) * 86400)


_Change = dict[str, Any]


def _fitting(
    settings: Any, changes: Sequence[_Change], needs: Callable[[Any], MemoryPlan], limit: int
) -> _Change:
    """The first change with which it fits, or as few of the first ones as do together; empty where none do."""
    possible = [change for change in changes if _differs(settings, change)]
    together: list[_Change] = []
    for change in possible:
        together.append({**(together[-1] if together else {}), **change})
    for change in [*possible, *together[1:]]:
        if needs(settings.model_copy(update=change)).total <= limit:
            return change
    return {}


def _differs(settings: TrainSettings | TuneSettings, change: _Change) -> bool:
    return any(getattr(settings, key) != value for key, value in change.items())


def _train(settings: TrainSettings, config: Any, machine: _Machine, talk: Any, examples: int) -> JobPlan:
    keypoints = load_skeleton("coco17").keypoints
    gradient_accumulation(settings.batch_size, settings.per_device_batch_size, machine.gpus)

    @cache
    def count(settings: TrainSettings, labelled: int) -> tuple[Count, int]:
        if (limit := jobs.asked(settings, labelled)) < labelled:
            return count(settings, limit)
        batch = jobs.training_batch(settings, config, talk, keypoints[:labelled])
        logits = jobs.learned_tokens(batch) * config.text_config.vocab_size * 4
        return jobs.training_count(settings, config, batch), logits

    def needs(settings: TrainSettings) -> MemoryPlan:
        found, logits = count(settings, len(keypoints))
        network = for_training(settings, config)
        return memory_of(network, found, logits, machine.gpus, machine.shard, settings.quantization)

    used = needs(settings)
    network = for_training(settings, config)
    per_person = count(settings, COCO_KEYPOINTS)[0].flops // settings.per_device_batch_size
    passes = settings.max_steps * settings.batch_size / examples if settings.max_steps else settings.epochs
    seen = round(examples * passes)
    changes: list[_Change] = [
        {"language_model_dtype": "bfloat16"} if _is_float32(settings) else {},
        {"per_device_batch_size": 1},
        {"gradient_checkpointing": True},
        {"packing": "chain"},
        {"quantization": "8bit"},
        {"quantization": "4bit"},
    ]
    return JobPlan(
        job="train",
        **_parameters(network),
        at_once=settings.per_device_batch_size,
        memory=used,
        limit=machine.limit,
        step_flops=per_person * settings.batch_size,
        run_flops=per_person * seen,
        examples=seen,
        days=machine.days(per_person * seen),
        fits_with={} if used.total <= machine.limit else _fitting(settings, changes, needs, machine.limit),
    )


def _is_float32(settings: TrainSettings) -> bool:
    model = settings.model or ModelSettings()
    return language_model_dtype(settings, model) == torch.float32 and model.tune_language_model != "layers"


def _tune(settings: TuneSettings, config: Any, machine: _Machine, tokens: int, examples: int) -> JobPlan:
    gradient_accumulation(settings.batch_size, settings.per_device_batch_size, machine.gpus)

    @cache
    def count(settings: TuneSettings) -> Count:
        return jobs.tuning_count(settings, config, tokens)

    def needs(settings: TuneSettings) -> MemoryPlan:
        bits: Literal["4bit"] | None = "4bit" if settings.method == "qlora" else None
        found = count(settings)
        return memory_of(for_tuning(settings, config), found, 0, machine.gpus, machine.shard, bits)

    used = needs(settings)
    per_sample = count(settings).flops // settings.per_device_batch_size
    passes = settings.max_steps * settings.batch_size / examples if settings.max_steps else settings.epochs
    seen = round(examples * passes)
    sizes = [size for size in (8, 4, 2, 1) if size < settings.per_device_batch_size]
    changes: list[_Change] = [
        {"gradient_checkpointing": True},
        *({"per_device_batch_size": size} for size in sizes),
        {"method": "lora"} if settings.method == "full" else {},
        {"method": "qlora"},
    ]
    return JobPlan(
        job="tune",
        **_parameters(for_tuning(settings, config)),
        at_once=settings.per_device_batch_size,
        memory=used,
        limit=machine.limit,
        step_flops=per_sample * settings.batch_size,
        run_flops=per_sample * seen,
        examples=seen,
        days=machine.days(per_sample * seen),
        fits_with={} if used.total <= machine.limit else _fitting(settings, changes, needs, machine.limit),
    )


def _locate(
    config: Any, machine: _Machine, talk: Any, batch_size: int, dtype: torch.dtype, people: int = 1000
) -> JobPlan:
    keypoints = load_skeleton("coco17").keypoints
    network = for_locating(config, dtype)

    def count(size: int) -> Count:
        return jobs.locating_count(config, talk, keypoints, size, dtype, config.readout, _BRANCHES)

    found = count(batch_size)
    used = memory_of(network, found)
    change: _Change = {}
    if used.total > machine.limit:
        sizes = [size for size in (8, 4, 2, 1) if size < batch_size]
        fitting = (s for s in sizes if memory_of(network, count(s)).total <= machine.limit)
        size = next(fitting, None)
        change = {} if size is None else {"batch_size": size}
    flops = found.flops // batch_size * people
    return JobPlan(
        job="locate",
        **_parameters(network),
        at_once=batch_size,
        memory=used,
        limit=machine.limit,
        step_flops=found.flops,
        run_flops=flops,
        examples=people,
        days=machine.days(flops, gpus=1),
        fits_with=change,
    )


def _parameters(network: nn.Module) -> dict[str, int]:
    """Without peft's spare copies of modules that it trains, which are held, and counted as bytes."""
    named = [(n, p) for n, p in network.named_parameters() if ".original_module." not in n]
    return {
        "parameters": sum(p.numel() for _, p in named),
        "trained": sum(p.numel() for _, p in named if p.requires_grad),
    }
