"""Pictures and their labels -> what a language model is asked for: one job a picture and kind.

Two recipes. `paper` is LLaVA-Pose's (arXiv 2506.21317, section 3) in our words: conversations see captions alone;
descriptions captions, boxes and keypoints; reasoning objects too. `grounded` is ours: all three kinds see captions,
keypoints and facts, and are told what is not known.

A prompt is prompts/RECIPE_KIND.md, text under headings of one word. `# system` and `# user` are messages; `# caption`
is a question that is put once for each caption and answered by it; `# example` is a context and `# reply` the reply to
it, shown as turns before the real one; `# instructions` are ways of asking, a line each, of which one is drawn. The
words {context}, {instruction}, {questions} and {joints} are filled in.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from posetalk.facts.scene import Scene, scene_facts
from posetalk.formats.annotated import AnnotatedImage, AnnotatedImages
from posetalk.llm.request import ChatRequest, Message
from posetalk.resources import resource_text
from posetalk.write.from_model.context import Frame, grounded, paper
from posetalk.write.from_model.presets import PRESETS, Preset
from posetalk.write.from_model.reply import schema
from posetalk.write.samples.sample import Kind

Recipe = Literal["paper", "grounded"]
RECIPES: tuple[Recipe, ...] = ("paper", "grounded")
_HEADING = re.compile(r"^# (\w+)\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Prompt:
    """The parts of a prompt's file. examples: contexts and replies."""

    system: str
    user: str
    caption: str
    instructions: tuple[str, ...]
    examples: tuple[tuple[str, str], ...]


@cache
def prompt(recipe: Recipe, kind: Kind) -> Prompt:
    """The prompt of a recipe and kind."""
    text = resource_text(f"write/from_model/prompts/{recipe}_{kind}.md")
    _, *parts = _HEADING.split(text)
    sections = [(name, body.strip()) for name, body in zip(parts[::2], parts[1::2], strict=True)]
    one = dict(sections)
    contexts, replies = ([body for name, body in sections if name == part] for part in ("example", "reply"))
    instructions = tuple(line.removeprefix("- ") for line in one.get("instructions", "").splitlines())
    examples = tuple(zip(contexts, replies, strict=True))
    return Prompt(one["system"], one["user"], one.get("caption", ""), instructions, examples)


def given_facts(recipe: Recipe, kind: Kind) -> str:
    """The prompt's own words, which must not come back in an answer; not the instructions, which are questions."""
    parts = prompt(recipe, kind)
    return "\n".join([parts.system, parts.user, *(text for example in parts.examples for text in example)])


def jobs(
    pictures: AnnotatedImages,
    kinds: Sequence[Kind],
    recipe: Recipe = "grounded",
    seed: int = 0,
    preset: Preset = PRESETS["every-picture"],
    words: int = 1024,
) -> Iterator[ChatRequest]:
    """The jobs, picture by picture, made as they are taken.

    `paper` takes pictures with people and captions, `grounded` those with labelled keypoints; others are passed over.
    The same seed gives a picture and kind the same job, whatever else is written. words: tokens of a reply, at most.
    Errors: a picture whose size the labels do not say, before the first job.
    """
    fit = [picture.image.id for picture in pictures if _fits(picture, recipe)]
    wanted = {kind: preset.chosen(fit, kind, seed) for kind in kinds}
    for image_id in fit:
        here = [kind for kind in kinds if image_id in wanted[kind]]
        if here and (picture := pictures.get(image_id)) is not None:
            scene = scene_facts(picture.image, pictures.keypoint_names, picture.things)
            for kind in here:
                yield _job(
                    picture, scene, pictures.keypoint_names, kind, recipe, seed, preset.questions, words
                )


def _fits(picture: AnnotatedImage, recipe: Recipe) -> bool:
    people = [person for person in picture.image.people if not person.is_crowd]
    labelled = any(person.labelled.any() for person in people)
    if not (labelled if recipe == "grounded" else people and picture.captions):
        return False
    Frame(picture.image)  # what cannot be written is said before anything is paid for
    return True


def _job(
    picture: AnnotatedImage,
    scene: Scene,
    names: Sequence[str],
    kind: Kind,
    recipe: Recipe,
    seed: int,
    questions: int,
    words: int,
) -> ChatRequest:
    image, parts = picture.image, prompt(recipe, kind)
    draw = random.Random(f"{seed} {image.id} {kind}")
    asked = draw.choice(parts.instructions) if parts.instructions else ""
    context = _context(recipe, kind, picture, scene, names)
    messages = _messages(parts, context, picture.captions, asked, questions, names)
    form = schema(kind, questions, asked)
    return ChatRequest(f"{image.id}-{kind}", image.id, image.name, kind, messages, form, words)


def _context(recipe: Recipe, kind: Kind, picture: AnnotatedImage, scene: Scene, names: Sequence[str]) -> str:
    if recipe == "grounded":
        return grounded(picture.image, scene, picture.captions)
    numbers = paper(picture.image, scene, names, scene.things if kind == "reasoning" else ())
    return "\n".join([*(f"caption: {caption}" for caption in picture.captions), numbers])


def _messages(
    parts: Prompt, context: str, captions: Sequence[str], asked: str, questions: int, names: Sequence[str]
) -> tuple[Message, ...]:
    joints = ", ".join(f"{number} {name}" for number, name in enumerate(names, 1))

    def filled(text: str, context: str = "") -> str:
        text = text.replace("{instruction}", asked).replace("{questions}", str(questions))
        return text.replace("{joints}", joints).replace("{context}", context)

    found = [_message("system", filled(parts.system))]
    for caption in captions if parts.caption else ():
        found += [_message("user", parts.caption), _message("assistant", caption)]
    for example, reply in parts.examples:
        found += [_message("user", filled(parts.user, example)), _message("assistant", reply)]
    return (*found, _message("user", filled(parts.user, context)))


def _message(role: str, content: str) -> Message:
    return {"role": role, "content": content}
