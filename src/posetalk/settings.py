"""Settings: frozen, unknown keys refused, saved as run.toml beside what they made."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

import msgspec
import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from posetalk.atomic_files import whole_file
from posetalk.errors import PosetalkError
from posetalk.inputs import Content, Dumped, LocalPath, ModelName, TomlName, contents_of, differing, mark_of
from posetalk.lock import only_run
from posetalk.messages import log

_INPUTS = "inputs.json"


class Settings(BaseModel):
    """The base of all settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    renamed: ClassVar[Mapping[str, str]] = {}  # keys that had another name before, and the name they have now

    @model_validator(mode="before")
    @classmethod
    def _refuse_old_names(cls, data: Any) -> Any:
        for old in data if isinstance(data, Mapping) else ():
            if old in cls.renamed:
                raise ValueError(f"{old!r} is called {cls.renamed[old]!r} now")
        return data

    def save(self, path: str | Path) -> None:
        """Write a TOML file, in one piece; paths as absolute ones, so that it means the same read from any folder."""
        with whole_file(path, "choose another folder") as part:
            part.write_text(tomli_w.dumps(self._absolute()[0]), encoding="utf-8")

    @contextmanager
    def claim(
        self, folder: str | Path, *, anew: bool = False, also: Mapping[str, str] | None = None
    ) -> Iterator[str]:
        """Make `folder` the place of a run with these settings (run.toml), of files with this content (inputs.json),
        and hold it against other runs meanwhile. Gives a mark of the content.

        anew: what is in the folder is made anew, so that changed files are told and taken. also: what else the results
        hang on and must be the same, by what it is called. Folders of images are not looked into.

        Raises:
            PosetalkError: the folder holds a run with other settings, or of files that were changed since, each of
                which is named; another run is at work in it.
        """
        folder, made = Path(folder), not Path(folder).exists()
        try:
            _make(folder)
            with only_run(folder):
                file, new = folder / "run.toml", not (folder / "run.toml").exists()
                contents = self._compare(file, anew, also or {})
                self.save(file)
                rows = msgspec.json.format(msgspec.json.encode(contents, order="sorted"), indent=1)
                with whole_file(folder / _INPUTS, "choose another folder") as part:
                    part.write_bytes(rows)
                try:
                    yield mark_of(contents)
                finally:
                    if new and {path.name for path in folder.iterdir()} <= {file.name, _INPUTS, ".lock"}:
                        (folder / _INPUTS).unlink(missing_ok=True)
                        file.unlink()  # nothing came of it, so that the folder is free for other settings
        finally:
            if made:
                with suppress(OSError):  # there is something in it
                    folder.rmdir()

    def _compare(self, file: Path, anew: bool, also: Mapping[str, str]) -> dict[str, Content]:
        """What the run's inputs hold. Refuses a file that has other settings, and inputs that were changed."""
        dumped, inputs = self._absolute()
        now, known = _flat(dumped), known_contents(file.with_name(_INPUTS))
        paths = {
            f"{key}/{name}" if name else key: path
            for key, value in now.items()
            for name, path in inputs.get(str(value), {}).items()
        }
        contents = contents_of(paths, known or {})
        contents |= {
            name: Content(0, (0, 0), sha256(text.encode()).hexdigest()) for name, text in also.items()
        }
        if not file.exists():
            return contents
        before = _flat(type(self).load(file)._absolute()[0])
        changed = [
            f"{key} was {_shown(before.get(key))} and is {_shown(now.get(key))}"
            for key in {**before, **now}
            if before.get(key) != now.get(key) and not _moved(key, known or {}, contents)
        ]
        if changed:
            raise PosetalkError(
                f"{file.parent} holds a run with other settings: {'; '.join(changed)}; "
                "run it with those it has, or choose another folder"
            )
        others = [] if known is None else differing(known, contents)  # None: of an earlier version's run
        if others:
            names = list(dict.fromkeys(str(paths.get(name, name)) for name in others))
            more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
            told = f"{', '.join(names[:3])}{more} changed since the run in {file.parent} began"
            if not anew:
                raise PosetalkError(f"{told}; put back what was there, or choose another folder")
            log.warning("note: %s; what is there now is used", told)
        return contents

    def _absolute(self) -> tuple[dict[str, Any], dict[str, dict[str, Path]]]:
        """As TOML holds it, with absolute paths (`LocalPath` and the like), links followed; and the files that they
        are, by path."""
        found = Dumped()
        return self.model_dump(mode="json", exclude_none=True, context=found), found

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a TOML file.

        Raises:
            PosetalkError: the file, the key and what is wrong with it.
        """
        return cls.check(cls.read(path), str(path))

    @staticmethod
    def read(path: str | Path) -> dict[str, Any]:
        """A TOML file as it is written.

        Raises:
            PosetalkError: it cannot be read, or is not TOML.
        """
        try:
            return tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise PosetalkError(f"cannot read the settings {path}: {error}") from None
        except (ValueError, RecursionError) as error:  # ValueError also of numbers of thousands of digits
            raise PosetalkError(f"{path} is not valid TOML: {error}") from None

    @classmethod
    def check(cls, data: dict[str, Any], where: str) -> Self:
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(part) for part in first["loc"])
            raise PosetalkError(
                f"{where}: {key + ': ' if key else ''}{first['msg'].removeprefix('Value error, ')}"
            ) from None


def known_contents(file: Path) -> dict[str, Content] | None:
    """What the inputs held when the run began; None where that was not written down."""
    if not file.exists():
        return None
    try:
        return msgspec.json.decode(file.read_bytes(), type=dict[str, Content])
    except (OSError, ValueError, RecursionError) as error:
        raise PosetalkError(f"cannot read {file}: {error}; choose another folder") from None


def _moved(key: str, before: Mapping[str, Content], now: Mapping[str, Content]) -> bool:
    """Whether a setting names the same content in another place."""
    some, others = (
        {name: one for name, one in contents.items() if name == key or name.startswith(f"{key}/")}
        for contents in (before, now)
    )
    return bool(some) and not differing(some, others)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise PosetalkError(f"cannot write to {folder}: {error.strerror}; choose another folder") from None


def _flat(values: Any, key: str = "") -> dict[str, Any]:
    """Nested tables and lists as one level: `data.0.images`."""
    rows = (
        values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    )
    flat: dict[str, Any] = {}
    for name, value in rows:
        flat |= _flat(value, f"{key}.{name}" if key else str(name))
    return flat if isinstance(values, dict | list) else {key: values}


def _shown(value: Any) -> str:
    return "not given" if value is None else str(value)


class CropSettings(Settings):
    """How a person becomes a square image."""

    size: int = Field(default=224, ge=16, le=2048)
    """Side of the square, px (224 in LocLLM)."""
    padding: float = Field(default=1.0, ge=0.5, le=4)
    """The square's side is the longer side of the box times this: 1.0 in LocLLM, 1.25 in most others."""
    pixels: Literal["clip", "imagenet", "half"] = "clip"
    """Mean and standard deviation that pixels are normalised by: `clip` is what LocLLM fed to DINOv2, `imagenet`
    what DINOv2 was trained with, `half` maps 0..255 to -1..1 (MobileNet encoders)."""
    clip_box: bool = False
    """Clip a box to the pixels of its image before the square is made, as LocLLM and HRNet do with COCO's boxes: it
    loses one pixel of width and height, and what lies outside the image. Boxes of MPII and LSP, which are made from
    other labels, are not clipped."""


