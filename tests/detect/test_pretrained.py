"""Detectors of transformers: small random ones, saved and loaded by their folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import (
    DetrConfig,
    DetrForObjectDetection,
    DetrImageProcessorPil,
    ResNetConfig,
    RTDetrConfig,
    RTDetrForObjectDetection,
    RTDetrImageProcessorPil,
    RTDetrResNetConfig,
)

from posetalk.detect.detector import Detector
from posetalk.errors import PosetalkError

LABELS = {0: "chair", 1: " Person", 2: "kite"}
IMAGE = np.random.default_rng(0).integers(0, 255, (60, 90, 3), np.uint8)


def save(kind: str, folder: Path, labels: dict[int, str] = LABELS) -> Path:
    torch.manual_seed(0)
    names = {"id2label": labels, "label2id": {name: number for number, name in labels.items()}}
    if kind == "rt_detr":
        backbone = RTDetrResNetConfig(
            embedding_size=8,
            hidden_sizes=[8, 8, 16, 16],
            depths=[1, 1, 1, 1],
            layer_type="basic",
            out_features=["stage2", "stage3", "stage4"],
        )
        config = RTDetrConfig(
            backbone_config=backbone,
            encoder_hidden_dim=16,
            encoder_in_channels=[8, 16, 16],
            encoder_ffn_dim=16,
            encoder_attention_heads=2,
            d_model=16,
            num_queries=20,
            decoder_in_channels=[16, 16, 16],
            decoder_ffn_dim=16,
            decoder_layers=1,
            decoder_attention_heads=2,
            num_denoising=0,
            encoder_layers=1,
            **names,
        )
        RTDetrForObjectDetection(config).save_pretrained(folder)
        RTDetrImageProcessorPil(size={"height": 64, "width": 64}).save_pretrained(folder)
    else:
        config = DetrConfig(
            backbone_config=ResNetConfig(
                embedding_size=8,
                hidden_sizes=[8, 8, 8, 16],
                depths=[1, 1, 1, 1],
                layer_type="basic",
                out_features=["stage4"],
            ),
            use_timm_backbone=False,
            use_pretrained_backbone=False,
            backbone=None,
            d_model=16,
            encoder_layers=1,
            decoder_layers=1,
            encoder_attention_heads=2,
            decoder_attention_heads=2,
            encoder_ffn_dim=16,
            decoder_ffn_dim=16,
            num_queries=20,
            **names,
        )
        DetrForObjectDetection(config).save_pretrained(folder)
        DetrImageProcessorPil(size={"shortest_edge": 64, "longest_edge": 64}).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("kind", ["rt_detr", "detr"])
def test_its_people_are_found_and_nothing_else(kind: str, tmp_path: Path) -> None:
    network = Detector.from_pretrained(save(kind, tmp_path / "first")).network
    with torch.no_grad():
        outputs = network._model(**network._processor(images=IMAGE, return_tensors="pt"))
    post = network._processor.post_process_object_detection
    (found,) = post(outputs, threshold=0.0, target_sizes=[(60, 90)])
    (seen,) = set(found["labels"].tolist())  # random weights see one class everywhere
    others = {number: f"thing {number}" for number in LABELS}
    detector = Detector.from_pretrained(
        save(kind, tmp_path / "people", others | {seen: " Person"}), min_score=0.0
    )
    corners, scores = detector.network(IMAGE, 0.0)
    np.testing.assert_allclose(corners, found["boxes"], rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(scores, found["scores"], rtol=1e-5)
    people = detector(IMAGE)
    assert 0 < len(people) <= len(scores)
    assert all(box.x >= 0 and box.y + box.h <= 60 for box in people.boxes)
    blind = save(kind, tmp_path / "blind", others | {(seen + 1) % len(LABELS): "person"})
    assert len(Detector.from_pretrained(blind, min_score=0.0)(IMAGE)) == 0
    assert Detector.from_pretrained(str(blind)).min_score == 0.5


def test_a_model_without_people_is_refused(tmp_path: Path) -> None:
    save("rt_detr", tmp_path, {0: "chair", 1: "kite"})
    with pytest.raises(PosetalkError, match=r"finds no people.*chair, kite"):
        Detector.from_pretrained(tmp_path)


def test_what_is_no_detector_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PosetalkError, match="does not exist"):
        Detector.from_pretrained(tmp_path / "nowhere")
    with pytest.raises(PosetalkError, match="is no detector"):
        Detector.from_pretrained("tiny")
    with pytest.raises(PosetalkError, match="threads"):
        Detector.from_pretrained(save("rt_detr", tmp_path), threads=2)
