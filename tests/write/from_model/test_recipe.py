"""Pictures -> jobs: the same whatever else is written, with what the recipe tells and nothing more."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.facts.figures import figure

from posetalk.errors import PosetalkError
from posetalk.facts.scene import Scene, scene_facts
from posetalk.formats.annotated import AnnotatedImages
from posetalk.formats.objects import Thing
from posetalk.llm.request import ChatRequest
from posetalk.skeleton import load_skeleton
from posetalk.types import Box, Person, PoseImage, frozen_array
from posetalk.write.from_model.context import grounded
from posetalk.write.from_model.presets import PRESETS, Preset
from posetalk.write.from_model.recipe import RECIPES, Recipe, given_facts, jobs, prompt
from posetalk.write.from_model.reply import parse
from posetalk.write.samples.sample import MODEL_KINDS, Kind, Sample
from posetalk.write.screening.screen import faults_of

NAMES = load_skeleton("coco17").names
EVERY = [(recipe, kind) for recipe in RECIPES for kind in MODEL_KINDS]
CAPTIONS = ("A surfer rides a wave.", "Somebody surfs {context} in {joints}.")
Made = Callable[..., AnnotatedImages]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """COCO's files with a person and two captions in each picture. changes: of picture or person, by image id."""

    def make(
        ids: Sequence[int] = (7, 8, 9),
        image: dict[int, dict[str, Any]] | None = None,
        person: dict[int, dict[str, Any]] | None = None,
        without_captions: Sequence[int] = (),
    ) -> AnnotatedImages:
        xy = np.array([figure(uppers=(180, 0), fores=(180, 0))[name] for name in NAMES])
        keypoints = np.column_stack([xy, np.full(17, 2)]).ravel().tolist()
        one = {"category_id": 1, "iscrowd": 0, "area": 1e4, "bbox": list(Box.around(xy).xywh)}
        files: dict[str, Any] = {
            "people": {
                "images": [
                    {"id": i, "file_name": f"{i}.jpg", "width": 800, "height": 600} | (image or {}).get(i, {})
                    for i in ids
                ],
                "annotations": [
                    {**one, "id": i, "image_id": i, "keypoints": keypoints} | (person or {}).get(i, {})
                    for i in ids
                ],
                "categories": [{"id": 1, "name": "person"}],
            },
            "captions": {
                "annotations": [
                    {"image_id": i, "caption": text}
                    for i in ids
                    if i not in without_captions
                    for text in CAPTIONS
                ]
            },
            "objects": {
                "annotations": [{"image_id": i, "category_id": 42, "bbox": [80, 60, 80, 60]} for i in ids],
                "categories": [{"id": 42, "name": "surfboard"}],
            },
        }
        for name, data in files.items():
            (tmp_path / f"{name}.json").write_text(json.dumps(data))
        return AnnotatedImages(*(tmp_path / f"{name}.json" for name in files))

    return make


def text_of(job: ChatRequest) -> str:
    return "\n".join(message["content"] for message in job.messages)


