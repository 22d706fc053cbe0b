"""The requests to a language model, made from labelled images: one job for each image and kind.

There are two recipes. `paper` is LLaVA-Pose's (arXiv 2506.21317, section 3) in our words: conversations are given the
captions alone; descriptions captions, boxes and keypoints; reasoning objects too. `grounded` is ours: all three kinds
are given captions, keypoints and facts, and what is not known.

A prompt is the file prompts/RECIPE_KIND.md, text under headings of one word. `# system` and `# user` are messages;
`# caption` is a question that is asked for each caption and answered by it; `# example` is a context and `# reply` its
reply, shown as turns before the real one; `# instructions` are ways of asking, a line each, of which one is drawn. The
fields {context}, {instruction}, {questions} and {joints} are filled in. prompts/seeing.md is added to the first message
where the photo is sent along.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Literal

from posetalk.errors import PosetalkError
from posetalk.facts.scene import Scene, scene_facts
from posetalk.formats.annotated import AnnotatedImage, AnnotatedImages
from posetalk.llm.request import ChatRequest, ImagePart, Message
from posetalk.resources import resource_text
from posetalk.types import PoseImage
from posetalk.write.from_model.context import Frame, grounded, paper
from posetalk.write.from_model.presets import PRESETS, Preset
from posetalk.write.from_model.reply import schema
from posetalk.write.samples.sample import Kind, Selected

Recipe = Literal["paper", "grounded"]
RECIPES: tuple[Recipe, ...] = ("paper", "grounded")
_HEADING = re.compile(r"^# (\w+)\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Prompt:
    """The sections of a prompt's file. examples: pairs of a context and its reply."""

    system: str
    user: str
    caption: str
    instructions: tuple[str, ...]
    examples: tuple[tuple[str, str], ...]


@cache
def prompt(recipe: Recipe, kind: Kind) -> Prompt:
    """The prompt of a recipe and kind, read from its file."""
    text = resource_text(f"write/from_model/prompts/{recipe}_{kind}.md")
    _, *parts = _HEADING.split(text)
    sections = [(name, body.strip()) for name, body in zip(parts[::2], parts[1::2], strict=True)]
    section = dict(sections)
    contexts, replies = ([body for name, body in sections if name == part] for part in ("example", "reply"))
    instructions = tuple(line.removeprefix("- ") for line in section.get("instructions", "").splitlines())
    examples = tuple(zip(contexts, replies, strict=True))
    return Prompt(section["system"], section["user"], section.get("caption", ""), instructions, examples)


@cache
def seeing() -> str:
    """What a model is told that gets the photo too."""
    return resource_text("write/from_model/prompts/seeing.md").strip()


def given_facts(recipe: Recipe, kind: Kind) -> str:
    """The prompt's own words, which an answer must not repeat; without the instructions, which are questions."""
    parts = prompt(recipe, kind)
    examples = (text for example in parts.examples for text in example)
    return "\n".join([parts.system, seeing(), parts.user, *examples])


@dataclass(slots=True)
class Photos:
    """The photos that are sent along.

    Attributes:
        side: Longest side that is sent, in px.
        skipped: A sentence (key) for each photo that is missing or no image.
    """

    side: int
    skipped: dict[str, None] = field(default_factory=dict)

    def part(self, image: PoseImage) -> ImagePart | None:
        """The photo of an image as part of a request; None, and a sentence, where there is none."""
        try:
            return ImagePart.of(image.path, self.side)
        except PosetalkError as error:
            self.skipped[f"nothing is asked about {image.name}: {error}"] = None
            return None


