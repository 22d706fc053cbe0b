"""The judge-free set for other people's harnesses: a task folder of lmms-eval, a table of VLMEvalKit.

lmms-eval: the keys of its docs/task_guide.md (commit 038b4a7); `--include_path FOLDER --tasks posetalk_bench`.
VLMEvalKit: the columns that its ImageBaseDataset and ImageMCQDataset read (commit 895762d); the file in $LMUData is
taken as a CustomMCQDataset. Both need the photos: questions without one are left out.
"""

from __future__ import annotations

import base64
import csv
import json
from collections.abc import Sequence
from pathlib import Path
from string import Template

from huggingface_hub import DatasetCardData

from posetalk.bench.questions.lines import write_lines
from posetalk.bench.questions.questions import KINDS, LETTERS, Question
from posetalk.errors import PosetalkError
from posetalk.formats.coco import image_path
from posetalk.formats.paths import find_image
from posetalk.hub.card import save_card
from posetalk.images.opening import image_bytes
from posetalk.resources import resource_text
from posetalk.whole import whole_file, write_text

TASK = "posetalk_bench"
COLUMNS = ("index", "question_id", "image", "question", *LETTERS, "answer", "category", "split")
_YAML = Template("""\
task: $task
dataset_path: json
dataset_kwargs:
  data_files:
    test: $data
test_split: test
output_type: generate_until
doc_to_visual: !function utils.doc_to_visual
doc_to_text: !function utils.doc_to_text
doc_to_target: answer
generation_kwargs:
  max_new_tokens: 32
  temperature: 0
  do_sample: false
process_results: !function utils.process_results
metric_list:
$metrics
lmms_eval_specific_kwargs:
  default:
    pre_prompt: ""
    post_prompt: ""
metadata:
  version: 1.0
""")
_UTILS = Template('''\


# What lmms-eval calls, with a row of questions.jsonl.


def doc_to_visual(doc):
    return [Image.open(Path(os.environ.get("POSETALK_IMAGES", $images), doc["image"])).convert("RGB")]


def doc_to_text(doc, lmms_eval_specific_kwargs=None):
    around = lmms_eval_specific_kwargs or {}
    return around.get("pre_prompt", "") + doc["text"] + around.get("post_prompt", "")


def process_results(doc, results):
    """Right or not, over all questions and over those of the kind; an answer that cannot be read is wrong."""
    said = answer_of(results[0], doc["choices"].split("\\n") if doc["choices"] else ())
    right = float(said == doc["answer"])
    return {"accuracy": right, "accuracy_" + doc["category"]: right, "unreadable": float(said is None)}
''')


def export_lmms(questions: Sequence[Question], images: Path, folder: Path) -> int:
    """Write posetalk_bench.yaml, utils.py, questions.jsonl and its card; gives back how many questions were left out.

    Paths in them are absolute, as lmms-eval reads them from anywhere; the variable POSETALK_IMAGES names another folder
    of photos. Errors: no photo, a folder that cannot be written.
    """
    images, folder = images.resolve(), folder.resolve()
    some = _with_photos(questions, images)
    data = folder / "questions.jsonl"
    write_lines(
        (
            {
                "question_id": question.id,
                "image": image_path(images, question.image).relative_to(images).as_posix(),
                "text": question.prompt,
                # one string: a column of empty and of other lists has no type of its own
                "choices": "\n".join(question.choices),
                "answer": question.answer,
                "category": question.kind,
            }
            for question in some
        ),
        data,
    )
    names = ["accuracy", *(f"accuracy_{kind}" for kind in KINDS if any(q.kind == kind for q in some))]
    metrics = [_metric(name, "true") for name in names] + [_metric("unreadable", "false")]
    yaml = _YAML.substitute(task=TASK, data=json.dumps(str(data)), metrics="\n".join(metrics))
    parser = resource_text("bench/answers/parse.py")
    head = "from __future__ import annotations\n\n"
    parser = parser.replace(
        head, f"{head}import os\nfrom pathlib import Path\n\nfrom PIL import Image\n\n", 1
    )
    utils = parser + _UTILS.substitute(images=repr(str(images)))
    for name, text in ((f"{TASK}.yaml", yaml), ("utils.py", utils)):
        write_text(folder / name, text)
    _card(some, data)
    return len(questions) - len(some)