class LoraSettings(Settings):
    """Low-rank adapters on the query and value projections of vision encoder and language model (LocLLM's numbers)."""

    renamed: ClassVar[Mapping[str, str]] = {
        "r": "rank",
        "targets": "target_modules",
    }

    rank: int = Field(default=8, ge=1)
    """Rank of the adapters."""
    alpha: float = Field(default=16, gt=0)
    """Scale of the adapters; they are multiplied by alpha / rank."""
    dropout: float = Field(default=0.05, ge=0, lt=1)
    """Dropout in the adapters."""
    target_modules: tuple[str, ...] = ("q_proj", "v_proj", "query", "value")
    """The ends of the names of the linear layers that get an adapter (q_proj, v_proj in language models; query,
    value in DINOv2 and ViT)."""


Tuning = Literal["frozen", "lora", "layers"]
Dtype = Literal["float32", "bfloat16", "float16"]
Readout = Literal["digits", "point"]


class ModelSettings(Settings):
    """The network: a vision encoder, a connector and a causal language model."""

    renamed: ClassVar[Mapping[str, str]] = {
        "vision": "vision_encoder",
        "text": "language_model",
        "tune_vision": "tune_vision_encoder",
        "tune_text": "tune_language_model",
    }

    vision_encoder: ModelName = ""
    """A folder or hub id that `AutoModel` knows. Needed to build a network, not to train a saved one further."""
    language_model: ModelName = ""
    """A folder or hub id that `AutoModelForCausalLM` knows. Needed to build a network, not to train a saved one
    further."""
    question_encoder: ModelName = ""
    """A folder or hub id of a text encoder that `AutoModel` knows, such as a sentence encoder: it reads the questions
    in place of the language model, with `reading = "once"`. It stays frozen; what follows it is trained. Empty: the
    language model reads."""
    connector: Literal["linear", "mlp"] = "mlp"
    """`linear` (LocLLM) or `mlp`, two layers with GELU (PoseLLM). It is always trained."""
    crop: CropSettings = CropSettings()
    """How a person is cut out of the image."""
    wording: TomlName = "posetalk"
    """`posetalk`, or the path of a wording TOML; saved inside the model."""
    readout: Readout = "digits"
    """`digits`: coordinates as text (both papers); `point`: the hidden state at a question's end points into the
    image tokens, one pass and no decoding. A model with `point` can be asked for `digits` too."""
    reading: Literal["inline", "once"] = "inline"
    """`inline`: a question's words stand behind the image (both papers); `once`: they are read without the
    image, once for all people, and stand behind it as one word."""
    cells: int = Field(default=4, ge=1, le=16)
    """For `point`, each image token is cut into cells x cells places."""
    tune_vision_encoder: Tuning | None = None
    """What is trained of the vision encoder: `lora` (adapters), `layers` (every weight but the word embeddings) or
    `frozen` (nothing). None means `lora`, or `frozen` where a saved model is trained further whose encoder has no
    layer of `lora.target_modules`."""
    tune_language_model: Tuning | None = None
    """What is trained of the language model; values as for `tune_vision_encoder`."""
    lora: LoraSettings = LoraSettings()
    """The adapters."""