@pytest.mark.parametrize(("recipe", "kind"), EVERY)
def test_a_chat_begins_with_the_system_and_ends_with_the_user(made: Made, recipe: Recipe, kind: Kind) -> None:
    found = list(jobs(made(), [kind], recipe))
    assert [job.id for job in found] == [f"{i}-{kind}" for i in (7, 8, 9)]
    assert {(job.image_id, job.image, job.kind) for job in found} == {
        (i, f"{i}.jpg", kind) for i in (7, 8, 9)
    }
    for job in found:
        first, *rest = [message["role"] for message in job.messages]
        assert first == "system" and rest == ["user", "assistant"] * (len(rest) // 2) + ["user"]
        assert all(message["content"].strip() for message in job.messages)
        assert "A surfer rides a wave." in text_of(job)
        # what is filled in is filled in, and what a caption says is left as it is
        assert not re.search(
            r"\{(?:context|instruction|questions|joints)\}", text_of(job).replace(CAPTIONS[1], "")
        )
        assert CAPTIONS[1] in text_of(job)


def test_the_paper_shows_keypoints_to_all_but_conversations(made: Made) -> None:
    conversation, detail, reasoning = next(zip(*[jobs(made(), MODEL_KINDS, "paper")] * 3, strict=True))
    assert "keypoint" not in text_of(conversation) and not re.search(r"\d\.\d", text_of(conversation))
    answered = [m["content"] for m in conversation.messages if m["role"] == "assistant"]
    assert answered == list(CAPTIONS)
    for job in (detail, reasoning):
        listed = ", ".join(f"{i} {name}" for i, name in enumerate(NAMES, 1))
        assert (
            listed in job.messages[0]["content"]
            and listed.startswith("1 nose")
            and "17 right ankle" in listed
        )
        assert re.search(r"^keypoints: \[\[", job.messages[-1]["content"], re.MULTILINE)
        for word in ("standing", "raised", "so:", "called"):
            assert word not in job.messages[-1]["content"].split("\n\n")[0]
    assert "surfboard: [0.100, 0.100, 0.200, 0.200]" in text_of(reasoning) and "surfboard" not in text_of(
        detail
    )


def test_the_grounded_recipe_shows_facts_and_keypoints_to_all(made: Made) -> None:
    for job in itertools.islice(jobs(made(), MODEL_KINDS), 3):
        last = job.messages[-1]["content"]
        assert "left arm raised" in last and "left wrist (0." in last and "surfboard [" in last


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_same_seed_gives_the_same_job_whatever_else_is_written(made: Made, recipe: Recipe) -> None:
    alone = {job.id: job for job in jobs(made([8]), ["detail"], recipe, seed=3)}
    among = {job.id: job for job in jobs(made(range(60)), MODEL_KINDS, recipe, seed=3)}
    assert among["8-detail"] == alone["8-detail"] and len(among) == 180
    asked = [
        job.schema["properties"]["answer"]["description"] for job in among.values() if job.kind == "detail"
    ]
    assert 12 <= len(set(asked)) <= 16
    other = {job.id: job for job in jobs(made(range(60)), ["detail"], recipe, seed=4)}
    assert sum(other[id].schema != among[id].schema for id in other) > 30


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_description_is_the_answer_to_its_instruction(made: Made, recipe: Recipe) -> None:
    job = next(iter(jobs(made(), ["detail"], recipe)))
    [(question, answer)] = parse(job, '{"answer": "A surfer stands."}')
    assert question in prompt(recipe, "detail").instructions and answer == "A surfer stands."
    assert question in job.messages[-1]["content"]
    assert parse(job.with_feedback("no", "because"), '{"answer": "A surfer stands."}') == (
        (question, answer),
    )


def test_pictures_that_tell_nothing_are_passed_over(made: Made) -> None:
    pictures = made(range(1, 5), person={1: {"iscrowd": 1}, 2: {"keypoints": [0] * 51}}, without_captions=[3])
    assert [job.image_id for job in jobs(pictures, ["detail"], "paper")] == [2, 4]
    assert [job.image_id for job in jobs(pictures, ["detail"], "grounded")] == [3, 4]


def test_a_picture_without_a_size_is_said_before_anything_is_asked(made: Made) -> None:
    found = iter(jobs(made(image={9: {"width": None}}), ["detail"]))
    with pytest.raises(PosetalkError, match=r"how large image 9 \(9\.jpg\)"):
        next(found)


def test_questions_and_words_are_those_that_were_asked_for(made: Made) -> None:
    job = next(iter(jobs(made(), ["conversation"], preset=Preset(3), max_tokens=77)))
    turns = job.schema["properties"]["turns"]
    assert (turns["minItems"], turns["maxItems"], job.max_tokens) == (2, 3, 77) and "3 questions" in text_of(
        job
    )


@given(
    st.sets(st.integers(), max_size=60), st.integers(0, 70), st.integers(), st.randoms(use_true_random=False)
)
def test_a_preset_draws_the_same_pictures_in_any_order(
    ids: set[int], most: int, seed: int, draw: Any
) -> None:
    preset, shuffled = Preset(5, {"detail": most}), list(ids)
    draw.shuffle(shuffled)
    found = preset.select(shuffled, "detail", seed)
    assert found == preset.select(sorted(ids), "detail", seed) and found <= ids
    assert len(found) == min(most, len(ids)) and preset.select(ids, "reasoning", seed) == ids
    more = Preset(5, {"detail": most + 1}).select(ids, "detail", seed)
    assert found <= more  # a larger draw goes on from a smaller one


def test_the_papers_sizes_sum_to_what_it_says() -> None:
    paper = PRESETS["llava-pose"]
    assert paper.images["conversation"] * paper.questions == 112_980
    assert 112_980 + paper.images["detail"] + paper.images["reasoning"] == 200_328


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_draw_takes_as_many_of_each_kind_as_the_preset_has(made: Made, recipe: Recipe) -> None:
    pictures = made(range(20))
    found = list(jobs(pictures, MODEL_KINDS, recipe, preset=Preset(5, {"conversation": 4, "detail": 11})))
    assert [sum(job.kind == kind for job in found) for kind in MODEL_KINDS] == [4, 11, 20]


def drawn(context: str) -> tuple[PoseImage, Scene, list[str]]:
    """The picture, the scene and the captions that a grounded context tells of, of 640 x 480 px."""
    size, people, things = np.array([640, 480]), [], []

    def box(text: str) -> Box:
        return Box.from_xyxy(*(np.array(json.loads(text)) * np.tile(size, 2)))

    for number, (edges, joints) in enumerate(
        re.findall(r"^person \d+.*: box (\[.*\])\n  joints: (.*)$", context, re.MULTILINE)
    ):
        xy, flags = np.zeros((17, 2)), np.zeros(17)
        for name, x, y, hidden in re.findall(r"([a-z ]+) \((\S+), ([\d.]+)(, hidden)?\)", joints):
            at = NAMES.index(name.strip())
            xy[at], flags[at] = size * [float(x), float(y)], 1 if hidden else 2
        people.append(Person(number, box(edges), frozen_array(xy), frozen_array(flags), 1e4))
    for name, boxes in re.findall(r"^object: (.*?) (\[.*\])$", context, re.MULTILINE):
        things += [Thing(name, box(one)) for one in re.findall(r"\[.*?\]", boxes)]
    image = PoseImage(1, Path("1.jpg"), 640, 480, tuple(people))
    captions = re.findall(r"^caption: (.*)$", context, re.MULTILINE)
    return image, scene_facts(image, NAMES, things, captions), captions


@pytest.mark.parametrize("kind", MODEL_KINDS)
def test_examples_are_as_real_contexts_are_and_their_replies_would_be_kept(kind: Kind, made: Made) -> None:
    job, own = next(iter(jobs(made(), [kind]))), given_facts("grounded", kind)
    [(context, reply)] = prompt("grounded", kind).examples
    image, scene, captions = drawn(context)
    assert grounded(image, scene, captions) == context
    sample = Sample("1", 1, "1.jpg", kind, parse(job, reply), "example")
    assert faults_of(sample, scene, captions=captions) == ()
    assert json.loads(reply) and reply in own  # a model that repeats it is found out


@pytest.mark.parametrize(("recipe", "kind"), EVERY)
def test_instructions_are_sixteen_and_may_stand_as_questions(recipe: Recipe, kind: Kind) -> None:
    parts = prompt(recipe, kind)
    assert len(set(parts.instructions)) == (16 if kind == "detail" else 0)
    answer = json.loads(prompt("grounded", "detail").examples[0][1])["answer"]
    for asked in parts.instructions:
        assert asked not in given_facts(recipe, kind)
        assert faults_of(Sample("1", 1, "1.jpg", kind, ((asked, answer),), "example"), None) == ()


def test_prompts_come_with_the_package() -> None:
    """hatchling puts all files under the package into the wheel; none of them may be ignored by git."""
    from importlib.resources import files

    found = {file.name for file in files("posetalk.write.from_model").joinpath("prompts").iterdir()}
    assert found == {f"{recipe}_{kind}.md" for recipe, kind in EVERY} | {"seeing.md", "verify.md"}
