"""A tuning run: TRL's SFTTrainer over lessons in a fixed order, with exact resume."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import PeftModel
from rich.progress import track
from transformers import PrinterCallback, set_seed
from trl import SFTConfig, SFTTrainer

from posetalk.atomic_files import write_text
from posetalk.errors import PosetalkError
from posetalk.model.files import load_part, named_weights
from posetalk.model.fingerprint import write_sums
from posetalk.train.progress import ProgressCallback, StopCallback, take_steps
from posetalk.train.readable import looked_at_again, unreadable
from posetalk.train.steps import arguments_of, last_checkpoint
from posetalk.tune.card import TuningSummary, write_card
from posetalk.tune.collator import IGNORED, ChatCollator
from posetalk.tune.data import Track, TuningExample, examples, order, replayed, without
from posetalk.tune.feature_cache import VisionFeatureCache
from posetalk.tune.files import place
from posetalk.tune.merge import merge
from posetalk.tune.network import counts, groups, network
from posetalk.tune.probe import Probe
from posetalk.tune.settings import TuneSettings

PICTURES = "pictures.json"  # which of them cannot be read


def tune(settings: TuneSettings, out: str | Path) -> Path:
    """Tune a model, and write it to `out`; called again on the same folder it resumes from the last checkpoint.

    out holds run.toml (the settings), log.jsonl (loss, rate), skipped.txt (the samples that were left out), probe.json,
    checkpoints/, adapters/ unless all weights were tuned, README.md, and the model itself, which transformers loads.
    Errors: no data, no model, a folder with a run of other settings; KeyboardInterrupt when stopped by Ctrl-C, with a
    checkpoint behind it.
    """
    with settings.claim(out):
        return _run(settings, Path(out))


def _run(settings: TuneSettings, out: Path) -> Path:
    set_seed(settings.seed)
    start = named_weights(settings.model, place(settings.model))
    model, processor = network(settings)
    teacher = ChatCollator(processor, _stops(model))
    arguments = _arguments(settings, out)
    own, told = _read(settings, teacher, _longest(settings, model), out, arguments)
    steps = settings.max_steps or math.ceil(len(own) * settings.epochs / settings.batch_size)
    arguments.max_steps = steps
    report, stop = ProgressCallback(out / "log.jsonl", steps, settings.batch_size, "samples"), StopCallback()
    with looked_at_again(out / PICTURES):
        kept = None
        if settings.feature_cache:
            kept = _kept(settings, model, processor, arguments, [*own, *told.probed])
        collate = partial(_collate, teacher, kept)
        callbacks: list[Any] = [report, stop]
        probe = None
        if settings.probe:
            probe = Probe(out / "probe.json", settings.probe.file, told.probed, collate)
            callbacks.insert(0, probe)
        (out / "checkpoints").mkdir(exist_ok=True)
        trainer = _Tuner(model, arguments, own, collate, callbacks, processor, settings, steps)
        if probe:
            probe.trainer = trainer
        try:
            take_steps(trainer, last_checkpoint(out / "checkpoints", arguments), stop)
        finally:
            report.progress.stop()
    _save(trainer, processor, settings, out)
    if arguments.process_index == 0:
        write_card(out, settings, start, told, steps, counts(model))
    return out


class _Tuner(SFTTrainer):
    """Lessons in the order of the run, and a learning rate for each part."""

    def __init__(
        self,
        model: Any,
        arguments: SFTConfig,
        own: Sequence[TuningExample],
        collate: Any,
        callbacks: list[Any],
        processor: Any,
        settings: TuneSettings,
        steps: int,
    ) -> None:
        self.settings = settings
        places = order([example.length for example in own], settings.batch_size, steps, settings.seed)
        # SFTTrainer knows a data set with pictures by the column `images`, and then leaves it as it is
        rows = Dataset.from_dict({"images": list(map(str, range(len(own))))}).select(places)
        super().__init__(
            model=model,
            args=arguments,
            train_dataset=rows,
            data_collator=lambda found: collate([own[int(row["images"])] for row in found]),
            processing_class=processor,
            callbacks=callbacks,
        )
        self.remove_callback(PrinterCallback)
        self._learned: torch.Tensor | None = None
        whole = model.get_base_model() if isinstance(model, PeftModel) else model
        whole.base_model.register_forward_hook(self._gather)

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """TRL's, of the tokens that are learned alone: on CPUs it would run the head, as wide as the vocabulary, over
        all of them."""
        labels = inputs["labels"]
        self._learned = labels[:, 1:] != IGNORED
        first = labels.new_full((1, 1), IGNORED)
        inputs["labels"] = torch.cat([first, labels[:, 1:][self._learned][None]], 1)
        try:
            return super().compute_loss(model, inputs, *args, **kwargs)
        finally:
            self._learned = None

    def _gather(self, _: Any, __: Any, found: Any) -> Any:
        """What the head reads: of (n, T, width) the places before learned tokens in one row, and one that TRL drops."""
        if self._learned is not None:
            hidden = found.last_hidden_state
            rows = torch.cat([hidden[:, :-1][self._learned], hidden[:1, -1]])
            found.last_hidden_state = rows[None]
        return found

    def create_optimizer(self, *_: Any) -> torch.optim.Optimizer:
        self.optimizer = torch.optim.AdamW(groups(self.model, self.settings), betas=(0.9, 0.999))
        return self.optimizer

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """Whole weights by the model's own loading: they are saved under other names than they have in memory, and the
        Trainer takes what it finds by name and passes over the rest without a word."""
        found = model or self.model
        if isinstance(found, PeftModel) or self.is_fsdp_enabled or self.is_deepspeed_enabled:
            super()._load_from_checkpoint(resume_from_checkpoint, model)
            return
        kept = load_part(type(found), resume_from_checkpoint, "checkpoint", dtype=torch.float32)
        found.load_state_dict(kept.state_dict())

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """The run writes its own."""


def _kept(
    settings: TuneSettings, model: Any, processor: Any, arguments: SFTConfig, chosen: Sequence[TuningExample]
) -> VisionFeatureCache:
    """What the tower sees in the run's pictures; the model does not look again."""
    kept = VisionFeatureCache(str(settings.feature_cache), model.eval(), processor)
    kept.fill(dict.fromkeys(example.image for example in chosen), arguments)
    kept.replace_tower()
    return kept


