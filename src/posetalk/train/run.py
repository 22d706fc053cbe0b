"""A training run: transformers' Trainer over packed views, with exact resume."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import PrinterCallback, Trainer, TrainingArguments, set_seed

from posetalk.errors import PosetalkError
from posetalk.formats.dataset import read_people
from posetalk.images.affine import square_of
from posetalk.images.fit import drop_misfits
from posetalk.messages import log
from posetalk.model.adapters import set_trainable, trainable_parameters, with_default_tuning
from posetalk.model.files import build, conversation, crop_settings, load, save, with_adapters
from posetalk.model.machine import frozen_dtype
from posetalk.model.quantization import Bits
from posetalk.settings import CropSettings, DataSettings, ModelSettings, TrainSettings
from posetalk.skeleton import load_skeleton
from posetalk.train.align import align
from posetalk.train.averaging import AverageCallback
from posetalk.train.card import KnownKeypoints, write_card
from posetalk.train.examples import TrainingExample, Views, training_examples, view_targets
from posetalk.train.feature_cache import FeatureCache, vision_features
from posetalk.train.losses import LossSettings, forward_with_loss
from posetalk.train.packing import collate
from posetalk.train.progress import ProgressCallback, StopCallback, run_trainer
from posetalk.train.readable import recheck_after_error, unreadable_images
from posetalk.train.steps import checkpoint_activations, last_checkpoint, training_arguments
from posetalk.train.target import labelled_targets


def train_model(settings: TrainSettings, out: str | Path) -> Path:
    """Train a model that finds keypoints; called again on the same folder, resume from the last checkpoint.

    What is left out of the data is logged to the logger "posetalk".

    Args:
        settings: the data, the model to start from or to build, and how it is trained.
        out: the folder of the run: run.toml (the settings), log.jsonl (loss, learning rate, gradient norm),
            checkpoints/, the model itself and its card README.md.

    Returns:
        The folder `out`, which `Localizer.from_pretrained` loads.

    Raises:
        PosetalkError: no usable data, unknown keypoints or models, `out` holds a run of other settings.
        KeyboardInterrupt: stopped by Ctrl-C, after a checkpoint was written.

    Source:
        PoseLLM (arXiv 2507.09139), LocLLM (arXiv 2406.04659).
    """
    with settings.claim(out):
        return _run(settings, Path(out))


def _run(settings: TrainSettings, out: Path) -> Path:
    set_seed(settings.seed)
    arguments = training_arguments(TrainingArguments, settings, out, weight_decay=settings.weight_decay)
    model, tokenizer = _model(settings, settings.quantization)
    crop, checked_images = crop_settings(model.config), out / "pictures.json"
    people = _people(settings, crop, checked_images, arguments)
    learned = KnownKeypoints.of(settings, model.config.keypoints, (e.skeleton for e in people))
    if learned.again and arguments.process_index == 0:
        log.warning("note: %s", learned.warning)
    model.config.keypoints = learned.known
    model.config.synonyms = sorted({*(model.config.synonyms or ()), *learned.synonyms}) or None
    talk = conversation(model.config, tokenizer, model.question_tokenizer)
    losses = LossSettings(
        digit_ids=talk.answer.digits,
        digit_sigma=settings.digit_sigma,
        attention_loss_weight=settings.attention_loss_weight,
        heatmap_sigma=settings.heatmap_sigma,
        learn_digits=settings.learn_digits,
    )
    if settings.attention_loss_weight:
        model.set_attn_implementation("eager")  # the others keep no attention weights
    model_settings = settings.model or ModelSettings()
    if settings.start:
        model_settings = with_default_tuning(model, model_settings)
    if settings.quantization and model_settings.tune_language_model not in (None, "lora"):
        raise PosetalkError(
            "of a quantised language model adapters are trained; set tune_language_model to 'lora', or leave "
            "quantization out"
        )
    network = set_trainable(model, model_settings)
    if settings.gradient_checkpointing:
        checkpoint_activations(network)
    steps = settings.max_steps or math.ceil(len(people) * settings.epochs / settings.batch_size)
    arguments.max_steps = steps
    readout = model.config.readout
    views = Views(people, talk, crop, settings, steps * settings.batch_size, readout)
    progress, stop = ProgressCallback(out / "log.jsonl", steps, settings.batch_size, "people"), StopCallback()
    average = AverageCallback(network, settings.ema_decay) if settings.ema_decay else None
    with recheck_after_error(checked_images):
        if settings.feature_cache:
            views.features = _fill_feature_cache(settings, model, views, arguments)
        trainer = _PoseTrainer(
            network,
            arguments,
            train_dataset=views,
            data_collator=partial(collate, pad=tokenizer.eos_token_id or 0, readout=readout),
            callbacks=[progress, stop, *([average] if average else [])],
            losses=losses,
            lr_scales={
                "language_model": settings.language_lr_scale,
                "vision_tower": settings.vision_lr_scale,
            },
        )
        # the first process alone makes it, perhaps later than this one looks
        (out / "checkpoints").mkdir(exist_ok=True)
        checkpoint = last_checkpoint(out / "checkpoints", arguments)
        if settings.alignment_steps and checkpoint is None:
            align(model, tokenizer, views, settings.alignment_steps)
        try:
            run_trainer(trainer, checkpoint, stop)
        finally:
            progress.progress.stop()
    if average:
        average.use()
    gathered = trainer.accelerator.get_state_dict(network) if trainer.is_fsdp_enabled else None
    if trainer.is_world_process_zero():
        if gathered is not None:  # a sharded network cannot be taken apart, an equal one in one piece can
            whole, _ = _model(settings, settings.quantization)
            whole.config = model.config
            network = set_trainable(whole, model_settings)
            network.load_state_dict(gathered)
        counts = trainable_parameters(network)  # before LoRA is merged
        _save(network, tokenizer, settings, out)
        write_card(out, settings, learned, len(people), counts, trainer.state.global_step, model.config)
    return out


def _fill_feature_cache(
    settings: TrainSettings, model: Any, views: Views, arguments: TrainingArguments
) -> FeatureCache:
    """The vision encoder's output for every view of the run."""
    assert settings.feature_cache
    if settings.augmentation.changes_pixels:
        raise PosetalkError(
            "features are kept of images as they are; leave feature_cache out, or augmentation's color, blur and erase"
        )
    if any(p.requires_grad for p in model.model.vision_tower.parameters()):
        raise PosetalkError(
            "features can only be kept of a frozen vision encoder; set tune_vision_encoder to 'frozen'"
        )
    cache = FeatureCache(settings.feature_cache, model.model.vision_tower, views.crop.pixels)
    crops = [views.crop_of(number) for number in range(len(views))]
    cache.fill(crops, partial(vision_features, model.eval(), views.crop), arguments)
    return cache


