"""A training run: transformers' Trainer over packed views, with exact resume."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.progress import track
from transformers import PrinterCallback, Trainer, TrainingArguments, set_seed

from posetalk.errors import PosetalkError
from posetalk.formats.dataset import read_people
from posetalk.images.affine import square_of
from posetalk.images.fit import fitting as those_that_fit
from posetalk.model.adapters import fitting, set_trainable, trainable
from posetalk.model.files import build, conversation, crop_settings, load, save
from posetalk.settings import CropSettings, DataSettings, ModelSettings, TrainSettings
from posetalk.skeleton import skeleton
from posetalk.train.align import align
from posetalk.train.card import KnownKeypoints, write_card
from posetalk.train.examples import TrainingExample, Views, examples, targets
from posetalk.train.feature_cache import FeatureCache, look
from posetalk.train.losses import LossSettings, forward_with_loss
from posetalk.train.packing import collate
from posetalk.train.progress import ProgressCallback, StopCallback, take_steps
from posetalk.train.readable import looked_at_again, unreadable
from posetalk.train.steps import arguments_of, last_checkpoint
from posetalk.train.target import placed


def train(settings: TrainSettings, out: str | Path) -> Path:
    """Train, and write the model to `out`; called again on the same folder it resumes from the last checkpoint.

    out holds run.toml (the settings), log.jsonl (loss, rate, gradient norm), checkpoints/, README.md and the
    model itself. Errors: no data, unknown names, a folder with a run of other settings; KeyboardInterrupt when stopped
    by Ctrl-C, with a checkpoint behind it.
    """
    with settings.claim(out):
        return _run(settings, Path(out))


def _run(settings: TrainSettings, out: Path) -> Path:
    set_seed(settings.seed)
    arguments = arguments_of(TrainingArguments, settings, out, weight_decay=settings.weight_decay)
    model, tokenizer = _model(settings)
    crop, pictures = crop_settings(model.config), out / "pictures.json"
    people = _people(settings, crop, pictures, arguments)
    learned = KnownKeypoints.of(settings, model.config.keypoints, (e.skeleton for e in people))
    if learned.again and arguments.process_index == 0:
        print(f"note: {learned.warning}")
    model.config.keypoints = learned.known
    talk = conversation(model.config, tokenizer)
    losses = LossSettings(
        digit_ids=talk.answer.digits,
        digit_sigma=settings.digit_sigma,
        attention_loss_weight=settings.attention_loss_weight,
        heatmap_sigma=settings.heatmap_sigma,
        learn_digits=settings.learn_digits,
    )
    if settings.attention_loss_weight:
        model.set_attn_implementation("eager")  # the others keep no attention weights
    tuned = settings.model or ModelSettings()
    network = set_trainable(model, fitting(model, tuned) if settings.start else tuned)
    steps = settings.max_steps or math.ceil(len(people) * settings.epochs / settings.batch_size)
    arguments.max_steps = steps
    readout = model.config.readout
    views = Views(people, talk, crop, settings, steps * settings.batch_size, readout)
    report, stop = ProgressCallback(out / "log.jsonl", steps, settings.batch_size, "people"), StopCallback()
    with looked_at_again(pictures):
        if settings.feature_cache:
            views.features = _features(settings, model, views, arguments)
        trainer = _PoseTrainer(
            network,
            arguments,
            train_dataset=views,
            data_collator=partial(collate, pad=tokenizer.eos_token_id or 0, readout=readout),
            callbacks=[report, stop],
            losses=losses,
            shares={"language_model": settings.language_lr_scale, "vision_tower": settings.vision_lr_scale},
        )
        # the first process alone makes it, perhaps later than this one looks
        (out / "checkpoints").mkdir(exist_ok=True)
        checkpoint = last_checkpoint(out / "checkpoints", arguments)
        if settings.alignment_steps and checkpoint is None:
            align(model, tokenizer, views, settings.alignment_steps, partial(track, description="aligning"))
        try:
            take_steps(trainer, checkpoint, stop)
        finally:
            report.progress.stop()
    if trainer.is_world_process_zero():
        counts = trainable(network)  # before LoRA is merged
        save(network, tokenizer, out, settings.save_format)
        write_card(out, settings, learned, len(people), counts, trainer.state.global_step, model.config)
    return out


def _features(
    settings: TrainSettings, model: Any, views: Views, arguments: TrainingArguments
) -> FeatureCache:
    """The tower's output for every view of the run."""
    assert settings.feature_cache
    if any(p.requires_grad for p in model.model.vision_tower.parameters()):
        raise PosetalkError("features can only be kept of a frozen tower; set tune_vision to 'frozen'")
    kept = FeatureCache(settings.feature_cache, model.model.vision_tower, views.crop.pixels)
    places = [views.place(number) for number in range(len(views))]
    kept.fill(places, partial(look, model.eval(), views.crop), arguments)
    return kept


