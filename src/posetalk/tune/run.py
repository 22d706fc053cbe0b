"""A tuning run: TRL's SFTTrainer over conversations in a fixed order, with exact resume."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import PeftModel
from transformers import PrinterCallback, set_seed
from trl import SFTConfig, SFTTrainer

from posetalk.atomic_files import write_text
from posetalk.errors import PosetalkError
from posetalk.messages import log
from posetalk.model.adapters import train_in_float32
from posetalk.model.files import load_part, named_weights
from posetalk.model.fingerprint import write_sums
from posetalk.train.progress import ProgressCallback, StopCallback, run_trainer
from posetalk.train.readable import recheck_after_error, unreadable_images
from posetalk.train.steps import last_checkpoint, training_arguments
from posetalk.tune.card import TuningSummary, write_card
from posetalk.tune.collator import IGNORE, ChatCollator
from posetalk.tune.data import TuningExample, replay_samples, sample_order, tuning_examples, without_damaged
from posetalk.tune.feature_cache import VisionFeatureCache
from posetalk.tune.files import model_folder
from posetalk.tune.merge import merge
from posetalk.tune.network import load_for_tuning, parameter_counts, parameter_groups
from posetalk.tune.probe import Probe
from posetalk.tune.settings import TuneSettings

PICTURES = "pictures.json"  # which of them cannot be read


def tune_model(settings: TuneSettings, out: str | Path) -> Path:
    """Tune a vision-language model on conversations; called again on the same folder, resume from the last checkpoint.

    Args:
        settings: the conversations, the model and how it is tuned.
        out: the folder of the run: run.toml (the settings), log.jsonl (loss, learning rate), skipped.txt (the samples
            that were left out, and why), probe.json, checkpoints/, adapters/ unless all weights were tuned, the model
            itself, which transformers and `Chat` load, and its card README.md.

    Returns:
        The folder `out`.

    Raises:
        PosetalkError: no usable samples, no such model, `out` holds a run of other settings.
        KeyboardInterrupt: stopped by Ctrl-C, after a checkpoint was written.

    Source:
        LLaVA-1.5, second stage (arXiv 2310.03744), whose numbers are the defaults of `TuneSettings`.
    """
    with settings.claim(out):
        return _run(settings, Path(out))


def _run(settings: TuneSettings, out: Path) -> Path:
    set_seed(settings.seed)
    start = named_weights(settings.model, model_folder(settings.model))
    # before the model: it finds the device of this process, which quantised weights are read to
    arguments = _arguments(settings, out)
    model, processor = load_for_tuning(settings)
    collator = ChatCollator(processor, _stops(model))
    own, summary = _read(settings, collator, _max_length(settings, model), out, arguments)
    steps = settings.max_steps or math.ceil(len(own) * settings.epochs / settings.batch_size)
    arguments.max_steps = steps
    progress, stop = (
        ProgressCallback(out / "log.jsonl", steps, settings.batch_size, "samples"),
        StopCallback(),
    )
    with recheck_after_error(out / PICTURES):
        cache = None
        if settings.feature_cache:
            cache = _fill_feature_cache(settings, model, processor, arguments, [*own, *summary.probe])
        collate = partial(_collate, collator, cache)
        callbacks: list[Any] = [progress, stop]
        probe = None
        if settings.probe:
            probe = Probe(out / "probe.json", settings.probe.file, summary.probe, collate)
            callbacks.insert(0, probe)
        (out / "checkpoints").mkdir(exist_ok=True)
        trainer = _Tuner(model, arguments, own, collate, callbacks, processor, settings, steps)
        if probe:
            probe.trainer = trainer
        try:
            run_trainer(trainer, last_checkpoint(out / "checkpoints", arguments), stop)
        finally:
            progress.progress.stop()
    _save(trainer, processor, settings, out)
    if arguments.process_index == 0:
        write_card(out, settings, start, summary, steps, parameter_counts(model))
    return out


class _Tuner(SFTTrainer):
    """Conversations in the order of the run, and a learning rate for each part."""

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
        order = sample_order([example.length for example in own], settings.batch_size, steps, settings.seed)
        # SFTTrainer knows a data set with images by the column `images`, and then leaves it as it is
        rows = Dataset.from_dict({"images": list(map(str, range(len(own))))}).select(order)
        super().__init__(
            model=model,
            args=arguments,
            train_dataset=rows,
            data_collator=lambda chosen: collate([own[int(row["images"])] for row in chosen]),
            processing_class=processor,
            callbacks=callbacks,
        )
        self.remove_callback(PrinterCallback)
        train_in_float32(self.model)  # TRL casts what is trained of a quantised model to bfloat16
        self._learned: torch.Tensor | None = None
        whole = model.get_base_model() if isinstance(model, PeftModel) else model
        whole.base_model.register_forward_hook(self._keep_learned)

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """TRL's, of the tokens that are learned alone: on CPUs it would run the head, as wide as the vocabulary, over
        all of them."""
        labels = inputs["labels"]
        self._learned = labels[:, 1:] != IGNORE
        first = labels.new_full((1, 1), IGNORE)
        inputs["labels"] = torch.cat([first, labels[:, 1:][self._learned][None]], 1)
        try:
            return super().compute_loss(model, inputs, *args, **kwargs)
        finally:
            self._learned = None

    def _keep_learned(self, _: Any, __: Any, output: Any) -> Any:
        """The head's input: of (n, T, width) the tokens before learned ones in one row, and one that TRL drops."""
        if self._learned is not None:
            hidden = output.last_hidden_state
            rows = torch.cat([hidden[:, :-1][self._learned], hidden[:1, -1]])
            output.last_hidden_state = rows[None]
        return output

    def create_optimizer(self, *_: Any) -> torch.optim.Optimizer:
        self.optimizer = torch.optim.AdamW(parameter_groups(self.model, self.settings), betas=(0.9, 0.999))
        return self.optimizer

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """Whole weights by the model's own loading: they are saved under other names than they have in memory, and the
        Trainer takes what it finds by name and passes over the rest without a word."""
        target = model or self.model
        if isinstance(target, PeftModel) or self.is_fsdp_enabled or self.is_deepspeed_enabled:
            super()._load_from_checkpoint(resume_from_checkpoint, model)
            return
        saved = load_part(type(target), resume_from_checkpoint, "checkpoint", dtype=torch.float32)
        target.load_state_dict(saved.state_dict())

    def create_model_card(self, *_: Any, **__: Any) -> None:
        """The run writes its own."""