class _PoseTrainer(Trainer):
    """PoseLLM's losses, and a learning rate for each part."""

    def __init__(self, *args: Any, losses: LossSettings, lr_scales: dict[str, float], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.losses, self.lr_scales = losses, lr_scales
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
                scale = next((scale for part, scale in self.lr_scales.items() if part in name), 1.0)
                groups.setdefault(scale, []).append(parameter)
        rate = self.args.learning_rate
        self.optimizer = torch.optim.AdamW(
            [{"params": parameters, "lr": rate * scale} for scale, parameters in groups.items()],
            weight_decay=self.args.weight_decay,
        )
        return self.optimizer


def _people(
    settings: TrainSettings, crop: CropSettings, checked_images: Path, arguments: TrainingArguments
) -> list[TrainingExample]:
    """The people to learn from. Logs who is left out: bad records, unreadable images, no keypoint inside the box."""
    skeletons = {data.skeleton: load_skeleton(data.skeleton) for data in settings.data}
    for name in settings.without_keypoints:
        if all(name not in labels.names for labels in skeletons.values()):
            raise PosetalkError(f"--without-keypoints: no data set has a keypoint {name!r}")
    sets: list[tuple[DataSettings, list[TrainingExample]]] = []
    skipped: dict[str, None] = {}
    notes: dict[str, None] = {}
    for data in settings.data:
        labels = skeletons[data.skeleton]
        coco_skeleton = labels if data.skeleton not in ("lsp14", "mpii16") else None
        data_set = read_people(
            Path(data.annotations),
            Path(data.images),
            skeleton=coco_skeleton,
            first=data.first,
            last=data.last,
        )
        data_set = drop_misfits(data_set)
        notes |= dict.fromkeys(data_set.notes)
        skipped |= dict.fromkeys(data_set.skipped)
        sets.append((data, training_examples(data_set, labels, settings.without_keypoints, crop)))
    unreadable = unreadable_images(
        (e.image for _, examples_of_set in sets for e in examples_of_set), checked_images, arguments
    )
    skipped |= dict.fromkeys(unreadable.values())
    people: list[TrainingExample] = []
    for data, examples_of_set in sets:
        usable = []
        for example in examples_of_set:
            square = square_of(example.person.box, crop.size, crop.padding)
            if not labelled_targets(view_targets(example, square, settings.without_keypoints)):
                sentence = (
                    f"{data.annotations}: person {example.person.id} has no labelled keypoint inside its box"
                )
                skipped[sentence] = None
            elif example.image not in unreadable:
                usable.append(example)
        people += usable * data.repeat
    if not people:
        why = f" ({next(iter(skipped))})" if skipped else ""
        raise PosetalkError(f"the training data has no person with a labelled keypoint{why}")
    if arguments.process_index == 0:
        for note in notes:
            log.info(note)
        for sentence in skipped:
            log.warning("skipped: %s", sentence)
    return people


def _model(settings: TrainSettings, quantization: Bits | None = None) -> tuple[Any, Any]:
    """The model to train, its language model in the dtype of the settings."""
    trains_layers = settings.model is not None and settings.model.tune_language_model == "layers"
    dtype = frozen_dtype(settings.language_model_dtype, settings.bf16, trains_layers)
    if settings.start:
        model, tokenizer = load(settings.start, dtype, quantization)
        if model.config.cells:
            model.point.forget_calibration()
        return model, tokenizer
    if settings.model is None:
        raise PosetalkError("a run needs model (the parts) or start (a saved model)")
    return build(settings.model, dtype, quantization)


def _save(network: Any, tokenizer: Any, settings: TrainSettings, out: Path) -> None:
    """The model; a quantised one's adapters are added into the weights that were there before."""
    if settings.quantization is None or settings.save_format == "adapters":
        save(network, tokenizer, out, settings.save_format)
        return
    save(network, tokenizer, out / "adapters", "adapters")
    model = with_adapters(_model(settings)[0], str(out / "adapters"))
    model.config.keypoints, model.config.synonyms = network.config.keypoints, network.config.synonyms
    save(model, tokenizer, out)
