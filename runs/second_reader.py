"""How well a model reads sentences again (`posetalk write --verify`): 100 sentences about 20 photos, half are false.

    python runs/second_reader.py person_keypoints_val2017.json captions_val2017.json instances_val2017.json \
        --images val2017 --model smollm2 --base-url http://127.0.0.1:8000/v1 --out read

The sentences, second_reader.jsonl, were written for the purpose; whether each is true was judged by eye on its photo.
With --show-images the model gets the photos too. Answers are kept in --out: the same command asks nothing again.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

from posetalk.bench.report.stats import wilson
from posetalk.formats.annotated import AnnotatedImages
from posetalk.llm.client import ServerSettings
from posetalk.llm.ledger import Ledger
from posetalk.llm.request import ChatRequest, ImagePart
from posetalk.llm.request_state import results
from posetalk.llm.runner import generate
from posetalk.write.from_model.context import grounded
from posetalk.write.from_model.second_reader import accept_verdict, verdict_of, verify_request
from posetalk.write.labels import scene_of

SENTENCES = Path(__file__).with_suffix(".jsonl")
QUESTION = "What are the people here doing, and how do they hold their bodies?"
SIDE = 1024  # of a photo that is sent, px


def requests(labels: AnnotatedImages, rows: list[dict[str, object]], show_images: bool) -> list[ChatRequest]:
    """A request for each sentence."""
    found = []
    for number, row in enumerate(rows):
        record = labels.get(int(str(row["image_id"])))
        if record is None:
            raise SystemExit(f"the labels have no image {row['image_id']}")
        image = record.image
        part = ImagePart.of(image.path, SIDE) if show_images else None
        job = ChatRequest(str(image.id), image.id, image.name, "detail", (), {}, image_part=part)
        context = grounded(image, scene_of(labels, record), record.captions, joints=False)
        found.append(verify_request(f"{image.id}-{number}", job, context, QUESTION, str(row["sentence"])))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("labels", nargs=3, type=Path)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--base-url")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--show-images", action="store_true")
    parser.add_argument("--first", type=int, help="so many sentences only")
    words = parser.parse_args()
    words.out.mkdir(parents=True, exist_ok=True)
    labels = AnnotatedImages(*words.labels, images=words.images)
    rows = [json.loads(line) for line in SENTENCES.read_text().splitlines()][: words.first]
    settings = ServerSettings(model=words.model, base_url=words.base_url, temperature=0, concurrency=1)
    asked = requests(labels, rows, words.show_images)
    counts: Counter[tuple[bool, str]] = Counter()
    with Ledger(words.out / "ledger.sqlite") as ledger:
        print(generate(asked, ledger, settings, accept_verdict, None, len(asked)))
        outcomes = results(asked, ledger, settings, accept_verdict)
        for row, (_, outcome) in zip(rows, outcomes, strict=True):
            counts[bool(row["true"]), verdict_of(outcome)[0]] += 1
    for true in (True, False):
        of = {said: n for (is_true, said), n in counts.items() if is_true is true}
        print(f"{'true' if true else 'false'}: {sum(of.values())}; {of}")
    for name, right in (
        ("true sentences kept", (True, "supported")),
        ("false ones struck", (False, "supported")),
    ):
        n = sum(count for (is_true, _), count in counts.items() if is_true is right[0])
        k = counts[right] if right[0] else n - counts[right]
        low, high = wilson(k, n) or (0.0, 1.0)
        print(f"{name}: {k} of {n}, {k / max(n, 1):.2f} ({low:.2f} to {high:.2f}, 95 % by Wilson)")


if __name__ == "__main__":
    main()