class _PoseTrainer(Trainer):
    """PoseLLM's losses, and a learning rate for each part."""

    def __init__(self, *args: Any, losses: LossSettings, shares: dict[str, float], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.losses, self.shares = losses, shares
        self.remove_callback(PrinterCallback)

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """As transformers' own, which asks the model for the loss."""
        if torch.is_tensor(num_items_in_batch):
            num_items_in_batch = num_items_in_batch.max()  # DataParallel repeats it for each GPU
        out = forward_with_loss(model, inputs, self.losses, num_items_in_batch)
        assert out.loss is not None
        if (
            self.args.average_tokens_across_devices
            and num_items_in_batch is not None
            and self.args.n_gpu <= 1
        ):
            out.loss = out.loss * self.accelerator.num_processes  # gradients become their mean
        return (out.loss, out) if return_outputs else out.loss

    def create_optimizer(self, *_: Any) -> torch.optim.Optimizer:
        groups: dict[float, list[torch.nn.Parameter]] = {}
        for name, parameter in self.model.named_parameters():
            if parameter.requires_grad:
                share = next((share for part, share in self.shares.items() if part in name), 1.0)
                groups.setdefault(share, []).append(parameter)
        rate = self.args.learning_rate
        self.optimizer = torch.optim.AdamW(
            [{"params": parameters, "lr": rate * share} for share, parameters in groups.items()],
            weight_decay=self.args.weight_decay,
        )
        return self.optimizer


def _people(
    settings: TrainSettings, crop: CropSettings, pictures: Path, arguments: TrainingArguments
) -> list[TrainingExample]:
    """Those to learn from. Who is left out is told: a bad record, a picture that cannot be read, a person without a
    keypoint inside its box."""
    skeletons = {data.skeleton: skeleton(data.skeleton) for data in settings.data}
    for name in settings.without_keypoints:
        if all(name not in named.names for named in skeletons.values()):
            raise PosetalkError(f"--without-keypoints: no data set has a keypoint {name!r}")
    read: list[tuple[DataSettings, list[TrainingExample]]] = []
    skipped: dict[str, None] = {}
    notes: dict[str, None] = {}
    for data in settings.data:
        named = skeletons[data.skeleton]
        of_coco = named if data.skeleton not in ("lsp14", "mpii16") else None
        people = read_people(
            Path(data.annotations), Path(data.images), skeleton=of_coco, first=data.first, last=data.last
        )
        people = those_that_fit(people)
        notes |= dict.fromkeys(people.notes)
        skipped |= dict.fromkeys(people.skipped)
        read.append((data, examples(people, named, settings.without_keypoints, crop.padding)))
    damaged = unreadable((e.image for _, some in read for e in some), pictures, arguments)
    skipped |= dict.fromkeys(damaged.values())
    found: list[TrainingExample] = []
    for data, some in read:
        kept = []
        for example in some:
            square = square_of(example.person.box, crop.size, crop.padding)
            if not placed(targets(example, square, settings.without_keypoints)):
                sentence = (
                    f"{data.annotations}: person {example.person.id} has no labelled keypoint inside its box"
                )
                skipped[sentence] = None
            elif example.image not in damaged:
                kept.append(example)
        found += kept * data.repeat
    if not found:
        why = f" ({next(iter(skipped))})" if skipped else ""
        raise PosetalkError(f"the training data has no person with a labelled keypoint{why}")
    if arguments.process_index == 0:
        for sentence in [*notes, *(f"skipped: {one}" for one in skipped)]:
            print(sentence)
    return found


def _model(settings: TrainSettings) -> tuple[Any, Any]:
    if settings.start:
        model, tokenizer = load(settings.start)
        if model.config.cells:
            model.point.forget_calibration()
        return model, tokenizer
    if settings.model is None:
        raise PosetalkError("a run needs model (the parts) or start (a saved model)")
    return build(settings.model)
