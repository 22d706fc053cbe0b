"""Vision encoders and language models that a network is built from: what is known of them without a download."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

from transformers import AutoConfig, PreTrainedConfig

from posetalk.errors import PosetalkError
from posetalk.model.folders import check_config, load_errors

QUESTION_ROOM = 128  # tokens that a question with its description and its answer take, at least
# Attention of these layers is told apart by a mask; what other layers remember of a row mixes its questions.
_ATTENTION = {"full_attention", "sliding_attention"}
# DINOv3 moves and scales its positions at random in training: answers are learned from places that stay as they are.
_RANDOM_POSITIONS = ("pos_embed_shift", "pos_embed_jitter", "pos_embed_rescale")


@cache
def known_parts() -> dict[str, dict[str, dict[str, Any]]]:
    """`vision_encoders` and `language_models` by their hub id, as parts.toml beside this file has them."""
    return tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))


def part_config(name: str) -> PreTrainedConfig:
    """The configuration of a vision encoder or a language model.

    Args:
        name: a hub id, which is not asked for where it is among `known_parts`; or a folder.

    Raises:
        PosetalkError: there is no such model, or its configuration cannot be read.
    """
    known = {hub_id: values for kind in known_parts().values() for hub_id, values in kind.items()}
    if name in known and not Path(name).is_dir():
        values = {key: deepcopy(value) for key, value in known[name].items() if key != "crop"}
        config: PreTrainedConfig = AutoConfig.for_model(**values)
        return config
    check_config(name, "model")
    with load_errors("configuration", name):
        return AutoConfig.from_pretrained(name, trust_remote_code=False)


def known_crop(vision_encoder: str) -> dict[str, Any]:
    """`size` and `pixels` of `CropSettings` for a known vision encoder; nothing for another."""
    crop: dict[str, Any] = known_parts()["vision_encoders"].get(vision_encoder, {}).get("crop", {})
    return dict(crop)


def with_parts(
    model: Mapping[str, Any], vision_encoder: str | None, language_model: str | None
) -> dict[str, Any]:
    """The keys of `ModelSettings` with these parts in place of those that are there.

    A known vision encoder brings its crop, of which `model` says what is to be otherwise.
    """
    changed = dict(model)
    if language_model:
        changed["language_model"] = language_model
    if vision_encoder:
        changed["vision_encoder"] = vision_encoder
        crop = model.get("crop", {})
        changed["crop"] = known_crop(vision_encoder) | crop if isinstance(crop, dict) else crop
    return changed


def encoder_config(config: PreTrainedConfig) -> PreTrainedConfig:
    """A vision encoder's configuration as a network needs it, of what the encoder was published with.

    Of a pair of encoders (SigLIP, CLIP) it is the one of images. Without the pooling head, which nobody asks, and
    without random positions in training. Convolutional encoders name the width of every stage: theirs is the last.
    """
    config = deepcopy(getattr(config, "vision_config", config))
    for key, value in {"vision_use_head": False, **dict.fromkeys(_RANDOM_POSITIONS)}.items():
        if hasattr(config, key):
            setattr(config, key, value)
    if getattr(config, "hidden_size", None) is None:
        config.hidden_size = config.hidden_sizes[-1]
    return config


def context_size(text: PreTrainedConfig) -> int | None:
    """How many tokens a question may take with its image and answer; None where there is no limit.

    The masks of packed rows show a token all that is before it: what a sliding window shows must hold it all.
    """
    limits = [getattr(text, "max_position_embeddings", None), _window(text)]
    return min((limit for limit in limits if limit is not None), default=None)


def check_language_model(text: PreTrainedConfig, image_tokens: int) -> None:
    """Raises PosetalkError: layers that are no attention; a sliding window too short for an image and a question."""
    others = set(_layer_kinds(text)) - _ATTENTION
    if others:
        raise PosetalkError(
            f"the language model ({text.model_type}) has layers of the kind {', '.join(sorted(others))}, in which the "
            "questions of a row would mix; choose one whose layers all are attention"
        )
    window = _window(text)
    if window is not None and window < image_tokens + QUESTION_ROOM:
        raise PosetalkError(
            f"the language model ({text.model_type}) has layers that look back {window:,} tokens, and an image takes "
            f"{image_tokens:,} and a question about {QUESTION_ROOM}; choose another one, or a smaller crop.size"
        )


def _layer_kinds(text: PreTrainedConfig) -> list[str]:
    return getattr(text, "layer_types", None) or []


def _window(text: PreTrainedConfig) -> int | None:
    """How many tokens back the layers with the shortest view look; None where all see everything."""
    kinds = _layer_kinds(text)
    return getattr(text, "sliding_window", None) if not kinds or "sliding_attention" in kinds else None
