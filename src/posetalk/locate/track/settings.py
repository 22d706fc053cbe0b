"""Settings of a run over a video."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from posetalk.inputs import LocalPath, ModelName
from posetalk.settings import Dtype, Readout, Settings


class VideoSettings(Settings):
    """What was asked of a video; nothing may change in a resumed run."""

    model: ModelName
    """A folder or hub id of a PoseLLM, or `bundled`."""
    video: LocalPath
    """The video, a folder of images, an address without its password, or `camera 0`."""
    keypoints: tuple[str, ...]
    """What is looked for, "name: description" each."""
    fps: float | None = None
    """Frames a second of a folder of images."""
    raw: bool = False
    """Places are left as they were located, not smoothed."""
    detector: ModelName | None = None
    """A detector of people, `bundled`, a folder or a hub id; None for one person in the whole of each frame."""
    min_score: float | None = Field(default=None, ge=0, le=1)
    """The detector's people with a lower score are left out; None for the detector's own."""
    max_people: int | None = Field(default=None, ge=1)
    """At most so many people a frame, the surest; None for all."""
    largest: bool = False
    """Only the largest person of a frame."""
    readout: Readout | None = None
    """Point at the place (`point`) or write its digits (`digits`); None for the model's own."""
    decoding: Literal["greedy", "expected"] = "expected"
    """Of digits, the likeliest (`greedy`) or the mean of their distribution (`expected`)."""
    flip_test: bool = False
    """Average with the answer for the mirrored crop."""
    dtype: Dtype | None = None
    """Number format of the language model's weights; None for float32 on a CPU and bfloat16 elsewhere."""