def _fill_feature_cache(
    settings: TuneSettings,
    model: Any,
    processor: Any,
    arguments: SFTConfig,
    examples: Sequence[TuningExample],
) -> VisionFeatureCache:
    """The vision encoder's output for the run's images; from here on the model reads it from there."""
    cache = VisionFeatureCache(str(settings.feature_cache), model.eval(), processor)
    cache.fill(dict.fromkeys(example.image for example in examples), arguments)
    cache.replace_vision_encoder()
    return cache


def _collate(
    collator: ChatCollator, cache: VisionFeatureCache | None, examples: Sequence[TuningExample]
) -> dict[str, Any]:
    return collator.batch([(example.conversation, example.image) for example in examples], cache)


def _read(
    settings: TuneSettings, collator: ChatCollator, max_length: int, out: Path, arguments: SFTConfig
) -> tuple[list[TuningExample], TuningSummary]:
    """The samples to learn, and a summary; the first process logs how many are left out and writes skipped.txt."""
    skipped: list[str] = []
    is_first = arguments.process_index == 0
    sources = [*settings.data, *settings.replay, *([settings.probe] if settings.probe else [])]
    by_source = [
        tuning_examples(source, collator, max_length, skipped, quiet=not is_first) for source in sources
    ]
    images = (example.image for examples in by_source for example in examples)
    damaged = unreadable_images(images, out / PICTURES, arguments)
    by_source = [without_damaged(damaged, *pair, skipped) for pair in zip(sources, by_source, strict=True)]
    own = [example for examples in by_source[: len(settings.data)] for example in examples]
    count, replayed = len(own), []
    for replay, others in zip(settings.replay, by_source[len(settings.data) :], strict=False):
        replayed += replay_samples(count, others, replay, settings.seed)
    if is_first:
        file = out / "skipped.txt"
        write_text(file, "".join(f"{sentence}\n" for sentence in skipped))
        if skipped:
            log.warning(
                "%s samples left out, the first: %s; all of them are in %s",
                f"{len(skipped):,}",
                skipped[0],
                file,
            )
    lengths = [example.length for example in own + replayed]
    return own + replayed, TuningSummary(
        count, len(replayed), len(skipped), lengths, by_source[-1] if settings.probe else []
    )


def _stops(model: Any) -> list[int]:
    ids = model.generation_config.eos_token_id
    return [] if ids is None else [ids] if isinstance(ids, int) else list(ids)


def _max_length(settings: TuneSettings, model: Any) -> int:
    limit = int(model.config.get_text_config().max_position_embeddings)
    if settings.max_length and settings.max_length > limit:
        raise PosetalkError(
            f"max_length {settings.max_length:,} is more than the model takes; at most {limit:,}"
        )
    return settings.max_length or limit


def _arguments(settings: TuneSettings, out: Path) -> SFTConfig:
    return training_arguments(
        SFTConfig,
        settings,
        out,
        max_length=None,  # nothing is cut: image tokens would be
        ddp_find_unused_parameters=False,  # each sample has an image, so that all parts are used
    )


def _save(trainer: SFTTrainer, processor: Any, settings: TuneSettings, out: Path) -> None:
    """By all processes, since a sharded model is gathered from all of them."""
    folder = out if settings.method == "full" else out / "adapters"
    trainer.save_model(str(folder))
    if trainer.is_world_process_zero():
        processor.save_pretrained(folder)
        for name in ("training_args.bin", "README.md"):  # a pickle, and a form that nobody has filled in
            (folder / name).unlink(missing_ok=True)
        write_sums(folder)
        if settings.method != "full" and settings.save_format == "merged":
            merge(folder, out)
    trainer.accelerator.wait_for_everyone()
