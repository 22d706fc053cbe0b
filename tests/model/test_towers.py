"""Any vision tower and any causal language model become a PoseLLM that learns, saves and loads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import (
    AutoTokenizer,
    ConvNextV2Config,
    ConvNextV2Model,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    ResNetConfig,
    ResNetModel,
    ViTConfig,
    ViTModel,
)

from posetalk.errors import PosetalkError
from posetalk.model.adapters import set_trainable, trainable_parameters
from posetalk.model.files import build, conversation, load, save
from posetalk.model.movenet import MoveNetConfig, MoveNetModel
from posetalk.settings import CropSettings, LoraSettings, ModelSettings
from posetalk.skeleton import Keypoint
from posetalk.train.losses import forward_with_loss
from posetalk.train.packing import collate, pack
from posetalk.train.target import Target

SIZE = 64
SMALL = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
POINTS = [Keypoint("nose", "the tip of the nose"), Keypoint("left heel")]


def vit() -> ViTModel:
    return ViTModel(ViTConfig(**SMALL, image_size=SIZE, patch_size=16), add_pooling_layer=False)


def registers() -> Dinov2WithRegistersModel:
    small = SMALL | {"mlp_ratio": 2}
    return Dinov2WithRegistersModel(
        Dinov2WithRegistersConfig(**small, image_size=SIZE, patch_size=16, num_register_tokens=3)
    )


def convnext() -> ConvNextV2Model:
    return ConvNextV2Model(
        ConvNextV2Config(hidden_sizes=[8, 8, 16, 24], depths=[1, 1, 1, 1], image_size=SIZE)
    )


def resnet() -> ResNetModel:
    return ResNetModel(
        ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic")
    )


def movenet() -> MoveNetModel:
    return MoveNetModel(
        MoveNetConfig(
            image_size=SIZE, stem_channels=4, stage_channels=(4, 4, 6, 6, 8, 8, 8),
            stage_depths=(1,) * 7, head_channels=10, pyramid_channels=(6, 4, 4, 3), position_channels=8,
        )
    )  # fmt: skip


def neox(vocab: int) -> GPTNeoXForCausalLM:
    return GPTNeoXForCausalLM(GPTNeoXConfig(**SMALL, vocab_size=vocab, bos_token_id=0, eos_token_id=1))


def qwen(vocab: int) -> Qwen2ForCausalLM:
    heads = {"num_key_value_heads": 1, "bos_token_id": 0, "eos_token_id": 1, "tie_word_embeddings": True}
    return Qwen2ForCausalLM(Qwen2Config(**SMALL, vocab_size=vocab, **heads))


def patches(tower: PreTrainedModel, pixels: torch.Tensor) -> torch.Tensor:
    """The tokens of the picture alone, row by row, as each family's documents lay them out."""
    states = tower(pixels).last_hidden_state
    if isinstance(tower, ViTModel):
        return states[:, 1:]  # after the class token
    if isinstance(tower, Dinov2WithRegistersModel):
        return states[:, 4:]  # after the class token and three registers
    if isinstance(tower, MoveNetModel):
        return states
    return torch.stack(
        [states[:, :, y, x] for y in range(states.shape[2]) for x in range(states.shape[3])], 1
    )


def settings(folder: Path, tiny_parts: tuple[Path, Path], vision: object, text: object) -> ModelSettings:
    """Save a tower and a language model of these kinds (None: the tiny ones of the other tests)."""
    torch.manual_seed(0)
    parts = list(map(str, tiny_parts))
    if vision:
        parts[0] = str(folder / "vision")
        vision().save_pretrained(parts[0])  # type: ignore[operator]
    if text:
        parts[1] = str(folder / "text")
        tokenizer = AutoTokenizer.from_pretrained(tiny_parts[1])
        text(len(tokenizer)).save_pretrained(parts[1])  # type: ignore[operator]
        tokenizer.save_pretrained(parts[1])
    crop = CropSettings(size=SIZE if vision else 56)
    return ModelSettings(
        vision_encoder=parts[0], language_model=parts[1], crop=crop, lora=LoraSettings(dropout=0.0)
    )