def _collate(
    teacher: ChatCollator, kept: VisionFeatureCache | None, chosen: Sequence[TuningExample]
) -> dict[str, Any]:
    return teacher.batch([(example.conversation, example.image) for example in chosen], kept)


def _read(
    settings: TuneSettings, teacher: ChatCollator, longest: int, out: Path, arguments: SFTConfig
) -> tuple[list[TuningExample], TuningSummary]:
    """What is learned, and what there is to tell of it; the first process shows it and writes skipped.txt."""
    skipped: list[str] = []
    first = arguments.process_index == 0
    show: Track = partial(track, description="reading", disable=not first)
    sources = [*settings.data, *settings.replay, *([settings.probe] if settings.probe else [])]
    read = [examples(source, teacher, longest, skipped, show) for source in sources]
    damaged = unreadable((example.image for some in read for example in some), out / PICTURES, arguments)
    read = [without(damaged, *pair, skipped) for pair in zip(sources, read, strict=True)]
    own = [example for some in read[: len(settings.data)] for example in some]
    count, again = len(own), []
    for replay, other in zip(settings.replay, read[len(settings.data) :], strict=False):
        again += replayed(count, other, replay, settings.seed)
    if first:
        file = out / "skipped.txt"
        write_text(file, "".join(f"{sentence}\n" for sentence in skipped))
        if skipped:
            print(f"{len(skipped):,} samples left out, the first: {skipped[0]}; all of them are in {file}")
    lengths = [example.length for example in own + again]
    return own + again, TuningSummary(
        count, len(again), len(skipped), lengths, read[-1] if settings.probe else []
    )


def _stops(model: Any) -> list[int]:
    ends = model.generation_config.eos_token_id
    return [] if ends is None else [ends] if isinstance(ends, int) else list(ends)


def _longest(settings: TuneSettings, model: Any) -> int:
    takes = int(model.config.get_text_config().max_position_embeddings)
    if settings.max_length and settings.max_length > takes:
        raise PosetalkError(f"length {settings.max_length:,} is more than the model takes; at most {takes:,}")
    return settings.max_length or takes


def _arguments(settings: TuneSettings, out: Path) -> SFTConfig:
    return arguments_of(
        SFTConfig,
        settings,
        out,
        max_length=None,  # nothing is cut: image tokens would be
        activation_checkpointing=settings.gradient_checkpointing,
        ddp_find_unused_parameters=False,  # each lesson has a picture, so that all parts are used
    )


def _save(trainer: SFTTrainer, processor: Any, settings: TuneSettings, out: Path) -> None:
    """By all processes, since a sharded model is gathered from all of them."""
    place = out if settings.method == "full" else out / "adapters"
    trainer.save_model(str(place))
    if trainer.is_world_process_zero():
        processor.save_pretrained(place)
        for name in ("training_args.bin", "README.md"):  # a pickle, and a form that nobody has filled in
            (place / name).unlink(missing_ok=True)
        write_sums(place)
        if settings.method != "full" and settings.save_format == "merged":
            merge(place, out)
    trainer.accelerator.wait_for_everyone()
