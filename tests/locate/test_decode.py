"""The shared prefix changes the price of an answer, never the answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from posetalk.locate.decode import decode, prefill, read
from posetalk.locate.localizer import Localizer
from posetalk.model.files import conversation, load
from posetalk.prompt import coordinate
from posetalk.skeleton import Keypoint

POINTS = [
    Keypoint("nose", "the tip of the nose"),
    Keypoint("left heel"),
    Keypoint("chin", "lowest of the face"),
]


@pytest.fixture(scope="module")
def setup(tiny_model: Path):
    model, tokenizer = load(tiny_model)
    with torch.no_grad():
        model.lm_head.weight.mul_(20)  # random weights give nearly flat digits; make them choose
    talk = conversation(model.config, tokenizer)
    pixels = torch.from_numpy(np.random.default_rng(3).standard_normal((2, 3, 56, 56)).astype(np.float32))
    return model, tokenizer, talk, pixels


def test_greedy_equals_generate_on_full_prompts(setup) -> None:
    model, tokenizer, talk, pixels = setup
    questions = [talk.question(p) for p in POINTS]
    found = decode(model, talk, prefill(model, talk, pixels), read(model, talk, POINTS))
    slots, template = talk.answer.digit_slots, talk.answer.ids(0, 0)
    for person in range(2):
        for number, question in enumerate(questions):
            prompt = torch.tensor([[*talk.prefix, *question]])

            def allowed(_: int, ids: torch.Tensor, start: int = prompt.shape[1]) -> list[int]:
                place = len(ids) - start
                return list(talk.answer.digits) if place in slots else [template[place]]

            out = model.generate(
                input_ids=prompt,
                attention_mask=torch.ones_like(prompt),
                pixel_values=pixels[person : person + 1],
                do_sample=False,
                max_new_tokens=len(template),
                prefix_allowed_tokens_fn=allowed,
                pad_token_id=1,
            )
            expected = coordinate.read(tokenizer.decode(out[0, prompt.shape[1] :]))
            assert found.xy[person, number].tolist() == pytest.approx(expected, abs=1e-9)
            # and as surely: the chosen digits' probabilities, from one pass over prompt and answer
            with torch.no_grad():
                logits = model(input_ids=out, pixel_values=pixels[person : person + 1]).logits[0]
            places = [prompt.shape[1] + slot for slot in slots]
            ten = logits[[place - 1 for place in places]][:, list(talk.answer.digits)].softmax(1)
            chosen = [talk.answer.digits.index(int(out[0, place])) for place in places]
            sure = float(ten[range(6), chosen].mean())
            assert float(found.score[person, number]) == pytest.approx(sure, abs=1e-6)


def test_expected_equals_the_sum_over_all_thousand_values(setup) -> None:
    model, _, talk, pixels = setup
    question = talk.question(POINTS[0])
    prefix = prefill(model, talk, pixels[:1])
    whole = decode(model, talk, prefix, read(model, talk, POINTS[:1]), branches=100)
    values = [coordinate.digits(v / 1000) for v in range(1000)]
    ids = torch.tensor(
        [
            [*talk.prefix, *question, *talk.answer.open, *(talk.answer.digits[d] for d in v[:2])]
            for v in values[::10]
        ]
    )
    with torch.no_grad():
        logits = model(input_ids=ids, pixel_values=pixels[:1].expand(100, -1, -1, -1)).logits.double()
    p = logits[:, -3:, list(talk.answer.digits)].softmax(-1)
    joint = torch.stack(
        [p[v // 10, 0, d[0]] * p[v // 10, 1, d[1]] * p[v // 10, 2, d[2]] for v, d in enumerate(values)]
    )
    grid = torch.arange(1000).double() / 1000
    mean = (joint * grid).sum()
    std = ((joint * grid**2).sum() - mean**2).sqrt()
    assert float(joint.sum()) == pytest.approx(1, abs=1e-5)
    assert float(whole.xy[0, 0, 0]) == pytest.approx(float(mean), abs=1e-5)
    assert whole.std is not None and float(whole.std[0, 0, 0]) == pytest.approx(float(std), abs=1e-5)


def test_localizer_batches_and_reuses_crops(tiny_model: Path) -> None:
    localizer = Localizer.from_pretrained(tiny_model, device="cpu", batch_size=2)
    calls = []
    localizer.model.model.vision_tower.register_forward_hook(lambda *_: calls.append(1))
    picture = np.random.default_rng(0).integers(0, 255, (80, 120, 3), dtype=np.uint8)
    localizer.set_image(picture)
    boxes = [(10, 10, 40, 60), (50, 5, 30, 70), (0, 0, 120, 80)]
    together = localizer.locate(boxes, POINTS)
    assert len(calls) == 2
    one = localizer.locate([boxes[1]], POINTS)
    assert len(calls) == 2
    np.testing.assert_allclose(together.xy[1], one.xy[0], atol=1e-3)
    assert together.xy.shape == (3, 3, 2) and together.std is not None
