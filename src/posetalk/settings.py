"""Settings: frozen, unknown keys refused, saved as run.toml beside what they made."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, Self

import msgspec
import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from posetalk.errors import PosetalkError
from posetalk.inputs import Content, Dumped, LocalPath, ModelName, TomlName, contents_of, differing, mark_of
from posetalk.lock import only_run

_INPUTS = "inputs.json"


class Settings(BaseModel):
    """The base of all settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def save(self, path: str | Path) -> None:
        """Write a TOML file, in one piece; paths as absolute ones, so that it means the same read from any folder."""
        _write(path, tomli_w.dumps(self._absolute()[0]).encode())

    @contextmanager
    def claim(
        self, folder: str | Path, *, anew: bool = False, also: Mapping[str, str] | None = None
    ) -> Iterator[str]:
        """Make `folder` the place of a run with these settings (run.toml), of files with this content (inputs.json),
        and hold it against other runs meanwhile. Gives a mark of the content.

        anew: what is in the folder is made anew, so that changed files are told and taken. also: what else the results
        hang on and must be the same, by what it is called. Folders of pictures are not looked into.
        Errors: it holds a run with other settings, or of files that were changed since, each of which is named; another
        run is at work in it.
        """
        folder, made = Path(folder), not Path(folder).exists()
        try:
            _make(folder)
            with only_run(folder):
                file, new = folder / "run.toml", not (folder / "run.toml").exists()
                contents = self._compare(file, anew, also or {})
                self.save(file)
                rows = msgspec.json.format(msgspec.json.encode(contents, order="sorted"), indent=1)
                _write(folder / _INPUTS, rows)
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
        """What the run's inputs hold. Errors: the file is there and has other settings, or inputs were changed."""
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
            print(f"note: {told}; what is there now is used")
        return contents

    def _absolute(self) -> tuple[dict[str, Any], dict[str, dict[str, Path]]]:
        """As TOML holds it, with absolute paths (`LocalPath` and the like), links followed; and the files that they
        are, by path."""
        found = Dumped()
        return self.model_dump(mode="json", exclude_none=True, context=found), found

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a TOML file. Errors name the file, the key and what was wrong with it."""
        return cls.check(cls.read(path), str(path))

    @staticmethod
    def read(path: str | Path) -> dict[str, Any]:
        """A TOML file as it is written. Errors: unreadable, not TOML."""
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
            raise PosetalkError(f"{where}: {key}: {first['msg']}") from None


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


def _write(path: str | Path, data: bytes) -> None:
    part = Path(f"{path}.{os.getpid()}.part")  # other processes of a distributed run may be reading it
    try:
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        raise PosetalkError(f"cannot write {path}: {error.strerror}; choose another folder") from None


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
    found: dict[str, Any] = {}
    for name, value in rows:
        found |= _flat(value, f"{key}.{name}" if key else str(name))
    return found if isinstance(values, dict | list) else {key: values}


def _shown(value: Any) -> str:
    return "not given" if value is None else str(value)


class CropSettings(Settings):
    """How a person becomes a square picture.

    size:    side of the square, px (224 in LocLLM).
    padding: the square's side is the longer side of the box times this: 1.0 in LocLLM, 1.25 in most others.
    pixels:  statistics the tower is fed with: `clip` is what LocLLM fed to DINOv2, `imagenet` what DINOv2 was
             trained with, `half` maps 0..255 to -1..1 (MobileNet towers).
    """

    size: int = Field(224, ge=16, le=2048)
    padding: float = Field(1.0, ge=0.5, le=4)
    pixels: Literal["clip", "imagenet", "half"] = "clip"


class LoraSettings(Settings):
    """Low-rank adapters on the query and value projections of both towers (LocLLM's numbers).

    target_modules: the ends of the names of the linear layers that get an adapter (q_proj, v_proj in language models;
             query, value in DINOv2 and ViT).
    """

    rank: int = Field(8, ge=1)
    alpha: float = Field(16, gt=0)
    dropout: float = Field(0.05, ge=0, lt=1)
    target_modules: tuple[str, ...] = ("q_proj", "v_proj", "query", "value")


Tuning = Literal["frozen", "lora", "layers"]
Readout = Literal["digits", "point"]


class ModelSettings(Settings):
    """The network: a vision tower, a connector and a causal language model.

    vision_encoder, language_model: a folder or hub id that `AutoModel` / `AutoModelForCausalLM` knows; needed to build a network, and not
                  where a saved one is trained further.
    connector:    `linear` (LocLLM) or `mlp`, two layers with GELU (PoseLLM). It is always trained.
    wording:      `posetalk`, or the path of a wording TOML; saved inside the model.
    readout:      `digits`: coordinates as text (both papers); `point`: the hidden state at a question's end points into
                  the image tokens, one pass and no decoding. A model with `point` can be asked for `digits` too.
    reading:      `inline`: a question's words stand behind the picture (both papers); `once`: they are read without
                  the picture, once for all people, and stand behind it as one word.
    cells:        for `point`, each image token is cut into cells x cells places.
    tune_vision_encoder, tune_language_model: `lora`, `layers` (every weight but the word embeddings) or `frozen`; None for `lora`,
                  and for `frozen` where a saved model is trained further whose tower has no layer of lora.targets.
    """

    vision_encoder: ModelName = ""
    language_model: ModelName = ""
    connector: Literal["linear", "mlp"] = "mlp"
    crop: CropSettings = CropSettings()
    wording: TomlName = "posetalk"
    readout: Readout = "digits"
    reading: Literal["inline", "once"] = "inline"
    cells: int = Field(4, ge=1, le=16)
    tune_vision_encoder: Tuning | None = None
    tune_language_model: Tuning | None = None
    lora: LoraSettings = LoraSettings()


class AugmentSettings(Settings):
    """Random views of a person; LocLLM's numbers for COCO.

    scale:    the square's side is multiplied by clip(N(1, scale), 1 - scale, 1 + scale).
    rotation: degrees, uniform in +-rotation, used half of the time.
    flip:     chance of a mirrored view.
    shift:    the square's centre moves by up to this share of its side (0 in LocLLM).
    """

    scale: float = Field(0.3, ge=0, lt=1)
    rotation: float = Field(40.0, ge=0, le=180)
    flip: float = Field(0.5, ge=0, le=1)
    shift: float = Field(0.0, ge=0, lt=1)


class DataSettings(Settings):
    """People to learn from.

    annotations, images: the label file (COCO, MPII or LSP form) and the folder its pictures lie in.
    skeleton:   which keypoints the labels are, a built-in name or a TOML file.
    first, last: for LSP, the range of pictures (1-based, both included).
    repeat:     how often each person is seen per epoch.
    """

    annotations: LocalPath
    images: LocalPath
    skeleton: TomlName = "coco17"
    first: int = Field(1, ge=1)
    last: int | None = None
    repeat: int = Field(1, ge=1)


class TrainSettings(Settings):
    """A training run. The defaults are LocLLM's recipe for COCO (PoseLLM changes the connector alone).

    start:       continue from a saved model (`bundled`, a folder, a hub id) instead of building `model` from its parts;
                 `model`, where it is given too, says what is tuned.
    bf16:        mixed precision; None where the machine multiplies in bfloat16 itself.
    batch_size:       people per gradient step over all processes; `per_device_batch_size` at a time on each of them.
    packing:     `block` (every visible keypoint, independent questions) or `chain` (LocLLM's: up to five in a row).
    keypoints_per_view:   at most this many keypoints of a person per view, drawn at random; `chain` never takes over five.
    language_lr_scale, vision_lr_scale: the towers' learning rates as shares of `learning_rate`.
    digit_sigma: 0 for plain cross-entropy; above, digit targets are those of a Gaussian of this width (in crop
                 sides) around the label, so that 0.199 is close to 0.200 (number-token losses do the same).
    alignment_steps:       steps before the run that teach the connector alone to say, at the image token under a keypoint, the
                 keypoint's name (LLaVA's first stage in small); 0 for none (the papers').
    attention_loss_weight:       weight of a helping loss that draws some heads of the last layers to the image token under the
                 keypoint, where the digits stand to be read; 0 for none (the papers').
    heatmap_sigma: width of the heat map that `point` learns, in crop sides.
    learn_digits:  a model whose readout is `point` learns to write the digits in the same pass.
    interpolated_keypoints:     so many questions a view about points on the line between two labelled keypoints ("halfway between the
                 left wrist and the nose"), which teach what words mean beyond the names of a data set; 0 for none.
    name_only_share:   share of the questions that leave the description out, so that the model can be asked either way.
    without_keypoints: names left out of training, to be asked for later (zero-shot).
    feature_cache:    a folder for what a frozen tower sees in the run's views, computed once before the first step; later
                 epochs, the resumed run and other runs of the same views find it there. None: nothing is kept.
    max_steps:       gradient steps; None for `epochs` passes over the data.
    """

    data: tuple[DataSettings, ...] = Field(min_length=1)
    model: ModelSettings | None = None
    start: ModelName | None = None
    epochs: float = Field(12, gt=0)
    max_steps: int | None = Field(None, ge=1)
    batch_size: int = Field(64, ge=1)
    per_device_batch_size: int = Field(1, ge=1)
    learning_rate: float = Field(5e-4, gt=0)
    language_lr_scale: float = Field(1.0, gt=0)
    vision_lr_scale: float = Field(1.0, gt=0)
    weight_decay: float = Field(0.05, ge=0)
    warmup_ratio: float = Field(0.03, ge=0, lt=1)
    max_grad_norm: float = Field(1.0, gt=0)
    bf16: bool | None = None
    packing: Literal["block", "chain"] = "block"
    keypoints_per_view: int | None = Field(None, ge=1)
    digit_sigma: float = Field(0.0, ge=0, lt=1)
    alignment_steps: int = Field(0, ge=0)
    attention_loss_weight: float = Field(0.0, ge=0)
    heatmap_sigma: float = Field(0.02, gt=0, lt=1)
    learn_digits: bool = False
    interpolated_keypoints: int = Field(0, ge=0)
    name_only_share: float = Field(0.0, ge=0, le=1)
    augmentation: AugmentSettings = AugmentSettings()
    without_keypoints: tuple[str, ...] = ()
    feature_cache: LocalPath | None = None
    seed: int = 42
    num_workers: int = Field(2, ge=0)
    save_steps: int = Field(500, ge=1)
    log_steps: int = Field(10, ge=1)
    save_format: Literal["adapters", "merged"] = "merged"


class EvaluateSettings(Settings):
    """What an evaluation's predictions were made with; a resumed one must be of the same."""

    model: ModelName
    annotations: LocalPath
    images: LocalPath
    skeleton: TomlName | None = None
    boxes: LocalPath | None = None
    box_format: Literal["xywh", "xyxy"] = "xywh"
    heads: LocalPath | None = None
    first: int = 1
    last: int | None = None
    readout: Readout | None = None
    decoding: Literal["greedy", "expected"] = "expected"
    flip_test: bool = False


class LocateSettings(Settings):
    """What a folder of photos was asked for; photos may be added to a resumed run, nothing else may change.

    keypoints: "name: description" each.
    """

    model: ModelName
    keypoints: tuple[str, ...]
    readout: Readout | None = None
    decoding: Literal["greedy", "expected"] = "expected"
    flip_test: bool = False
