"""Packed rows without the pairs a mask would throw away: the same numbers as with the mask."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from posetalk.model.block import NAME, attention, blocks_of
from posetalk.model.files import build
from posetalk.model.posellm import QUESTIONS_AT_ONCE, block_mask
from posetalk.settings import ModelSettings
from posetalk.train.losses import forward_with_loss


def rows(prefix: int, sizes: list[list[int]]) -> torch.Tensor:
    """Segments of rows whose questions have those sizes, padded on the right."""
    found = [[0] * prefix + [n for n, size in enumerate(row, 1) for _ in range(size)] for row in sizes]
    longest = max(map(len, found))
    return torch.tensor([row + [-1] * (longest - len(row)) for row in found])


@settings(deadline=None, max_examples=60)
@given(
    prefix=st.integers(0, 6),
    sizes=st.lists(st.lists(st.integers(1, 5), min_size=1, max_size=4), min_size=1, max_size=3),
    groups=st.sampled_from([1, 2]),
    seed=st.integers(0, 99),
)
def test_it_is_what_the_mask_gives_with_its_gradient(
    prefix: int, sizes: list[list[int]], groups: int, seed: int
) -> None:
    segments = rows(prefix, sizes)
    blocks = blocks_of(segments)
    assert blocks is not None
    torch.manual_seed(seed)
    people, length = segments.shape
    given_ = [
        torch.randn(people, heads, length, 8, requires_grad=True) for heads in (4, 4 // groups, 4 // groups)
    ]
    module = nn.Module()
    module.num_key_value_groups = groups  # type: ignore[assignment]
    mask = block_mask(segments, torch.float32)
    real = (segments >= 0)[:, :, None, None]
    outs, grads = [], []
    for more in ({"attention_mask": mask}, {"attention_mask": None, "blocks": blocks}):
        out = attention(module, *given_, scaling=0.3, **more)[0] * real  # type: ignore[arg-type]
        outs.append(out)
        grads.append(torch.autograd.grad((out * torch.arange(8.0)).sum(), given_))
    torch.testing.assert_close(outs[0], outs[1])
    for one, other in zip(*grads, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("sizes", "even"),
    [
        ([[1, 1, 1], [1, 1, 1]], True),
        ([[1, 1, 1], [1]], True),
        ([[3, 3], [3, 2]], True),
        ([[2, 3], [2, 3]], False),
        ([[3, 3], [2, 3]], False),
    ],
)
def test_questions_of_one_length_are_not_gathered(sizes: list[list[int]], even: bool) -> None:
    blocks = blocks_of(rows(4, sizes))
    assert blocks is not None and (blocks.back is None) is even


def test_rows_of_another_form_have_no_blocks() -> None:
    assert blocks_of(torch.zeros(2, 5, dtype=torch.long)) is None  # a chain
    assert blocks_of(torch.tensor([[0, 0, 1, 1], [0, 1, 1, 1]])) is None  # pictures of different sizes
    assert blocks_of(torch.tensor([[0, 2, 1, 2]])) is None  # not one after the other


def test_a_model_learns_by_it_unless_told_otherwise(tiny_settings: ModelSettings) -> None:
    model, _ = build(tiny_settings)
    reader = model.model.language_model.config
    assert reader._attn_implementation == NAME
    segments, tokens = rows(20, [[5, 3, 4], [4, 6]]), model.config.image_token_id
    ids = torch.randint(2, 200, segments.shape)
    ids[:, 2:18] = tokens
    labels = torch.where(segments > 0, ids, -100)
    asked = {
        "input_ids": ids,
        "labels": labels,
        "segments": segments,
        "pixel_values": torch.randn(2, 3, 56, 56),
    }
    losses = []
    for name in (NAME, "sdpa", "eager"):
        reader._attn_implementation = name
        losses.append(forward_with_loss(model, asked).loss.item())
    assert max(losses) - min(losses) < 1e-5


@pytest.mark.parametrize("name", [NAME, "sdpa", "eager"])
def test_questions_read_together_are_what_each_is_alone(tiny_settings: ModelSettings, name: str) -> None:
    model, _ = build(tiny_settings.model_copy(update={"readout": "point", "reading": "once"}))
    network = model.model
    network.language_model.config._attn_implementation = name
    torch.manual_seed(0)
    for texts in (
        [[3, 4, 5, 6], [3, 4, 7], [3, 4, 5, 6, 8, 9]],  # two words at the start of all
        [[3, 4], [3, 4], [3]],  # one is where the others begin
        [[5, 4, 3], [6, 4]],  # nothing in common
        [[3, number, *range(4, 4 + number % 5)] for number in range(QUESTIONS_AT_ONCE + 2)],
    ):
        lengths = torch.tensor([len(text) for text in texts])
        longest = int(lengths.max())
        questions = torch.tensor([text + [0] * (longest - len(text)) for text in texts])
        together = network.read(questions, lengths)
        alone = torch.stack(
            [
                network.question_reader(
                    network.language_model(input_ids=torch.tensor([text])).last_hidden_state[0].mean(0)
                )
                for text in texts
            ]
        )
        torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)
        weights = torch.randn_like(alone)
        words = network.language_model.layers[0].self_attn.q_proj.weight
        one, other = (
            torch.autograd.grad((found * weights).sum(), words, retain_graph=True)[0]
            for found in (together, alone)
        )
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-3)
