"""What a `Localizer` needs of the network, whatever runs it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

from posetalk.model.graphs import has_graphs
from posetalk.resources import model_path

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from posetalk.prompt.conversation import Conversation
    from posetalk.settings import CropSettings, Readout
    from posetalk.skeleton import Keypoint
    from posetalk.types import Floats

EngineName = Literal["torch", "onnx"]


def engine_for(name: str | Path, device: Any, device_map: Any, dtype: Any, readout: str | None) -> EngineName:
    """What runs a model where nobody says: ONNX Runtime, unless something is asked for that it cannot do."""
    if device is not None and str(device) != "cpu":
        return "torch"
    if device_map is not None or not is_float32(dtype) or readout == "digits":
        return "torch"
    return "onnx" if has_graphs(Path(model_path(name))) else "torch"


def is_float32(dtype: Any) -> bool:
    """Whether weights are to be in float32, which they are in ONNX Runtime."""
    return dtype is None or str(dtype).removeprefix("torch.") == "float32"


class EncodedCrops(Protocol):
    """P encoded crops; a slice of them is some of them."""

    def __getitem__(self, rows: slice, /) -> Self: ...

    @classmethod
    def concat(cls, parts: Sequence[Any], /) -> Self:
        """Several as one."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """Answers for P people and K questions.

    Attributes:
        xy: (P, K, 2) coordinates in 0..1 of the crop, origin top left.
        std: (P, K, 2) standard deviations of the answers' distributions, in crop sides; None for greedy digits.
        score: (P, K) for `point` the expected OKS; for digits the mean probability of the six digits.
        visible: (P, K) probability that the keypoint is visible; None for digits.
    """

    xy: Floats
    std: Floats | None
    score: Floats
    visible: Floats | None


class Engine(Protocol):
    """Runs a PoseLLM.

    Attributes:
        name: `torch` or `onnx`.
        source: The folder or hub id of the model; empty for a model that was not loaded from one.
        conversation: How the model writes questions and answers as token ids.
        crop: How people are cut out of images.
        readout: The model's own readout.
        points: Whether it has the readout `point`.
        trained_keypoints: Names of the keypoints that it was trained on.
        synonyms: Their other names in training.
        context: How many tokens a question may take with its image and answer; None where there is no limit.
    """

    name: str
    source: str
    conversation: Conversation
    crop: CropSettings
    readout: Readout
    points: bool
    trained_keypoints: tuple[str, ...]
    synonyms: tuple[str, ...]
    context: int | None

    def encode(self, pixels: npt.NDArray[np.float32], *, points: bool) -> Any:
        """Encode normalised crops (P, 3, S, S) for `point` or for `digits`; returns `EncodedCrops`."""
        ...

    def read(self, keypoints: Sequence[Keypoint]) -> list[Any]:
        """Each question as the network takes it."""
        ...

    def point(self, crops: Any, questions: Sequence[Any], scale: Floats) -> Answers:
        """Point at every keypoint. scale: (P, K) the s of OKS, exp(-d^2 / (2 s^2)), in crop sides."""
        ...

    def heat(self, crops: Any, questions: Sequence[Any]) -> Floats:
        """The probability of each cell of the crop, (P, K, S, S) in rows from the top; it sums to 1 over S * S."""
        ...

    def digits(self, crops: Any, questions: Sequence[Any], branches: int) -> Answers:
        """Generate coordinates as digits. branches: 1 for greedy decoding, see `locate.decode.decode`."""
        ...
