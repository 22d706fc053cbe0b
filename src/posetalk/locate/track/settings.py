"""Settings of a run over a video."""

from __future__ import annotations

from posetalk.inputs import LocalPath
from posetalk.settings import PeopleSettings


class VideoSettings(PeopleSettings):
    """What was asked of a video; nothing may change in a resumed run."""

    video: LocalPath
    """The video, a folder of images, an address without its password, or `camera 0`."""
    fps: float | None = None
    """Frames a second of a folder of images."""
    raw: bool = False
    """Places are left as they were located, not smoothed."""