class AugmentSettings(Settings):
    """Random views of a person; LocLLM's numbers for COCO."""

    scale: float = Field(default=0.3, ge=0, lt=1)
    """The square's side is multiplied by clip(N(1, scale), 1 - scale, 1 + scale)."""
    rotation: float = Field(default=40.0, ge=0, le=180)
    """Degrees, uniform in +-rotation, used half of the time."""
    flip: float = Field(default=0.5, ge=0, le=1)
    """Chance of a mirrored view."""
    shift: float = Field(default=0.0, ge=0, lt=1)
    """The square's centre moves by up to this share of its side (0 in LocLLM)."""
    half_body: float = Field(default=0.0, ge=0, le=1)
    """Chance of a square around one half of the person's labelled keypoints, upper or lower, as HRNet's half bodies."""
    color: float = Field(default=0.0, ge=0, le=1)
    """Chance of other brightness, contrast, saturation and colour cast."""
    blur: float = Field(default=0.0, ge=0, le=1)
    """Chance of blur, lower resolution or noise."""
    erase: float = Field(default=0.0, ge=0, le=1)
    """Chance of one to three covered rectangles."""

    @property
    def changes_pixels(self) -> bool:
        """Whether a view is more than a square of the image."""
        return bool(self.color or self.blur or self.erase)


class DataSettings(Settings):
    """People to learn from."""

    annotations: LocalPath
    """The label file, in COCO's, MPII's or LSP's format."""
    images: LocalPath
    """The folder of the images."""
    skeleton: TomlName = "coco17"
    """The labelled keypoints: a built-in name or a TOML file."""
    first: int = Field(default=1, ge=1)
    """First image of the range to use, counted from 1 (LSP only)."""
    last: int | None = None
    """Last image of the range to use; None for all (LSP only)."""
    repeat: int = Field(default=1, ge=1)
    """How often each person is seen per epoch."""