def export_vlmeval(questions: Sequence[Question], images: Path, out: Path) -> int:
    """Write the table (.tsv); gives back how many questions were left out.

    Yes and no are the choices A and B. A photo is there once, and the other questions about it name its row.
    Errors: no photo, one that cannot be read, a file that cannot be written.
    """
    some = _with_photos(questions, images)
    first: dict[str, int] = {}
    with whole_file(out) as part, part.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, COLUMNS, delimiter="\t", restval="", lineterminator="\n")
        table.writeheader()
        for index, question in enumerate(some):
            row = {
                "index": index,
                "question_id": question.id,
                "image": first.get(question.image),
                "question": question.text,
                "answer": {"yes": "A", "no": "B"}.get(question.answer, question.answer),
                "category": question.kind,
                "split": "test",
            }
            if question.image not in first:
                first[question.image] = index
                row["image"] = base64.b64encode(image_bytes(image_path(images, question.image))[0]).decode()
            choices = question.choices or ("Yes", "No")
            table.writerow(row | dict(zip(LETTERS, choices, strict=False)))
    return len(questions) - len(some)


def _card(questions: Sequence[Question], data: Path) -> None:
    """README.md beside the questions."""
    kinds = [(kind, sum(question.kind == kind for question in questions)) for kind in KINDS]
    count = f"{len(questions):,} question{'' if len(questions) == 1 else 's'}"
    title = f"{count} about bodies with one right answer"
    lines = [
        f"# {title}",
        "",
        "What a vision-language model understands of the bodies in a picture, asked so that no judge is needed: the",
        "answers follow from keypoints that people labelled. Written by posetalk.",
        "",
        "| about | questions |",
        "|---|---:|",
        *(f"| {kind} | {number:,} |" for kind, number in kinds if number),
        "",
        f"`{data.name}`: `question_id`, `image` (the name of the photo), `text` (as it is asked), `choices` (a line",
        "each, none where the answer is yes or no), `answer`, `category`. The photos are not in it, and have their own",
        "licences. The answers are derived from the labels of the pictures, whose licence holds.",
        "",
        "For lmms-eval, get the photos and run `posetalk bench export` of the benchmark again.",
    ]
    size = "n<1K" if len(questions) < 1000 else "1K<n<10K" if len(questions) < 10_000 else "10K<n<100K"
    card = DatasetCardData(
        language=["en"],
        license="other",
        license_name="see-the-card",
        annotations_creators=["machine-generated"],
        language_creators=["machine-generated"],
        multilinguality=["monolingual"],
        size_categories=[size],
        source_datasets=["extended"],
        task_categories=["visual-question-answering"],
        pretty_name=title,
        tags=["posetalk", "human-pose", "benchmark"],
        configs=[{"config_name": "default", "data_files": [{"split": "test", "path": data.name}]}],
    )
    try:
        save_card(data.parent, card, lines)
    except OSError as error:
        raise PosetalkError(f"cannot write {data.parent}: {error.strerror}; choose another place") from None


def _with_photos(questions: Sequence[Question], images: Path) -> list[Question]:
    """Those whose photo is in the folder and can be read."""
    there = {name for name in {question.image for question in questions} if _readable(images, name)}
    if not there:
        raise PosetalkError(f"{images} has no photo of these questions; give the folder of the photos")
    return [question for question in questions if question.image in there]


def _readable(images: Path, name: str) -> bool:
    path = find_image(images, name)
    try:
        return path is not None and bool(image_bytes(path))
    except PosetalkError:
        return False


def _metric(name: str, higher: str) -> str:
    return f"  - metric: {name}\n    aggregation: mean\n    higher_is_better: {higher}"