CASES = [  # tower, language model, how each is tuned, image tokens
    pytest.param(vit, None, "frozen", "lora", 16, id="vit"),
    pytest.param(registers, None, "lora", "lora", 16, id="registers"),
    pytest.param(convnext, None, "layers", "lora", 4, id="convnext"),
    pytest.param(resnet, None, "frozen", "lora", 64, id="resnet"),
    pytest.param(movenet, None, "layers", "frozen", 4, id="movenet"),
    pytest.param(None, neox, "lora", "layers", 16, id="neox"),
    pytest.param(None, qwen, "lora", "lora", 16, id="qwen"),
    pytest.param(convnext, neox, "layers", "layers", 4, id="convnext neox"),
]


@pytest.mark.parametrize(("vision", "text", "tune_vision", "tune_text", "tokens"), CASES)
def test_it_learns_and_comes_back_from_its_folder(
    tiny_parts: tuple[Path, Path], tmp_path: Path, vision, text, tune_vision: str, tune_text: str, tokens: int
) -> None:
    tuned = {"tune_vision_encoder": tune_vision, "tune_language_model": tune_text}
    chosen = settings(tmp_path, tiny_parts, vision, text).model_copy(update=tuned)
    model, tokenizer = build(chosen)
    talk = conversation(model.config, tokenizer)
    assert talk.prefix.count(model.config.image_token_id) == tokens
    network = set_trainable(model, chosen)
    counts = trainable_parameters(network)
    assert {part: bool(n) for part, n in counts.items()} == {
        "connector": True, "readout": False, "language_model": tune_text != "frozen",
        "vision_encoder": tune_vision != "frozen",
    }  # fmt: skip

    size = chosen.crop.size
    pixels = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0)).numpy()
    packed = pack(
        talk, [Target(p, xy, True) for p, xy in zip(POINTS, [(0.1, 0.25), (0.7, 0.999)], strict=True)]
    )
    batch = collate([(p, packed) for p in pixels], pad=1)
    batch.pop("truth")
    network.train()
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1)
    losses = []
    for _ in range(3):
        loss = forward_with_loss(network, batch).loss
        optimizer.zero_grad()
        loss.backward()
        learning = {
            part
            for part in ("vision_tower", "multi_modal_projector", "language_model")
            if any(p.grad is not None and p.grad.any() for n, p in network.named_parameters() if part in n)
        }
        losses.append(float(loss.detach()))
        optimizer.step()
    assert losses[2] < losses[0]
    wanted = {"vision_tower": tune_vision, "multi_modal_projector": "layers", "language_model": tune_text}
    assert learning == {part for part, how in wanted.items() if how != "frozen"}

    asked = {k: v for k, v in batch.items() if k in ("input_ids", "position_ids", "pixel_values", "segments")}
    with torch.no_grad():
        expected = network.eval()(**asked).logits
        save(network, tokenizer, tmp_path / "saved")
        found = load(tmp_path / "saved")[0](**asked).logits
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("vision", [vit, registers, convnext, resnet, movenet])
def test_the_connector_gets_exactly_the_patches(
    tiny_parts: tuple[Path, Path], tmp_path: Path, vision: Callable[[], PreTrainedModel]
) -> None:
    model = build(settings(tmp_path, tiny_parts, vision, None))[0].eval()
    pixels = torch.randn(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        found = model.model.get_image_features(pixels)
        expected = patches(model.model.vision_tower, pixels)
        torch.testing.assert_close(found.last_hidden_state, expected)
        torch.testing.assert_close(found.pooler_output, model.model.multi_modal_projector(expected))


@pytest.mark.parametrize("vision", [convnext, movenet])
def test_lora_where_its_names_do_not_exist_is_refused(
    tiny_parts: tuple[Path, Path], tmp_path: Path, vision: Callable[[], PreTrainedModel]
) -> None:
    chosen = settings(tmp_path, tiny_parts, vision, None)
    with pytest.raises(PosetalkError, match="in the vision_tower; choose tune_vision"):
        set_trainable(build(chosen)[0], chosen)
