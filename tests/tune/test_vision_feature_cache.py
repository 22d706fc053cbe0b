"""What the frozen tower sees is looked at once, and learned from as if it were looked at in every step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tests.tune.conftest import tiny
from tests.tune.test_tune_run import logged
from transformers import CLIPVisionModel, TrainingArguments

from posetalk.errors import PosetalkError
from posetalk.tune.collator import ChatCollator
from posetalk.tune.feature_cache import VisionFeatureCache
from posetalk.tune.files import load
from posetalk.tune.run import tune_model
from posetalk.tune.settings import Source


class Looks:
    """Counts the pictures that the tower looks at."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pictures, forward = 0, CLIPVisionModel.forward

        def counted(tower: Any, pixel_values: torch.Tensor, **more: Any) -> Any:
            self.pictures += len(pixel_values)
            return forward(tower, pixel_values, **more)

        monkeypatch.setattr(CLIPVisionModel, "forward", counted)


@pytest.mark.parametrize("method", ["lora", "full"])
def test_kept_features_teach_what_pixels_teach(
    method: Any, llava: Path, talk: Path, general: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = Looks(monkeypatch)
    other = Source(file=str(general), images=str(talk / "pictures"))
    more: dict[str, Any] = {"method": method, "lora_dropout": 0.0, "probe": other, "pad_to_square": True}
    plain = tune_model(tiny(llava, talk, **more), tmp_path / "plain")
    before, looks.pictures = looks.pictures, 0
    kept = tune_model(tiny(llava, talk, **more, feature_cache=str(tmp_path / "kept")), tmp_path / "out")
    assert looks.pictures == 10 < before  # each picture once
    assert logged(kept) == pytest.approx(logged(plain), rel=2e-3)
    one, two = load_file(plain / "model.safetensors"), load_file(kept / "model.safetensors")
    assert one.keys() == two.keys()  # the tower, which was not asked, is there still
    assert all(torch.equal(one[name], two[name]) for name in one if "vision_tower" in name)

    # another run of the same pictures does not look at all
    looks.pictures = 0
    tune_model(
        tiny(llava, talk, **more, feature_cache=str(tmp_path / "kept"), max_steps=2), tmp_path / "again"
    )
    assert looks.pictures == 0


def test_the_model_is_given_what_it_would_have_seen(llava: Path, talk: Path, tmp_path: Path) -> None:
    model, processor = load(str(llava))
    teacher = ChatCollator(processor)
    lesson = teacher.render([("Where?", "Here.")])
    lessons = [(lesson, talk / "pictures" / f"{number}.png") for number in (0, 9)]  # of other shapes
    plain = teacher.batch(lessons)
    kept = VisionFeatureCache(str(tmp_path), model, processor)
    kept.fill([picture for _, picture in lessons], TrainingArguments(use_cpu=True))
    with torch.no_grad():
        expected = model(**plain).logits
        kept.replace_vision_encoder()
        given = teacher.batch(lessons, kept)
        found = model(**given).logits
    assert torch.equal(given["input_ids"], plain["input_ids"])
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
    assert (expected[0] - expected[1]).abs().max() > 0.1  # the pictures can be told apart


def test_how_pictures_are_made_ready_names_what_is_kept(llava: Path, talk: Path, tmp_path: Path) -> None:
    """Padded images are not taken for cut ones."""
    for pad in (False, True):
        tune_model(
            tiny(llava, talk, max_steps=1, pad_to_square=pad, feature_cache=str(tmp_path / "kept")),
            tmp_path / f"out-{pad}",
        )
    assert len(list((tmp_path / "kept").rglob("*.safetensors"))) == 20


def test_another_kind_of_model_is_refused(llava: Path, tmp_path: Path) -> None:
    model, processor = load(str(llava))
    with pytest.raises(PosetalkError, match="this LlamaModel is another; leave feature_cache out"):
        VisionFeatureCache(str(tmp_path), model.model.language_model, processor)
    processor.image_processor.model_input_names = ["pixel_values", "image_sizes"]
    with pytest.raises(PosetalkError, match="of one size"):
        VisionFeatureCache(str(tmp_path), model, processor)
    processor.image_processor.model_input_names = ["pixel_values"]
    model.config.vision_feature_layer = [-2, -1]
    with pytest.raises(PosetalkError, match="leave feature_cache out"):
        VisionFeatureCache(str(tmp_path), model, processor)
