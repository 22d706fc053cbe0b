"""Settings: frozen, unknown keys refused, saved as run.toml beside what they made."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Literal, Self

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from posetalk.errors import PosetalkError


class Settings(BaseModel):
    """The base of all settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def save(self, path: str | Path) -> None:
        Path(path).write_text(tomli_w.dumps(self.model_dump(mode="json", exclude_none=True)), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a TOML file. Errors name the file, the key and what was wrong with it."""
        try:
            data = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise PosetalkError(f"cannot read the settings {path}: {error}") from None
        except tomllib.TOMLDecodeError as error:
            raise PosetalkError(f"{path} is not valid TOML: {error}") from None
        return cls.check(data, str(path))

    @classmethod
    def check(cls, data: dict[str, Any], where: str) -> Self:
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(str(part) for part in first["loc"])
            raise PosetalkError(f"{where}: {key}: {first['msg']}") from None


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
    """Low-rank adapters on the query and value projections (LocLLM's numbers)."""

    r: int = Field(8, ge=1)
    alpha: float = Field(16, gt=0)
    dropout: float = Field(0.05, ge=0, lt=1)


class ModelSettings(Settings):
    """The network: a vision tower, a connector and a causal language model.

    vision, text: a folder or hub id that `AutoModel` / `AutoModelForCausalLM` knows.
    connector:    `linear` (LocLLM) or `mlp`, two layers with GELU (PoseLLM).
    tune_vision, tune_text: what of each tower is trained.
    tokens:       how many image tokens the tower gives (256 for DINOv2 at 224).
    """

    vision: str
    text: str
    connector: Literal["linear", "mlp"] = "mlp"
    crop: CropSettings = CropSettings()
    wording: str = "posetalk"
    tune_vision: Literal["frozen", "lora", "full"] = "lora"
    tune_text: Literal["frozen", "lora", "full"] = "lora"
    lora_vision: LoraSettings = LoraSettings()
    lora_text: LoraSettings = LoraSettings()


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
