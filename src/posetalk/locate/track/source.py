"""Where a video comes from."""

from __future__ import annotations

import re
from pathlib import Path

SUFFIXES = (
    *(".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts"),
    *(".wmv", ".flv", ".3gp", ".ogv"),
)
# of streams that go on while nobody reads; others, such as https:, wait
HASTY = ("rtsp://", "rtsps://", "rtmp://", "rtmps://", "rtp://", "srt://", "udp://")
ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
Source = str | Path | int


def waits(source: Source) -> bool:
    """Whether a source gives its frames when they are asked for; a camera and some streams do not."""
    return not isinstance(source, int) and not str(source).lower().startswith(HASTY)


def is_video(source: Source) -> bool:
    """Whether a source is a video by its name: a file with a video's suffix, or an address such as rtsp://..."""
    return (
        isinstance(source, int) or bool(ADDRESS.match(str(source))) or str(source).lower().endswith(SUFFIXES)
    )