class TrainSettings(Settings):
    """A training run. The defaults are LocLLM's recipe for COCO (PoseLLM changes the connector alone)."""

    renamed: ClassVar[Mapping[str, str]] = {
        "rate": "learning_rate",
        "text_rate": "language_lr_scale",
        "vision_rate": "vision_lr_scale",
        "batch": "batch_size",
        "device_batch": "per_device_batch_size",
        "clip": "max_grad_norm",
        "warmup": "warmup_ratio",
        "steps": "max_steps",
        "questions": "keypoints_per_view",
        "align": "alignment_steps",
        "guide": "attention_loss_weight",
        "point_sigma": "heatmap_sigma",
        "digits_too": "learn_digits",
        "between": "interpolated_keypoints",
        "name_only": "name_only_share",
        "features": "feature_cache",
        "workers": "num_workers",
        "form": "save_format",
        "augment": "augmentation",
    }

    data: tuple[DataSettings, ...] = Field(min_length=1)
    """The labelled people; several data sets are mixed."""
    model: ModelSettings | None = None
    """The network to build, or, beside `start`, what to tune of it."""
    start: ModelName | None = None
    """Continue from a saved model (`bundled`, a folder, a hub id) instead of building `model` from its parts;
    `model`, where it is given too, says what is tuned."""
    epochs: float = Field(default=12, gt=0)
    """Passes over the data."""
    max_steps: int | None = Field(default=None, ge=1)
    """Gradient steps; None for `epochs` passes over the data."""
    batch_size: int = Field(default=64, ge=1)
    """People per gradient step over all processes."""
    per_device_batch_size: int = Field(default=1, ge=1)
    """People per forward pass on each device; gradients are accumulated up to `batch_size`."""
    learning_rate: float = Field(default=5e-4, gt=0)
    """Peak learning rate (AdamW); it falls as a cosine."""
    language_lr_scale: float = Field(default=1.0, gt=0)
    """The language model's learning rate as a share of `learning_rate`."""
    vision_lr_scale: float = Field(default=1.0, gt=0)
    """The vision encoder's learning rate as a share of `learning_rate`."""
    weight_decay: float = Field(default=0.05, ge=0)
    """AdamW's weight decay."""
    warmup_ratio: float = Field(default=0.03, ge=0, lt=1)
    """Share of the steps in which the learning rate rises."""
    max_grad_norm: float = Field(default=1.0, gt=0)
    """Gradients are clipped to this norm."""
    ema_decay: float = Field(default=0.0, ge=0, lt=1)
    """Above 0, the exponential moving average of the weights is saved in place of those of the last step; a step keeps
    this share of it. It does not work with FSDP."""
    bf16: bool | None = None
    """Mixed precision; None where the machine multiplies in bfloat16 itself."""
    language_model_dtype: Literal["float32", "bfloat16"] | None = None
    """Number format of the language model's frozen weights. Adapters, connector, readout and vision encoder stay in
    float32, and so does a language model of which `layers` are trained. None: `bfloat16` where a GPU trains in mixed
    precision, else `float32`."""
    quantization: Literal["8bit", "4bit"] | None = None
    """Bits of a weight of the frozen language model (bitsandbytes, extra `quantize`); its embeddings and head keep
    `language_model_dtype`. None: it is not quantised."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: saves memory, costs time."""
    packing: Literal["block", "chain"] = "block"
    """`block` (every visible keypoint, independent questions) or `chain` (LocLLM's: up to five in a row)."""
    keypoints_per_view: int | None = Field(default=None, ge=1)
    """At most this many keypoints of a person per view, drawn at random; `chain` never takes over five."""
    digit_sigma: float = Field(default=0.0, ge=0, lt=1)
    """0 for plain cross-entropy; above, digit targets are those of a Gaussian of this width (in crop sides) around
    the label, so that 0.199 is close to 0.200 (number-token losses do the same)."""
    alignment_steps: int = Field(default=0, ge=0)
    """Steps before the run that train the connector alone to name, at each keypoint's image token, the keypoint
    (LLaVA's first stage in small); 0 for none (the papers')."""
    attention_loss_weight: float = Field(default=0.0, ge=0)
    """Weight of an auxiliary loss that draws some attention heads of the last layers to the image token under the
    keypoint while the digits are written; 0 for none (the papers')."""
    heatmap_sigma: float = Field(default=0.02, gt=0, lt=1)
    """Width of the heat map that `point` learns, in crop sides."""
    learn_digits: bool = False
    """A model whose readout is `point` learns to write the digits in the same pass."""
    interpolated_keypoints: int = Field(default=0, ge=0)
    """Questions per view about points on the line between two labelled keypoints ("halfway between the left wrist
    and the nose"), which teach what words mean beyond the names of a data set; 0 for none."""
    name_only_share: float = Field(default=0.0, ge=0, le=1)
    """Share of the questions that leave the description out, so that the model can be asked either way."""
    text_noise_share: float = Field(default=0.0, ge=0, le=1)
    """Share of the questions worded as people type: in capitals, without hyphens, with an article, the side behind
    ("heel, left"), with a slip of the finger."""
    augmentation: AugmentSettings = AugmentSettings()
    """Random views of each person."""
    without_keypoints: tuple[str, ...] = ()
    """Names of keypoints left out of training, to be asked for later (zero-shot)."""
    feature_cache: LocalPath | None = None
    """A folder that keeps what a frozen vision encoder computes for the run's views. Later epochs, the resumed run
    and other runs of the same views read it. None: nothing is kept."""
    seed: int = 42
    """Seed of the views and of new weights."""
    num_workers: int = Field(default=2, ge=0)
    """Processes that load data."""
    save_steps: int = Field(default=500, ge=1)
    """Steps between two checkpoints."""
    log_steps: int = Field(default=10, ge=1)
    """Steps between two lines of log.jsonl."""
    save_format: Literal["adapters", "merged"] = "merged"
    """What is saved at the end: the whole model (`merged`) or the adapters alone (`adapters`)."""


