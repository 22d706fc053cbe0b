"""The vision tower, on sizes small enough to train in a moment."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModel

from posetalk.model.movenet import (
    CELLS,
    EFFICIENTNET_LITE0,
    InvertedResidual,
    MoveNetConfig,
    MoveNetModel,
    SameConv,
    position_code,
)


def tiny(**changes: object) -> MoveNetModel:
    torch.manual_seed(0)
    sizes = {
        "image_size": 64,
        "stem_channels": 4,
        "stage_channels": (4, 4, 6, 6, 8, 8, 8),
        "stage_depths": (1, 2, 1, 1, 1, 1, 1),
        "head_channels": 10,
        "pyramid_channels": (6, 4, 4, 3),
        "position_channels": 8,
    }
    return MoveNetModel(MoveNetConfig(**(sizes | changes))).eval()


def pictures(height: int = 64, width: int | None = None, count: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(count, 3, height, width or height, generator=generator) * 2 - 1


@pytest.mark.parametrize(("height", "width", "tokens"), [(64, 64, 4), (32, 32, 1), (96, 96, 9), (64, 96, 6)])
def test_one_token_for_each_cell(height: int, width: int, tokens: int) -> None:
    model = tiny()
    seen = model(pictures(height, width)).last_hidden_state
    assert seen.shape == (2, tokens, model.config.hidden_size)
    assert torch.isfinite(seen).all()


@pytest.mark.parametrize("heat_maps", [0, 2])
def test_fine_maps_are_the_pyramid_and_the_heat_maps(heat_maps: int) -> None:
    model = tiny(heat_maps=heat_maps, heat_channels=5)
    with torch.no_grad():
        _, fine = model.maps(pictures())
        found = model(pictures()).fine
    assert found.shape == (2, model.config.fine_channels, 16, 16) == (2, 3 + heat_maps, 16, 16)
    assert torch.equal(found[:, :3], fine)
    if heat_maps:
        with torch.no_grad():
            assert torch.equal(found[:, 3:], model.heat(fine).clamp_min(-10))


def test_without_a_pyramid_the_stages_stand_for_it() -> None:
    model = tiny(pyramid_channels=(), stage_kernels=(3, 3, 5, 3, 5, 5, 3))
    assert not hasattr(model, "top") and model.stages[2][0].depthwise.kernel_size == (5, 5)
    with torch.no_grad():
        coarse, fine = model.maps(pictures())
        seen = model(pictures())
    assert fine.shape == (2, 4 + 6 + 6, 16, 16) and model.config.fine_channels == 16
    assert seen.fine.shape == fine.shape
    cells = seen.last_hidden_state.unflatten(1, (2, 2))[1, 1, 0, 10 : 10 + 4 * CELLS**2]
    assert torch.equal(cells.reshape(4, CELLS, CELLS), fine[1, :4, CELLS:, :CELLS])
    assert model.config.hidden_size == 10 + 4 * CELLS**2 + 8
    assert coarse.shape == (2, 10, 2, 2)


def test_efficientnet_lite0_has_its_published_size() -> None:
    with torch.device("meta"):
        model = MoveNetModel(MoveNetConfig(**EFFICIENTNET_LITE0))
    # 4,652,008 of the paper's code, less the classifier (1,281,000), less one number a channel: norms are folded in
    channels = sum(m.out_channels for m in model.modules() if isinstance(m, SameConv))
    assert model.num_parameters() == 4_652_008 - 1_281_000 - channels


def test_the_token_length_follows_from_the_sizes() -> None:
    assert MoveNetConfig().hidden_size == 1280 + 64 * 24 + 32 == 2848
    assert MoveNetConfig(head_channels=10, hidden_size=7).hidden_size == 10 + 64 * 24 + 32


def test_a_token_is_the_last_layer_its_pyramid_cells_and_its_place() -> None:
    model = tiny()
    with torch.no_grad():
        coarse, fine = model.maps(pictures())
        seen = model(pictures()).last_hidden_state.unflatten(1, (2, 2))
    assert torch.equal(seen[..., :10].permute(0, 3, 1, 2), coarse)
    cells = seen[1, 1, 0, 10 : 10 + 3 * CELLS**2].reshape(3, CELLS, CELLS)  # row 1, column 0
    assert torch.equal(cells, fine[1, :, CELLS:, :CELLS])
    assert torch.equal(seen[0, ..., -8:], seen[1, ..., -8:])


def test_a_heat_map_is_told_by_its_peak_and_where_it_lies_under_the_token() -> None:
    model = tiny(heat_maps=2, heat_channels=5)
    heat = torch.zeros(1, 2, 16, 16)
    heat[0, 1, 8 + 7, 0] = 50  # under token row 1, column 0: its last row, its first column
    peaks = model.peaks(heat)
    assert peaks.shape == (1, 6, 2, 2)
    assert torch.allclose(peaks[0, 1::2, 1, 0], torch.tensor([50.0, -1.0, 1.0]), atol=1e-4)
    peaks[0, 1::2, 1, 0] = 0
    assert torch.allclose(peaks, torch.zeros_like(peaks), atol=1e-6)


def test_the_heat_maps_only_lengthen_the_tokens() -> None:
    plain, more = tiny(), tiny(heat_maps=2, heat_channels=5)
    same = {k: v for k, v in plain.state_dict().items() if not k.endswith(("mean", "std"))}
    more.load_state_dict(same, strict=False)
    with torch.no_grad():
        a, b = plain(pictures()).last_hidden_state, more(pictures()).last_hidden_state
    assert more.config.hidden_size == plain.config.hidden_size + 3 * 2
    assert torch.equal(b[..., : 10 + 3 * CELLS**2], a[..., :-8])
    assert torch.equal(b[..., -8:], a[..., -8:])


@pytest.mark.parametrize("heat_maps", [0, 2])
def test_every_weight_learns(heat_maps: int) -> None:
    model = tiny(heat_maps=heat_maps).train()
    model(pictures()).last_hidden_state.square().mean().backward()
    still = [
        name for name, weight in model.named_parameters() if weight.grad is None or not weight.grad.any()
    ]
    assert still == []


def test_saved_and_loaded_it_sees_the_same(tmp_path: Path) -> None:
    model = tiny()
    model.mean.uniform_(-1, 1)
    model.std.uniform_(1, 2)
    model.save_pretrained(tmp_path)
    assert (tmp_path / "model.safetensors").is_file()
    loaded = AutoModel.from_pretrained(tmp_path)
    assert type(loaded) is MoveNetModel
    assert AutoConfig.from_pretrained(tmp_path).to_dict() == loaded.config.to_dict()
    with torch.no_grad():
        assert torch.equal(loaded(pictures()).last_hidden_state, model(pictures()).last_hidden_state)


def test_half_precision_is_kept_in_the_file(tmp_path: Path) -> None:
    model = tiny()
    model.half().save_pretrained(tmp_path)
    loaded = AutoModel.from_pretrained(tmp_path, dtype=torch.float32)
    assert loaded.mean.dtype == torch.float32
    with torch.no_grad():
        assert loaded(pictures()).last_hidden_state.dtype == torch.float32
        expected = model.float()(pictures()).last_hidden_state
        assert torch.equal(loaded(pictures()).last_hidden_state, expected)


def test_mean_and_std_standardise_the_features_and_not_the_place() -> None:
    model = tiny()
    with torch.no_grad():
        raw = model(pictures()).last_hidden_state
        model.mean.fill_(3.0)
        model.std.fill_(2.0)
        seen = model(pictures()).last_hidden_state
    assert torch.allclose(seen[..., :-8], (raw[..., :-8] - 3) / 2, atol=1e-6)
    assert torch.equal(seen[..., -8:], raw[..., -8:])


def test_what_llava_looks_for() -> None:
    seen = tiny()(pictures(), output_hidden_states=True, return_dict=True)
    assert seen.hidden_states[-1] is seen.last_hidden_state


@pytest.mark.parametrize("size", [6, 7, 8])
@pytest.mark.parametrize("stride", [1, 2])
def test_same_padding_is_tensorflows(size: int, stride: int) -> None:
    """With a kernel of ones on ones, each output counts the pixels under it."""
    conv = SameConv(1, 1, 3, stride)
    torch.nn.init.ones_(conv.weight)
    torch.nn.init.zeros_(conv.bias)
    counts = conv(torch.ones(1, 1, size, size))[0, 0, 1 if stride == 1 else 0] / 3
    expected = {(1, 6): [2, 3, 3, 3, 3, 2], (1, 7): [2, 3, 3, 3, 3, 3, 2], (1, 8): [2, 3, 3, 3, 3, 3, 3, 2],
                (2, 6): [3, 3, 2], (2, 7): [2, 3, 3, 2], (2, 8): [3, 3, 3, 2]}[stride, size]  # fmt: skip
    rows = 1 if stride == 1 or size % 2 == 0 else 2 / 3
    assert torch.allclose(counts, torch.tensor(expected, dtype=torch.float32) * rows)


@pytest.mark.parametrize(("outputs", "stride", "passes"), [(4, 1, True), (5, 1, False), (4, 2, False)])
def test_a_block_adds_its_input_where_the_shapes_agree(outputs: int, stride: int, passes: bool) -> None:
    block = InvertedResidual(4, 8, outputs, stride)
    torch.nn.init.zeros_(block.project.weight)
    torch.nn.init.zeros_(block.project.bias)
    x = torch.rand(1, 4, 6, 6)
    assert torch.equal(block(x), x if passes else torch.zeros(1, outputs, 6 // stride, 6 // stride))


@pytest.mark.parametrize("side", [7, 8, 12])
def test_no_two_places_share_a_code(side: int) -> None:
    code = position_code(side, side, 32)
    assert code.shape == (side * side, 32)
    apart = torch.cdist(code, code) + torch.eye(len(code)) * 9
    assert apart.min() > 0.5


def test_the_code_tells_rows_from_columns() -> None:
    code = position_code(2, 3, 8).unflatten(0, (2, 3))
    assert torch.equal(code[0, :, :4], code[1, :, :4])  # x does not change down a column
    assert torch.equal(code[:, 0, 4:], code[:, 2, 4:])  # y does not change along a row
    x = (torch.arange(3) + 0.5) / 3
    assert torch.allclose(code[0, :, 2], 2**0.5 * torch.cos(torch.pi * x), atol=1e-6)
