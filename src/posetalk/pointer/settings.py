"""What an evaluation of a pointer was made with; a resumed one must be of the same."""

from __future__ import annotations

from pydantic import Field

from posetalk.inputs import LocalPath, ModelName, TomlName
from posetalk.pointer.view import ViewKind
from posetalk.settings import Dtype, Settings


class PointerSettings(Settings):
    """A vision-language model that is asked for the labelled points of people."""

    form: TomlName
    """The form of questions and answers: a built-in one, or a TOML file."""
    model: ModelName
    """A folder or hub id of a vision-language model, `small` or `tiny`; with a server, the model's name there."""
    on_server: bool = False
    """Whether the model is on a server."""
    annotations: LocalPath
    """The label file, in COCO's, MPII's or LSP's format, or of described points."""
    images: LocalPath
    """The folder of the images."""
    skeleton: TomlName | None = None
    """The labelled points and their descriptions; None for those that the labels name."""
    view: ViewKind = "photo"
    """Whether the whole photo is shown, with the person's box in the question, or the person's crop."""
    image_side: int = Field(default=1024, ge=28)
    """The longest side of what is shown, px."""
    points_per_request: int | None = Field(default=None, ge=1)
    """Points asked for at once, at most; None for the form's own number."""
    first: int = 1
    """First image of the range, counted from 1 (LSP only)."""
    last: int | None = None
    """Last image of the range; None for all (LSP only)."""
    limit: int | None = Field(default=None, ge=1)
    """At most so many people; None for all."""
    dtype: Dtype | None = None
    """Number format of the weights of a model on this machine; None for float32 on a CPU and bfloat16 elsewhere."""
