"""Export the closed set for other evaluation harnesses: a task folder of lmms-eval or a table of VLMEvalKit.

lmms-eval: the keys of its docs/task_guide.md (commit 038b4a7); `--include_path FOLDER --tasks posetalk_bench`.
VLMEvalKit: the columns that its ImageBaseDataset and ImageMCQDataset read (commit 895762d); it takes the file in
$LMUData for a CustomMCQDataset. Questions whose image is missing are left out.
"""

from __future__ import annotations

import base64
import csv
import json
from collections.abc import Sequence
from pathlib import Path
from string import Template

from huggingface_hub import DatasetCardData

from posetalk.atomic_files import whole_file, write_text
from posetalk.errors import PosetalkError
from posetalk.formats.coco import image_path
from posetalk.formats.paths import find_image
from posetalk.hub.card import save_card
from posetalk.images.opening import image_bytes
from posetalk.resources import resource_text
from posetalk.write.questions.lines import write_lines
from posetalk.write.questions.questions import KINDS, LETTERS, Question

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


# Functions that lmms-eval calls with a row of questions.jsonl.


def doc_to_visual(doc):
    return [Image.open(Path(os.environ.get("POSETALK_IMAGES", $images), doc["image"])).convert("RGB")]


def doc_to_text(doc, lmms_eval_specific_kwargs=None):
    kwargs = lmms_eval_specific_kwargs or {}
    return kwargs.get("pre_prompt", "") + doc["text"] + kwargs.get("post_prompt", "")


def process_results(doc, results):
    """Accuracy over all questions and over those of the kind; an unreadable answer is wrong."""
    answer = answer_of(results[0], doc["choices"].split("\\n") if doc["choices"] else ())
    right = float(answer == doc["answer"])
    return {"accuracy": right, "accuracy_" + doc["category"]: right, "unreadable": float(answer is None)}
''')


def export_lmms(questions: Sequence[Question], images: Path, folder: Path) -> int:
    """Write a task of lmms-eval: posetalk_bench.yaml, utils.py, questions.jsonl and a data card.

    The files hold absolute paths, because lmms-eval may run anywhere. The environment variable POSETALK_IMAGES names
    another folder of images.

    Args:
        questions: Questions with one right answer.
        images: Folder of the images.
        folder: Folder to write.

    Returns:
        Number of questions that were left out, because their image is missing or cannot be read.

    Raises:
        PosetalkError: No image exists, or the folder cannot be written.
    """
    images, folder = images.resolve(), folder.resolve()
    exported = _with_images(questions, images)
    data = folder / "questions.jsonl"
    write_lines(
        (
            {
                "question_id": question.id,
                "image": image_path(images, question.image).relative_to(images).as_posix(),
                "text": question.prompt,
                # one string, because a column of empty and other lists has no single type
                "choices": "\n".join(question.choices),
                "answer": question.answer,
                "category": question.kind,
            }
            for question in exported
        ),
        data,
    )
    names = ["accuracy", *(f"accuracy_{kind}" for kind in KINDS if any(q.kind == kind for q in exported))]
    metrics = [_metric(name, "true") for name in names] + [_metric("unreadable", "false")]
    yaml = _YAML.substitute(task=TASK, data=json.dumps(str(data)), metrics="\n".join(metrics))
    parser = resource_text("bench/answers/parse.py")
    first_import = "from __future__ import annotations\n\n"
    parser = parser.replace(
        first_import, f"{first_import}import os\nfrom pathlib import Path\n\nfrom PIL import Image\n\n", 1
    )
    utils = parser + _UTILS.substitute(images=repr(str(images)))
    for name, text in ((f"{TASK}.yaml", yaml), ("utils.py", utils)):
        write_text(folder / name, text)
    _save_card(exported, data)
    return len(questions) - len(exported)


def export_vlmeval(questions: Sequence[Question], images: Path, out: Path) -> int:
    """Write a table of VLMEvalKit.

    Yes and no become the choices A and B. The table holds each image once; other questions about it name that row.

    Args:
        questions: Questions with one right answer.
        images: Folder of the images.
        out: The .tsv file to write.

    Returns:
        Number of questions that were left out, because their image is missing or cannot be read.

    Raises:
        PosetalkError: No image exists, or the file cannot be written.
    """
    exported = _with_images(questions, images)
    image_rows: dict[str, int] = {}
    with whole_file(out) as part, part.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, COLUMNS, delimiter="\t", restval="", lineterminator="\n")
        table.writeheader()
        for index, question in enumerate(exported):
            row = {
                "index": index,
                "question_id": question.id,
                "image": image_rows.get(question.image),
                "question": question.text,
                "answer": {"yes": "A", "no": "B"}.get(question.answer, question.answer),
                "category": question.kind,
                "split": "test",
            }
            if question.image not in image_rows:
                image_rows[question.image] = index
                row["image"] = base64.b64encode(image_bytes(image_path(images, question.image))[0]).decode()
            choices = question.choices or ("Yes", "No")
            table.writerow(row | dict(zip(LETTERS, choices, strict=False)))
    return len(questions) - len(exported)


def _save_card(questions: Sequence[Question], data: Path) -> None:
    """Write README.md beside the questions."""
    kinds = [(kind, sum(question.kind == kind for question in questions)) for kind in KINDS]
    count = f"{len(questions):,} question{'' if len(questions) == 1 else 's'}"
    title = f"{count} about bodies with one right answer"
    lines = [
        f"# {title}",
        "",
        "What a vision-language model understands of the bodies in an image, asked so that no judge is needed: the",
        "answers follow from keypoints that people labelled. Written by posetalk.",
        "",
        "| about | questions |",
        "|---|---:|",
        *(f"| {kind} | {number:,} |" for kind, number in kinds if number),
        "",
        f"`{data.name}`: `question_id`, `image` (the name of the photo), `text` (as it is asked), `choices` (a line",
        "each, none where the answer is yes or no), `answer`, `category`. The photos are not in it, and have their own",
        "licences. The answers are derived from the labels of the images, whose licence holds.",
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


def _with_images(questions: Sequence[Question], images: Path) -> list[Question]:
    """The questions whose image exists and can be read."""
    readable = {name for name in {question.image for question in questions} if _is_readable(images, name)}
    if not readable:
        raise PosetalkError(f"{images} has no image of these questions; give the folder of the images")
    return [question for question in questions if question.image in readable]


def _is_readable(images: Path, name: str) -> bool:
    path = find_image(images, name)
    try:
        return path is not None and bool(image_bytes(path))
    except PosetalkError:
        return False


def _metric(name: str, higher: str) -> str:
    return f"  - metric: {name}\n    aggregation: mean\n    higher_is_better: {higher}"
