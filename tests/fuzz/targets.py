"""What is fuzzed: every reader of a file and every parser of a text, and the errors that each of them documents."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from io import StringIO
from pathlib import Path
from typing import Any

from tests.fuzz import seeds

from posetalk.bench.answers.parse import answer_of
from posetalk.bench.answers.review import read_answers, read_reviews
from posetalk.bench.answers.scores import read_scores
from posetalk.bench.questions.build import read_closed
from posetalk.bench.questions.openset import read_open
from posetalk.cli.locate import numbers_of
from posetalk.errors import PosetalkError, shown
from posetalk.facts.claims import find_claims
from posetalk.facts.scene import Scene
from posetalk.facts.show import iter_scenes, scene_lines, scene_to_dict
from posetalk.formats.annotated import AnnotatedImages
from posetalk.formats.captions import read_captions
from posetalk.formats.coco import read_coco
from posetalk.formats.described import read_described
from posetalk.formats.detections import read_boxes
from posetalk.formats.lsp import read_lsp
from posetalk.formats.masks import read_polygons
from posetalk.formats.mpii import read_mpii
from posetalk.formats.objects import read_objects
from posetalk.images.opening import read_image
from posetalk.llm.batch_files import read_batch
from posetalk.llm.client import ServerSettings
from posetalk.llm.fault import Rejected
from posetalk.llm.ledger import Ledger
from posetalk.llm.pricing import price_of
from posetalk.llm.request import ChatRequest
from posetalk.locate.image_log import ImageLog
from posetalk.locate.predictions import read_predictions
from posetalk.pointer.form import FORMS, load_form
from posetalk.pointer.reply import read_places
from posetalk.prompt.coordinate import read as read_place
from posetalk.prompt.wording import wording
from posetalk.settings import TrainSettings, known_contents
from posetalk.skeleton import Keypoint, Skeleton
from posetalk.tune.settings import TuneSettings
from posetalk.write.from_facts.sentences import caption_sentence
from posetalk.write.from_model.reply import parse, schema
from posetalk.write.samples.export import export_dataset
from posetalk.write.samples.sample import MODEL_KINDS, Sample, read_samples
from posetalk.write.screening import english
from posetalk.write.screening.published import read_published
from posetalk.write.screening.screen import faults_of


@dataclass(frozen=True)
class Reader:
    """A file of that name in a folder is read to its end. seeds: good files. others: what lies beside it."""

    name: str
    read: Callable[[Path], object]
    seeds: Callable[[], Sequence[bytes]]
    others: dict[str, bytes] | None = None


@dataclass(frozen=True)
class Parser:
    """A text is parsed. pieces: of which texts are made."""

    parse: Callable[[str], object]
    pieces: Sequence[str]


def _all(found: Iterable[Any]) -> int:
    return sum(1 for _ in found)


def _facts(path: Path) -> None:
    data = read_coco(path, path.parent)
    for _, scene in iter_scenes(data, {}):
        scene_lines(scene)
        scene_to_dict(scene)


def _pictures(path: Path) -> None:
    given = (path.with_name(name) for name in ("people.json", "captions.json", "instances.json"))
    _all(AnnotatedImages(*given))


def _ledger(path: Path) -> None:
    with Ledger(path) as ledger:
        ledger.row("key")
        ledger.waiting()
        _ = ledger.totals
        ledger.release()


def _batch(path: Path) -> None:
    with Ledger(path.with_name("ledger.sqlite")) as ledger:
        read_batch(path, ledger)


def _export(path: Path) -> None:
    with redirect_stdout(StringIO()):
        export_dataset(path, path.with_name("out"), "llava")


def _model(path: Path) -> None:
    """The bundled model with another config.json."""
    from posetalk.model.files import load

    for file in Path(str(files("posetalk") / "bundled")).iterdir():
        if file.name != path.name:
            path.with_name(file.name).symlink_to(file)
    load(path.parent)


def _config() -> list[bytes]:
    from transformers.utils import logging

    import posetalk.model.files  # noqa: F401  (now: it takes longer than a case may)

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    return [(files("posetalk") / "bundled" / "config.json").read_bytes()]


def _given(found: Sequence[bytes]) -> Callable[[], Sequence[bytes]]:
    return lambda: found


_COCO = {
    "people.json": seeds.COCO[0],
    "captions.json": seeds.CAPTIONS[0],
    "instances.json": seeds.INSTANCES[0],
}
_OPEN = {
    "questions.jsonl": seeds.OPEN[0],
    "references.jsonl": seeds.REFERENCES[0],
    "context.jsonl": seeds.CONTEXT[0],
}


def _picture_log(path: Path) -> None:
    with ImageLog(path) as log:
        log.check_unchanged([])


READERS = {
    "coco": Reader("people.json", lambda p: read_coco(p, p.parent), _given(seeds.COCO)),
    "facts": Reader("people.json", _facts, _given(seeds.COCO)),
    "captions": Reader("captions.json", read_captions, _given(seeds.CAPTIONS)),
    "instances": Reader("instances.json", read_objects, _given(seeds.INSTANCES)),
    "pictures-people": Reader("people.json", _pictures, _given(seeds.COCO), _COCO),
    "pictures-captions": Reader("captions.json", _pictures, _given(seeds.CAPTIONS), _COCO),
    "pictures-instances": Reader("instances.json", _pictures, _given(seeds.INSTANCES), _COCO),
    "described": Reader("d.json", lambda p: read_described(p, p.parent), _given(seeds.DESCRIBED), {"a.jpg": b""}),
    "outlines": Reader("people.json", read_polygons, _given(seeds.COCO)),
    "mpii": Reader("m.json", lambda p: read_mpii(p, p.parent), _given(seeds.MPII)),
    "mpii-heads": Reader(
        "gt_valid.mat",
        lambda p: read_mpii(p.with_name("m.json"), p.parent, heads=p),
        seeds.heads,
        {"m.json": seeds.MPII[0]},
    ),
    "lsp": Reader("joints.mat", lambda p: read_lsp(p, p.parent), seeds.lsp),
    "detections": Reader("boxes.json", read_boxes, _given(seeds.DETECTIONS)),
    "detections-xyxy": Reader("boxes.json", lambda p: read_boxes(p, box_format="xyxy"), _given(seeds.DETECTIONS)),
    "predictions": Reader("predictions.jsonl", read_predictions, seeds.predictions),
    "inputs": Reader("inputs.json", known_contents, seeds.inputs),
    "pictures": Reader("pictures.jsonl", _picture_log, seeds.picture_log),
    "skeleton": Reader("s.toml", Skeleton.from_toml, _given(seeds.SKELETON)),
    "train-settings": Reader("run.toml", TrainSettings.load, _given(seeds.TRAIN)),
    "tune-settings": Reader("run.toml", TuneSettings.load, _given(seeds.TUNE)),
    "writer-settings": Reader("run.toml", ServerSettings.load, _given(seeds.WRITER)),
    "wording": Reader("words.toml", wording, _given(seeds.WORDING)),
    "prices": Reader("prices.toml", lambda p: price_of("m", p), _given(seeds.PRICES)),
    "samples": Reader("samples.jsonl", lambda p: _all(read_samples(p)), _given(seeds.SAMPLES)),
    "export": Reader("samples.jsonl", _export, _given(seeds.SAMPLES)),
    "published": Reader("p.json", lambda p: _all(read_published(p, [])), _given(seeds.PUBLISHED)),
    "batch": Reader(
        "batch.jsonl", _batch, _given(seeds.BATCH), {"ledger.sqlite": seeds.ledger()[0]}
    ),
    "ledger": Reader("ledger.sqlite", _ledger, seeds.ledger),
    "bench-closed": Reader(
        "closed.jsonl", lambda p: read_closed(p.parent), _given(seeds.CLOSED), {"blind.jsonl": seeds.BLIND[0]}
    ),
    "bench-blind": Reader(
        "blind.jsonl", lambda p: read_closed(p.parent), _given(seeds.BLIND), {"closed.jsonl": seeds.CLOSED[0]}
    ),
    "bench-open": Reader("questions.jsonl", lambda p: read_open(p.parent), _given(seeds.OPEN), _OPEN),
    "bench-references": Reader(
        "references.jsonl", lambda p: read_open(p.parent), _given(seeds.REFERENCES), _OPEN
    ),
    "bench-context": Reader("context.jsonl", lambda p: read_open(p.parent), _given(seeds.CONTEXT), _OPEN),
    "bench-answers": Reader("m.jsonl", read_answers, _given(seeds.ANSWERS)),
    "bench-reviews": Reader("m.jsonl", read_reviews, _given(seeds.REVIEWS)),
    **{
        form.lower(): Reader(f"p.{form.lower()}", read_image, lambda form=form: seeds.pictures(form))
        for form in ("PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP")
    },
    "model": Reader("config.json", _model, _config),
}  # fmt: skip

_PROSE = [
    *("The person on the left ", "she ", "they ", "both arms ", "left arm ", "right knee ", "is ", "are ", "not "),
    *("raised", "bent", "standing", "sitting", "facing the camera", ", ", ". ", "; ", "and ", "but ", "neither "),
    *("nor ", "without ", "as if ", "could be ", "no ", "n't ", "'s ", "“", "”", "(", ")", "\n", "\t", " - ", "—"),
    *("0.5", "123", "[0.412,0.633]", "keypoint", "Is ", "?", "!", "…", "A man ", "his hand on his hip ", "e.g. "),
]  # fmt: skip
_REPLY = [
    *('{"turns": [', '{"question": "', '"answer": "', '"}', "]}", "[", "]", "{", "}", '"', "'", "\\", '\\"', "\\u"),
    *("```json\n", "```", "<think>", "</think>", "Q: ", "A: ", "Question: ", "Answer: ", "User:", "Assistant:"),
    *("1. ", "2) ", "**", "###", "===\n", "\n", " ", ",", ":", "null", "1e5", "Sure! Here is:\n", "Is he up?"),
    *("human", "gpt", '{"from": "human", "value": "', "He stands.", "//", "#", "-", "\r\n", '\\"' * 50, "&quot;"),
]  # fmt: skip
_ANSWER = [
    *("yes", "no", "Yes, ", "No. ", "A", "B.", "(C)", "D)", "a ", "answer: ", "The answer is ", "not ", "either "),
    *("neither", "nor", "option ", "**", "\n", " ", "<think>", "</think>", "it is ", "standing", "sitting", "?", "I "),
    *("cannot ", "n't ", "none ", "both", "or ", '{"answer": "', '"}', "'", "\\boxed{", "}", "!", "…", "ja", "oui"),
]  # fmt: skip
_SCORES = [
    *('{"first": ', '"second": ', "8", "7.5", "10", "-1", "/10", ", ", " ", "\n", "}", "{", "[", "]", '"', "\\"),
    *("Score: ", "first answer: ", "Assistant 2: ", "and ", "|", "```json\n", "```", "'why': '", "nan", "1e9", ": "),
]  # fmt: skip
_POINTED = [
    *('[{"point_2d": [', '"label": "', "left heel", '"}]', "12", "-3.5", ", ", "]", "[", "(", ")", "{", "}", ": "),
    *('<point x="', '" y="', '" alt="', "</point>", '<points coords="1 1 ', "<loc_12>", "```json\n", "sorry", "1e999"),
    *("null", "\\"),
]  # fmt: skip
_WORDS = [
    "left",
    "right",
    " ",
    ":",
    ",",
    ".",
    "-",
    "10",
    "1e9",
    "nan",
    "inf",
    "0x10",
    "heel",
    "[0.1",
    "]",
    "0.633",
]


@cache
def _scene() -> Scene:
    from tests.fuzz.run import folder

    with folder({"people.json": seeds.COCO[0]}) as at:
        (_, found), *_ = iter_scenes(read_coco(at / "people.json", at), {})
    return found


def _reply(text: str) -> None:
    for kind in MODEL_KINDS:
        job = ChatRequest(f"1-{kind}", 1, "1.jpg", kind, (), schema(kind, 5, "How do they stand?"))
        _refused(lambda job=job: parse(job, text), Rejected)


def _refused(step: Callable[[], object], error: type[Exception]) -> None:
    try:
        step()
    except error:
        return


def _answers(text: str) -> None:
    answer_of(text)
    answer_of(text, ("standing", "sitting", "kneeling", "lying down"))


def _screen(text: str) -> None:
    half = len(text) // 2
    for turns in (((text, text),), (("Is the left arm raised?", text), (text[:half], text[half:]))):
        sample = Sample("1-conversation", 1, "1.jpg", "conversation", turns, "m")
        faults_of(sample, _scene(), "You see two people.", ("A man stands.", text[:200]))


def _english(text: str) -> None:
    for look in (
        english.words,
        english.sentences,
        english.part,
        english.asks,
        english.asked,
        english.foreign,
    ):
        look(text)
    english.yes_or_no(text)
    english.share("Is the left arm raised?", text)
    english.cut_off(text, True)
    caption_sentence(text)


def _pointed(text: str) -> None:
    for name in FORMS:
        read_places(text, load_form(name), ("left heel", "navel"), (640, 480))


PARSERS = {
    "reply": Parser(_reply, _REPLY),
    "answer": Parser(_answers, _ANSWER),
    "pointed": Parser(_pointed, _POINTED),
    "scores": Parser(lambda text: _refused(lambda: read_scores(text), Rejected), _SCORES),
    "claims": Parser(find_claims, _PROSE),
    "screen": Parser(_screen, _PROSE),
    "english": Parser(_english, _PROSE),
    "keypoint": Parser(Keypoint.parse, _WORDS),
    "box": Parser(numbers_of, _WORDS),
    "place": Parser(read_place, _WORDS),
    "shown": Parser(lambda text: shown(text).encode(), _WORDS),
}
EXPECTED: tuple[type[Exception], ...] = (PosetalkError,)
FULL = [*READERS, *PARSERS]
