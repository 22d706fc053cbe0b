"""`posetalk locate` on a video: the part of the command that is not about images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from posetalk.errors import PosetalkError
from posetalk.process import prepare_for_models


def chosen_video(images: Sequence[str], camera: int | None, fps: float | None) -> str | int | None:
    """The video that is asked for; None where images are.

    Raises:
        PosetalkError: a video among other inputs; frames a second of something that is no folder.
    """
    from posetalk.locate.track.source import is_video

    if camera is not None:
        if images:
            raise PosetalkError("--camera is an input of its own; leave the other ones away")
        return camera
    videos = [image for image in images if is_video(image)]
    if fps is not None and len(images) == 1:
        return images[0]
    if fps is not None:
        raise PosetalkError("--fps goes with one folder, whose images are the frames of a video")
    if videos and len(images) > 1:
        raise PosetalkError(f"{videos[0]} is a video; give one video at a time, and a folder for each")
    return videos[0] if videos else None


def locate_people_of_video(
    video: str | int, points: Any, *, out: Path | None, unfit: Sequence[str], **options: Any
) -> None:
    """Follow the people of a video, and say what came of it. unfit: options that were given and go with images."""
    from posetalk.locate.predictions import readable
    from posetalk.locate.track.run import locate_video

    if out is None:
        raise PosetalkError("a video needs a folder for its answers; give --out FOLDER")
    if unfit:
        raise PosetalkError(f"{unfit[0]} goes with images; leave it away for a video")
    prepare_for_models()
    found = locate_video(video, points, out=out, **options)
    for sentence in found.notes:
        print(readable(sentence))
    drawn = f", drawn in {options['drawing']}" if options["drawing"] else ""
    print(readable(f"{found.people} people in {found.frames} frames: {found.predictions}{drawn}"))