def jobs(
    annotated: AnnotatedImages,
    kinds: Sequence[Kind],
    recipe: Recipe = "grounded",
    seed: int = 0,
    preset: Preset = PRESETS["every-picture"],
    max_tokens: int = 1024,
    photos: Photos | None = None,
    selected: Selected | None = None,
) -> Iterator[ChatRequest]:
    """Make the requests for labelled images, one after the other as they are taken.

    `paper` uses images with people and captions, `grounded` those with labelled keypoints; others are left out. The
    same seed gives an image and kind the same request, whatever else is written.

    Args:
        annotated: The labelled images.
        kinds: The kinds to write.
        recipe: The prompts.
        seed: The seed of the choice of images and instructions.
        preset: How many images of each kind, and questions of a conversation.
        max_tokens: The largest number of tokens of a reply.
        photos: Sends the photos along; images whose photo is missing are left out. None for words alone.
        selected: The images of each kind; None for those that `preset` and the seed choose of all.

    Yields:
        The requests, image by image.

    Raises:
        PosetalkError: Before the first request, when the labels do not say the size of an image.
    """
    if selected is None:
        selected = usable_images(annotated, kinds, recipe, seed, preset)
    for image_id in annotated.ids():
        image_kinds = [kind for kind in kinds if image_id in selected[kind]]
        if image_kinds and (record := annotated.get(image_id)) is not None:
            photo = photos.part(record.image) if photos else None
            if photos and photo is None:
                continue
            scene = scene_facts(record.image, annotated.keypoint_names, record.things, record.captions)
            for kind in image_kinds:
                job = _job(
                    record, scene, annotated.keypoint_names, kind, recipe, seed, preset.questions, max_tokens
                )
                yield _with_photo(job, photo) if photo else job


def usable_images(
    annotated: AnnotatedImages, kinds: Sequence[Kind], recipe: Recipe, seed: int, preset: Preset
) -> Selected:
    """The images of each kind, of those that the recipe can use.

    Raises:
        PosetalkError: The labels do not say the size of an image.
    """
    usable_ids = [record.image.id for record in annotated if _is_usable(record, recipe)]
    return {kind: preset.select(usable_ids, kind, seed) for kind in kinds}


def _is_usable(record: AnnotatedImage, recipe: Recipe) -> bool:
    people = [person for person in record.image.people if not person.is_crowd]
    labelled = any(person.labelled.any() for person in people)
    if not (labelled if recipe == "grounded" else people and record.captions):
        return False
    Frame(record.image)  # raises before anything is paid for
    return True


def _job(
    record: AnnotatedImage,
    scene: Scene,
    names: Sequence[str],
    kind: Kind,
    recipe: Recipe,
    seed: int,
    questions: int,
    max_tokens: int,
) -> ChatRequest:
    image, parts = record.image, prompt(recipe, kind)
    rng = random.Random(f"{seed} {image.id} {kind}")
    instruction = rng.choice(parts.instructions) if parts.instructions else ""
    context = _context(recipe, kind, record, scene, names)
    messages = _messages(parts, context, record.captions, instruction, questions, names)
    reply_schema = schema(kind, questions, instruction)
    return ChatRequest(f"{image.id}-{kind}", image.id, image.name, kind, messages, reply_schema, max_tokens)


def _with_photo(job: ChatRequest, photo: ImagePart) -> ChatRequest:
    """The job with a photo at its last message, and the words for who sees it at the end of the first."""
    first, *others = job.messages
    told: Message = {"role": first["role"], "content": f"{first['content']}\n\n{seeing()}"}
    return replace(job, messages=(told, *others), image_part=photo, image_at=len(others))


def _context(recipe: Recipe, kind: Kind, record: AnnotatedImage, scene: Scene, names: Sequence[str]) -> str:
    if recipe == "grounded":
        return grounded(record.image, scene, record.captions)
    numbers = paper(record.image, scene, names, scene.things if kind == "reasoning" else ())
    return "\n".join([*(f"caption: {caption}" for caption in record.captions), numbers])


def _messages(
    parts: Prompt,
    context: str,
    captions: Sequence[str],
    instruction: str,
    questions: int,
    names: Sequence[str],
) -> tuple[Message, ...]:
    joints = ", ".join(f"{number} {name}" for number, name in enumerate(names, 1))

    def filled(text: str, context: str = "") -> str:
        text = text.replace("{instruction}", instruction).replace("{questions}", str(questions))
        return text.replace("{joints}", joints).replace("{context}", context)

    messages: list[Message] = [{"role": "system", "content": filled(parts.system)}]

    def ask(text: str, reply: str) -> None:
        messages.extend(({"role": "user", "content": text}, {"role": "assistant", "content": reply}))

    for caption in captions if parts.caption else ():
        ask(parts.caption, caption)
    for example, reply in parts.examples:
        ask(filled(parts.user, example), reply)
    return (*messages, {"role": "user", "content": filled(parts.user, context)})