class EvaluateSettings(Settings):
    """What an evaluation's predictions were made with; a resumed one must be of the same."""

    renamed: ClassVar[Mapping[str, str]] = {
        "box_form": "box_format",
        "flip": "flip_test",
    }

    model: ModelName
    """A folder or hub id of a PoseLLM, or `bundled`."""
    annotations: LocalPath
    """The label file, in COCO's, MPII's or LSP's format."""
    images: LocalPath
    """The folder of the images."""
    skeleton: TomlName | None = None
    """The labelled keypoints; None for those that the labels name."""
    boxes: LocalPath | None = None
    """A detector's boxes (COCO results); None for the labelled boxes."""
    detector: ModelName | None = None
    """A detector of people, `bundled`, a folder or a hub id, whose boxes are used; None for labelled or given boxes."""
    min_score: float | None = Field(default=None, ge=0, le=1)
    """The detector's people with a lower score are left out; None for the detector's own."""
    box_format: Literal["xywh", "xyxy"] = "xywh"
    """Format of these boxes: left, top, width, height or left, top, right, bottom; px."""
    heads: LocalPath | None = None
    """MPII's gt_valid.mat, with the head sizes of PCKh."""
    first: int = 1
    """First image of the range to score, counted from 1 (LSP only)."""
    last: int | None = None
    """Last image of the range to score; None for all (LSP only)."""
    readout: Readout | None = None
    """Point at the place (`point`) or write its digits (`digits`); None for the model's own."""
    decoding: Literal["greedy", "expected"] = "expected"
    """Of digits, the likeliest (`greedy`) or the mean of their distribution (`expected`)."""
    flip_test: bool = False
    """Average with the answer for the mirrored crop."""
    score: Literal["locllm"] | None = None
    """How a keypoint's confidence is computed: as LocLLM does (`locllm`), to compare AP with its; None for the
    readout's own way. It ranks people, and moves no keypoint."""
    dtype: Dtype | None = None
    """Number format of the language model's weights; None for float32 on a CPU and bfloat16 elsewhere."""
    engine: Literal["torch", "onnx"] | None = None
    """What runs the model, torch or ONNX Runtime (`onnx`); None for ONNX Runtime where it can."""


class PeopleSettings(Settings):
    """What is asked of images or videos: whom to find, and what of them."""

    model: ModelName
    """A folder or hub id of a PoseLLM, or `bundled`."""
    keypoints: tuple[str, ...]
    """What is looked for, "name: description" each."""
    detector: ModelName | None = None
    """A detector of people, `bundled`, a folder or a hub id; None for given boxes, or one person in the whole image."""
    min_score: float | None = Field(default=None, ge=0, le=1)
    """The detector's people with a lower score are left out; None for the detector's own."""
    max_people: int | None = Field(default=None, ge=1)
    """At most so many people an image, the surest; None for all."""
    largest: bool = False
    """Only the largest person of an image."""
    readout: Readout | None = None
    """Point at the place (`point`) or write its digits (`digits`); None for the model's own."""
    decoding: Literal["greedy", "expected"] = "expected"
    """Of digits, the likeliest (`greedy`) or the mean of their distribution (`expected`)."""
    flip_test: bool = False
    """Average with the answer for the mirrored crop."""
    dtype: Dtype | None = None
    """Number format of the language model's weights; None for float32 on a CPU and bfloat16 elsewhere."""
    engine: Literal["torch", "onnx"] | None = None
    """What runs the model, torch or ONNX Runtime (`onnx`); None for ONNX Runtime where it can."""


class LocateSettings(PeopleSettings):
    """What was asked of a folder of images; images may be added to a resumed run, nothing else may change."""

    renamed: ClassVar[Mapping[str, str]] = {
        "flip": "flip_test",
    }

    boxes: LocalPath | None = None
    """A file with the people's boxes (COCO results)."""
