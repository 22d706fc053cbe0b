"""A training run: transformers' Trainer over packed views, with exact resume."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.progress import track
from transformers import PrinterCallback, Trainer, TrainingArguments, set_seed

from posetalk.crop.fit import fitting
from posetalk.errors import PosetalkError
from posetalk.model.adapters import set_trainable, trainable
from posetalk.model.files import build, conversation, crop_settings, load, save
from posetalk.read.dataset import read_people
from posetalk.settings import ModelSettings, TrainSettings
from posetalk.skeleton import skeleton
from posetalk.train.align import align
from posetalk.train.examples import Example, Views, examples
from posetalk.train.features import Features, look
from posetalk.train.packing import collate
from posetalk.train.progress import Report, Stop
from posetalk.train.steps import arguments_of, last_checkpoint


def train(settings: TrainSettings, out: str | Path) -> Path:
    """Train, and write the model to `out`; called again on the same folder it resumes from the last checkpoint.

    out holds run.toml (the settings), log.jsonl (loss, rate, gradient norm), checkpoints/, card.md and the
    model itself. Errors: no data, unknown names, a folder with a run of other settings; KeyboardInterrupt when stopped
    by Ctrl-C, with a checkpoint behind it.
    """
    with settings.claim(out):
        return _run(settings, Path(out))


def _run(settings: TrainSettings, out: Path) -> Path:
    set_seed(settings.seed)
    model, tokenizer = _model(settings)
    people = _people(settings, crop_settings(model.config).padding)
    model.config.keypoints = sorted(
        {k.name for e in people for k in e.skeleton.keypoints} - set(settings.without_keypoints)
    )
    talk, crop = conversation(model.config, tokenizer), crop_settings(model.config)
    model.digit_ids, model.digit_sigma = talk.answer.digits, settings.digit_sigma
    model.guide, model.point_sigma, model.digits_too = (
        settings.guide,
        settings.point_sigma,
        settings.digits_too,
    )
    if settings.guide:
        model.set_attn_implementation("eager")  # the others keep no attention weights
    network = set_trainable(model, settings.model or _kept(model))
    arguments = arguments_of(TrainingArguments, settings, out, weight_decay=settings.weight_decay)
    steps = settings.steps or math.ceil(len(people) * settings.epochs / settings.batch)
    arguments.max_steps = steps
    readout = model.config.readout
    views = Views(people, talk, crop, settings, steps * settings.batch, readout)
    if settings.features:
        views.features = _features(settings, model, views, arguments)
    report, stop = Report(out / "log.jsonl", steps, settings.batch, "people"), Stop()
    trainer = _PoseTrainer(
        network,
        arguments,
        train_dataset=views,
        data_collator=partial(collate, pad=tokenizer.eos_token_id or 0, readout=readout),
        callbacks=[report, stop],
        shares={"language_model": settings.text_rate, "vision_tower": settings.vision_rate},
    )
    (out / "checkpoints").mkdir(
        exist_ok=True
    )  # the first process alone makes it, perhaps later than this one looks
    checkpoint = last_checkpoint(out / "checkpoints")
    if settings.align and checkpoint is None:
        align(model, tokenizer, views, settings.align, partial(track, description="aligning"))
    try:
        with stop.listening(arguments.world_size):
            trainer.train(resume_from_checkpoint=checkpoint)
    finally:
        report.progress.stop()
    if trainer.is_world_process_zero():
        save(network, tokenizer, out, settings.form)
        (out / "card.md").write_text(_card(settings, people, trainable(network), trainer), encoding="utf-8")
    return out


def _features(settings: TrainSettings, model: Any, views: Views, arguments: TrainingArguments) -> Features:
    """The tower's output for every view of the run."""
    assert settings.features
    if any(p.requires_grad for p in model.model.vision_tower.parameters()):
        raise PosetalkError("features can only be kept of a frozen tower; set tune_vision to 'frozen'")
    kept = Features(settings.features, model.model.vision_tower, views.crop.pixels)
    places = [views.place(number) for number in range(len(views))]
    kept.fill(places, partial(look, model.eval(), views.crop), arguments)
    return kept


class _PoseTrainer(Trainer):
    """A learning rate for each part, and views in the order they are numbered."""

    def __init__(self, *args: Any, shares: dict[str, float], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.shares = shares
        self.remove_callback(PrinterCallback)

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


def _people(settings: TrainSettings, padding: float) -> list[Example]:
    skeletons = {data.skeleton: skeleton(data.skeleton) for data in settings.data}
    for name in settings.without_keypoints:
        if all(name not in named.names for named in skeletons.values()):
            raise PosetalkError(f"--without-keypoints: no data set has a keypoint {name!r}")
    found: list[Example] = []
    for data in settings.data:
        named = skeletons[data.skeleton]
        of_coco = named if data.skeleton not in ("lsp14", "mpii16") else None
        people = read_people(
            Path(data.annotations), Path(data.images), skeleton=of_coco, first=data.first, last=data.last
        )
        people = fitting(people)
        for sentence in [*people.notes, *(f"skipped: {one}" for one in people.skipped)]:
            print(sentence)
        found += examples(people, named, settings.without_keypoints, padding) * data.repeat
    if not found:
        raise PosetalkError("the training data has no person with a labelled keypoint")
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


def _kept(model: Any) -> ModelSettings:
    return ModelSettings(
        vision=str(model.config.vision), text=str(model.config.text), connector=model.config.connector
    )


def _card(settings: TrainSettings, people: list[Example], counts: dict[str, int], trainer: Trainer) -> str:
    seen = sorted({k.name for e in people for k in e.skeleton.keypoints} - set(settings.without_keypoints))
    lines = [
        "# Model card",
        "",
        f"Trained with posetalk for {trainer.state.global_step} steps of {settings.batch} people, packing "
        f"`{settings.packing}`, seed {settings.seed}; every setting is in run.toml, the loss curve in log.jsonl.",
        "",
        f"- People: {len(people)} per epoch, from {', '.join(d.annotations for d in settings.data)}",
        f"- Keypoints ({len(seen)}): {', '.join(seen)}",
        f"- Left out: {', '.join(settings.without_keypoints) or 'none'}",
        f"- Trained numbers: {', '.join(f'{part} {n:,}' for part, n in counts.items())}",
    ]
    return "\n".join(lines) + "\n"
