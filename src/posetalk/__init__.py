"""Human pose and language, both ways. The public names; each is loaded when it is first used."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from posetalk.draw import draw_pose
    from posetalk.errors import PosetalkError
    from posetalk.formats.dataset import read_people
    from posetalk.hub.push import push_to_hub
    from posetalk.locate.localizer import Localizer
    from posetalk.score.evaluate import evaluate
    from posetalk.settings import TrainSettings
    from posetalk.skeleton import Keypoint, Skeleton
    from posetalk.types import Box, Poses

__version__ = "0.1.0"

_HOMES = {
    "Box": "types",
    "Poses": "types",
    "Keypoint": "skeleton",
    "Localizer": "locate.localizer",
    "PosetalkError": "errors",
    "Skeleton": "skeleton",
    "TrainSettings": "settings",
    "draw_pose": "draw",
    "evaluate": "score.evaluate",
    "push_to_hub": "hub.push",
    "read_people": "formats.dataset",
}

__all__ = [
    "Box",
    "Keypoint",
    "Localizer",
    "Poses",
    "PosetalkError",
    "Skeleton",
    "TrainSettings",
    "draw_pose",
    "evaluate",
    "push_to_hub",
    "read_people",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'posetalk' has no attribute {name!r}")
    try:
        home = import_module(f"posetalk.{_HOMES[name]}")
    except ModuleNotFoundError as error:
        from posetalk.errors import missing_package

        raise (missing_package(error) or error) from None
    return getattr(home, name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
