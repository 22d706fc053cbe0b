"""What a model may be called: a folder, a hub id, or one of our own."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Any

from huggingface_hub import constants, get_session, try_to_load_from_cache
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # public, and not said to be

from posetalk.errors import PosetalkError
from posetalk.inputs import OWN_MODELS
from posetalk.settings import CropSettings, ModelSettings

# DINOv2 ViT-L/14 with its final norm, 224 px -> 256 tokens; Vicuna-7B-v1.5 (PoseLLM section 3, LocLLM section 3).
_PARTS: dict[str, Any] = {
    "vision_encoder": "facebook/dinov2-large",
    "language_model": "lmsys/vicuna-7b-v1.5",
    "crop": CropSettings(clip_box=True),
}
PRESETS = {
    "posellm-7b": ModelSettings(**_PARTS, connector="mlp"),
    "locllm-7b": ModelSettings(**_PARTS, connector="linear"),
}
_PURPOSES = {
    "bundled": "finds keypoints (locate, evaluate, train, calibrate)",
    "small": "talks about images (tune, chat, bench)",
    "tiny": "talks about images (tune, chat, bench)",
}
_SIMILARITY = 0.75  # of difflib's ratio: "bundeld", "posellm7b"
_TIMEOUT = 5.0  # seconds until a hub that does not answer counts as out of reach


def check_name(name: str, what: str) -> None:
    """Check that a model can be asked for by this name.

    Raises:
        PosetalkError: what is no folder, and no hub id that can be asked for: a recipe, a model of ours for something
            else or nearly the name of one, a name that no hub has, a hub out of reach that the model was not fetched
            from before.
    """
    if Path(name).is_dir():
        return
    if name in PRESETS:
        raise PosetalkError(
            f"{name} is a recipe without weights; train it (posetalk train --preset {name} --annotations ... "
            "--images ... --out FOLDER) and give the model's folder that this prints"
        )
    if name in OWN_MODELS:
        raise PosetalkError(f"{name} is no {what} for this: it {_PURPOSES[name]}")
    if close := get_close_matches(name.lower(), (*OWN_MODELS, *PRESETS), 1, _SIMILARITY):
        raise PosetalkError(f"there is no model {name}; did you mean {close[0]}?")
    try:
        validate_repo_id(name)
    except HFValidationError:
        raise PosetalkError(
            f"there is no folder {name}, and no hub id is written like that; check the path of the {what}"
        ) from None
    _check_hub(name, what)


def _check_hub(name: str, what: str) -> None:
    """Ask once, where the hub's client would try for most of a minute."""
    if constants.HF_HUB_OFFLINE or try_to_load_from_cache(name, "config.json"):
        return
    try:
        get_session().head(constants.ENDPOINT, timeout=_TIMEOUT)
    except Exception as error:  # of whatever client the hub's package has
        raise PosetalkError(
            f"there is no folder {name}, and the hub cannot be reached for such a {what} "
            f"({type(error).__name__}); give a folder, or a hub id with the network up"
        ) from None
