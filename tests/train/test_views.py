"""What a view of a person asks, and of which picture."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from posetalk.formats.dataset import read_people
from posetalk.model.files import conversation, crop_settings, load
from posetalk.prompt import coordinate
from posetalk.settings import AugmentSettings, DataSettings, TrainSettings
from posetalk.skeleton import Skeleton, load_skeleton
from posetalk.train.examples import Views, training_examples
from posetalk.train.losses import forward_with_loss
from posetalk.train.packing import PackedSequence, collate
from posetalk.train.target import labelled_targets

COCO = load_skeleton("coco17")
STILL = AugmentSettings(scale=0, rotation=0, flip=0)
MIRRORED = AugmentSettings(scale=0, rotation=0, flip=1)


@pytest.fixture
def labels(tmp_path: Path) -> DataSettings:
    """Four people, all 17 keypoints in the middle of their box, on pictures of noise."""
    rng = np.random.default_rng(0)
    images, people = [], []
    for number in range(1, 5):
        Image.fromarray(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(tmp_path / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": 64, "height": 64})
        points = np.concatenate([rng.uniform(15, 45, (17, 2)).round(), np.full((17, 1), 2)], 1)
        person = {"id": number, "image_id": number, "category_id": 1, "bbox": [4, 4, 56, 56], "area": 3136}
        keypoints = {"num_keypoints": 17, "keypoints": points.reshape(-1).tolist()}
        people.append({**person, **keypoints, "iscrowd": 0})
    file = tmp_path / "labels.json"
    file.write_text(json.dumps({"images": images, "annotations": people, "categories": [{"id": 1}]}))
    return DataSettings(annotations=str(file), images=str(tmp_path))


@pytest.fixture(scope="module")
def network(tiny_model: Path):
    return load(tiny_model)


def views(network, labels: DataSettings, skeleton: Skeleton = COCO, **settings: object) -> Views:
    model, tokenizer = network
    chosen = TrainSettings(data=(labels,), **settings)  # type: ignore[arg-type]
    people = read_people(Path(labels.annotations), Path(labels.images))
    found = training_examples(people, skeleton, chosen.without_keypoints)
    return Views(found, conversation(model.config, tokenizer), crop_settings(model.config), chosen, 12)


def asked(network, packed: PackedSequence) -> dict[str, tuple[float, float]]:
    """Names and answers, read from the text of a packed view."""
    ids = [i for i in packed.input_ids if i != network[0].config.image_token_id]
    text = network[1].decode(ids, skip_special_tokens=False)
    rounds = text.split("Question: Where in the image is the ")[1:]
    return {r.split(" of this person?")[0]: coordinate.read(r.split("Answer:")[1]) for r in rounds}


@pytest.mark.parametrize("packing", ["block", "chain"])
def test_a_mirrored_view_asks_each_label_under_its_mirrors_name(network, labels, packing: str) -> None:
    still, mirrored = (views(network, labels, augmentation=a, packing=packing) for a in (STILL, MIRRORED))
    for number in range(4):
        (picture, packed), (other, turned) = still[number], mirrored[number]
        np.testing.assert_array_equal(other, picture[..., ::-1])
        plain, answers = asked(network, packed), asked(network, turned)
        assert {COCO[name].mirror for name in answers} == set(plain) or packing == "chain"
        whole = {t.keypoint.name: t.xy for t in labelled_targets(still.pixels_and_targets(number)[1])}
        for name, (x, y) in answers.items():
            left, top = whole[COCO[name].mirror]
            # a flipped crop is its 56 pixels in reverse order, so 0 becomes 55/56
            assert (x, y) == pytest.approx((55 / 56 - left, top), abs=0.0006)


def test_a_view_follows_from_seed_and_number_alone(network, labels) -> None:
    settings = {"keypoints_per_view": 3, "name_only_share": 0.5, "augmentation": AugmentSettings(shift=0.1)}
    ones, again = views(network, labels, **settings), views(network, labels, **settings)
    seen = {number: ones[number] for number in range(12)}
    for number in (7, 2, 11, 0):  # in another order, from another object
        np.testing.assert_array_equal(again[number][0], seen[number][0])
        assert again[number][1] == seen[number][1]
        np.testing.assert_array_equal(again.pixels_and_targets(number)[0], seen[number][0])
    pictures = {pixels.tobytes() for pixels, _ in seen.values()}
    assert len(pictures) == 12
    other = views(network, labels, **settings, seed=43)
    assert pictures.isdisjoint(other[number][0].tobytes() for number in range(12))


def test_synonyms_change_words_alone(network, labels, tmp_path: Path) -> None:
    """A view of keypoints with other names has the same picture and answers; it follows from its number too."""
    rich = replace(
        COCO,
        keypoints=tuple(replace(k, synonyms=(f"{k.name} of the person",)) for k in COCO.keypoints),
    )
    settings = {"name_only_share": 0.5, "augmentation": AugmentSettings(shift=0.1)}
    plain, once, again = (
        views(network, labels, skeleton=skeleton, **settings) for skeleton in (COCO, rich, rich)
    )
    questions = set()
    for number in (3, 0, 5):
        (picture, packed), (other, worded) = plain[number], once[number]
        np.testing.assert_array_equal(picture, other)
        assert packed.points == worded.points
        assert worded == again[number][1]
        questions |= set(worded.questions) - set(packed.questions)
    assert questions


def test_typed_text_changes_no_answer(network, labels) -> None:
    plain, typed = (views(network, labels, text_noise_share=share) for share in (0.0, 1.0))
    for number in range(3):
        assert plain[number][1].points == typed[number][1].points
        assert plain[number][1].questions != typed[number][1].questions


def test_every_epoch_shows_everyone_once(network, labels) -> None:
    still = views(network, labels, augmentation=STILL)
    for epoch in range(3):
        assert len({still[number][0].tobytes() for number in range(4 * epoch, 4 * epoch + 4)}) == 4


def test_keypoints_left_out_are_never_asked_for(network, labels) -> None:
    out = ("left wrist", "nose")  # without the right wrist: a mirrored right wrist is a left one
    names = set()
    for number in range(8):
        view = views(network, labels, augmentation=AugmentSettings(flip=number % 2), without_keypoints=out)
        names |= set(asked(network, view[number][1]))
    assert names == set(COCO.names) - set(out)


def test_a_chain_is_five_questions_under_plain_causal_attention(network, labels) -> None:
    model, _ = network
    chain = views(network, labels, packing="chain")
    counts = [len(asked(network, chain[number][1])) for number in range(12)]
    assert max(counts) == 5
    few = views(network, labels, packing="chain", keypoints_per_view=2)
    assert len(asked(network, few[0][1])) == 2

    pixels, packed = chain[counts.index(5)]
    batch = collate([(pixels, packed)], pad=0)
    with torch.no_grad():
        loss = forward_with_loss(model, batch).loss
        ids = batch["input_ids"]
        logits = model(input_ids=ids, pixel_values=batch["pixel_values"]).logits  # no mask, no positions
    answers = batch["labels"][0, 1:]
    expected = F.cross_entropy(logits[0, :-1].float(), answers, ignore_index=-100)
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-5)
    assert int((answers != -100).sum()) == 5 * len(chain.conversation.answer.ids(0, 0))


@pytest.mark.parametrize(("flags", "known"), [((1, 2), True), ((2,), False), ((1,), False)])
def test_visible_is_learned_only_from_labels_that_tell_it(
    network, labels, flags: tuple[int, ...], known: bool
) -> None:
    """MPII and LSPET say of all their keypoints the same."""
    file = Path(labels.annotations)
    data = json.loads(file.read_text())
    for person in data["annotations"]:
        person["keypoints"][2::3] = [flags[n % len(flags)] for n in range(17)]
    file.write_text(json.dumps(data))
    targets = views(network, labels, augmentation=STILL).pixels_and_targets(0)[1]
    expected = [flags[n % len(flags)] > 1 if known else None for n in range(17)]
    assert [target.visible for target in targets] == expected
