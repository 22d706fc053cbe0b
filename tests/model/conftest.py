"""The configuration of the DINOv2 that a small LocLLM checkpoint has."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.model.reference import BLOCKS, GRID, HEADS, PATCH, D
from transformers import Dinov2Config


@pytest.fixture
def parts(tmp_path: Path) -> dict[str, str]:
    Dinov2Config(
        hidden_size=D,
        num_hidden_layers=BLOCKS,
        num_attention_heads=HEADS,
        image_size=PATCH * GRID,
        patch_size=PATCH,
        mlp_ratio=2,
    ).save_pretrained(tmp_path / "vision")
    return {"vision": str(tmp_path / "vision")}
