"""One step of each job on a network without numbers: train, tune, locate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from posetalk.locate.decode import decode, heat_maps, prefill, read
from posetalk.model.files import crop_settings
from posetalk.model.posellm import PoseLLMConfig
from posetalk.plan.count import Count, counting, fake
from posetalk.plan.network import depth, for_locating, for_training, for_tuning, shortened
from posetalk.prompt.conversation import Conversation
from posetalk.settings import Readout, TrainSettings
from posetalk.skeleton import Keypoint
from posetalk.train.interpolated import interpolated_keypoints
from posetalk.train.losses import TARGETS, LossSettings, forward_with_loss
from posetalk.train.packing import CHAIN, collate, pack
from posetalk.train.target import Target
from posetalk.tune.settings import TuneSettings

Empty = Callable[..., Tensor]
_SHALLOW = 2  # layers of the networks that are run; deeper ones have more of the same


def at_depth(config: Any, count: Callable[[Any], Count]) -> Count:
    """The count of a network of many equal layers, from those of shallow ones: each layer adds the same."""
    vision, text = depth(config.vision_config), depth(config.text_config)
    if not text or text <= _SHALLOW + 1:
        return count(config)
    short = min(vision, _SHALLOW)
    base = count(shortened(config, short, _SHALLOW))
    deeper = count(shortened(config, short, _SHALLOW + 1))
    total = base.plus(deeper.plus(base, -1), text - _SHALLOW)
    if vision > _SHALLOW:
        wider = count(shortened(config, _SHALLOW + 1, _SHALLOW))
        total = total.plus(wider.plus(base, -1), vision - _SHALLOW)
    return total


def training_batch(
    settings: TrainSettings, config: PoseLLMConfig, talk: Conversation, keypoints: Sequence[Keypoint]
) -> dict[str, Tensor]:
    """As many people as a device takes at a time, with all their keypoints labelled."""
    targets = [
        Target(keypoint, (0.5, 0.5), True) for keypoint in keypoints[: asked(settings, len(keypoints))]
    ]
    more = interpolated_keypoints(targets, settings.interpolated_keypoints, np.random.default_rng(0))
    readout: Any = config.readout
    row = pack(talk, targets + more, settings.packing, readout, settings.learn_digits)
    pixels = np.zeros((3, 1, 1), np.float32)
    return collate([(pixels, row)] * settings.per_device_batch_size, 0, readout)


def asked(settings: TrainSettings, labelled: int) -> int:
    """Of how many of a person's keypoints a row of training asks."""
    limit = min(labelled, settings.keypoints_per_view or labelled)
    return min(limit, CHAIN) if settings.packing == "chain" else limit


def training_count(settings: TrainSettings, config: PoseLLMConfig, batch: dict[str, Tensor]) -> Count:
    """Forward and backward pass of one batch."""

    def count(config: PoseLLMConfig) -> Count:
        network = for_training(settings, config)
        empty = fake(network)
        inputs = batch | _image(settings, config, network, empty, len(batch["input_ids"]))
        with_gradients(network)
        losses = LossSettings(digit_sigma=settings.digit_sigma, learn_digits=settings.learn_digits)
        if settings.attention_loss_weight:
            base(network).set_attn_implementation("eager")
            losses = LossSettings(attention_loss_weight=settings.attention_loss_weight)
        with counting(network, base(network).model.language_model) as counter:
            with torch.autocast("cpu", torch.bfloat16, enabled=settings.bf16 is not False):
                out = forward_with_loss(network, inputs, losses)
            counter.next_phase()
            loss = out.loss
            del out
            assert loss is not None
            loss.backward()
        return counter.count()

    return at_depth(config, count)


def _image(
    settings: TrainSettings, config: PoseLLMConfig, network: nn.Module, empty: Empty, people: int
) -> dict[str, Tensor]:
    side = crop_settings(config).size
    pixels = empty(people, 3, side, side)
    if not settings.feature_cache:
        return {"pixel_values": pixels}
    with torch.no_grad():
        output = base(network).model.vision_output(pixels)
    kept = {"features": output.last_hidden_state, "fine": output.fine, "pixel_values": None}
    return {name: tensor for name, tensor in kept.items() if tensor is not None or name == "pixel_values"}


def tuning_count(settings: TuneSettings, config: Any, tokens: int) -> Count:
    """Forward and backward pass of one batch of samples of so many tokens, all but the image's of answers."""
    from trl.trainer.utils import add_fused_lm_head

    def count(config: Any) -> Count:
        network = for_tuning(settings, config)
        empty, model = fake(network), base(network)
        samples, image = settings.per_device_batch_size, int(config.image_seq_length)
        ids = torch.zeros(samples, tokens, dtype=torch.long)
        ids[:, :image] = config.image_token_id
        learned = samples * (tokens - image)
        add_fused_lm_head(model, outputs=("log_probs", "entropy", "is_top1"))

        def keep_learned(_: Any, __: Any, output: Any) -> Any:  # as `tune.run` does
            rows = output.last_hidden_state.flatten(0, 1)[: learned + 1]
            output.last_hidden_state = rows[None]
            counter.mode = pixels.fake_mode  # the loss is of the vocabulary's size: too large to be computed
            return output

        model.base_model.register_forward_hook(keep_learned)
        with_gradients(network)
        side = config.vision_config.image_size
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        labels = torch.zeros(1, learned + 1, dtype=torch.long)
        pixels: Any = empty(samples, 3, side, side)
        with counting(network, model.model.language_model) as counter:
            with torch.autocast("cpu", torch.bfloat16, enabled=settings.bf16):
                out = network(**inputs, pixel_values=pixels, labels=labels, fused_lm_head=True)
            counter.next_phase()
            loss = -out.log_probs.sum()
            del out
            loss.backward()
        return counter.count()

    return at_depth(config, count)


def locating_count(
    config: PoseLLMConfig,
    talk: Conversation,
    keypoints: Sequence[Keypoint],
    people: int,
    dtype: torch.dtype,
    readout: Readout,
    branches: int,
) -> Count:
    """Encode a batch of people and ask them all keypoints."""

    def count(config: PoseLLMConfig) -> Count:
        model = for_locating(config, dtype)
        empty, side = fake(model), crop_settings(config).size
        pixels = empty(people, 3, side, side)
        with counting(model, model.model.language_model) as counter:
            questions = read(model, talk, keypoints)
            prefix = prefill(model, talk, pixels, cells=readout == "point")
            if readout == "point":
                heat_maps(model, prefix, questions)
            else:
                decode(model, talk, prefix, questions, branches)
        return counter.count()

    return at_depth(config, count)


def with_gradients(network: nn.Module) -> None:
    """Gradients are there, as from the second of the batches on that a step adds up."""
    for parameter in network.parameters():
        if parameter.requires_grad:
            parameter.grad = torch.zeros_like(parameter)


def base(network: Any) -> Any:
    """The network without peft's wrapper."""
    return network.get_base_model() if hasattr(network, "get_base_model") else network


def learned_tokens(batch: dict[str, Tensor]) -> int:
    """For how many tokens logits are computed."""
    labels = batch[TARGETS[0]]
    return int((labels[:, 1:] != -100).sum())
