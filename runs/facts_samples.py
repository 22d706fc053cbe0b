"""What the writer without a model writes of a whole file: faults, repetitions, yes against no; and some to be read.

    python runs/facts_samples.py --annotations person_keypoints_val2017.json --captions captions_val2017.json
    python runs/facts_samples.py --annotations person_keypoints_val2017.json --captions captions_val2017.json \
        --objects instances_val2017.json --seeds 11 --read 10 --out drawn

Every kind of every picture with every seed. Screened: `faults_of`, sample by sample (leaks, claims that the facts deny,
and the rest). Distinct: of the whole answer text of a sample, and of the clauses of conversations, descriptions and
reasoning: what is between stops, commas and "and", "while" or "with" after a comma, with names as pronouns and left and
right alike. --read: so many of each kind, drawn by the first seed, into out/examples.json, and the skeletons of their
pictures as out/examples.png. What was judged by eye is in facts_samples.jsonl.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import time
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from posetalk.draw.pose import draw_pose
from posetalk.formats.annotated import AnnotatedImages
from posetalk.skeleton import load_skeleton
from posetalk.types import PoseImage, Poses
from posetalk.write.from_facts.run import facts_samples
from posetalk.write.samples.sample import KINDS, Sample
from posetalk.write.settings import WriteSettings

CELL = (200, 150)  # px, of a picture of the sheet
ACROSS = 6
_NAME = (
    r"the (?:\w+ ){0,3}?(?:person|man|woman|boy|girl|toddler|child|player|pitcher|catcher|surfer|skier|rider|baby"
    r"|batter|lady)(?: in the foreground)?(?: on the (?:far )?(?:left|right)| in the (?:middle|foreground|picture)"
    r"| of the foreground| from the left| closest to the camera| in front| behind)?"
)
_ALIKE = (
    (rf"he|she|they|{_NAME}", "x"),
    ("his|her|their", "x's"),
    ("is|are", "is"),
    ("has|have", "has"),
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--annotations", type=Path, required=True)
    parser.add_argument("--captions", type=Path, required=True)
    parser.add_argument("--objects", type=Path)
    parser.add_argument("--seeds", default="0,1")
    parser.add_argument("--read", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("drawn"))
    given = parser.parse_args()
    seeds = [int(seed) for seed in given.seeds.split(",")]
    annotated = AnnotatedImages(given.annotations, given.captions, given.objects)
    made: list[tuple[PoseImage, Sample]] = []
    faults: Counter[str] = Counter()
    start = time.perf_counter()
    for seed in seeds:
        settings = WriteSettings(
            writer="facts",
            annotations=str(given.annotations),
            captions=str(given.captions),
            kinds=KINDS,
            seed=seed,
        )
        for screened in facts_samples(annotated, settings):
            record = annotated.get(screened.sample.image_id)
            assert record is not None
            made.append((record.image, screened.sample))
            faults.update(fault.reason for fault in screened.faults)
    seconds = time.perf_counter() - start
    wholes = [" ".join(answer for _, answer in sample.turns) for _, sample in made]
    turns = [answer for _, sample in made for _, answer in sample.turns]
    talk = [a for _, sample in made if sample.kind == "conversation" for _, a in sample.turns]
    print(f"{len(made)} samples: {dict(Counter(sample.kind for _, sample in made))}, {seconds:.1f} s")
    print(f"faults: {dict(faults) or 'none'}")
    print(
        f"distinct whole answers {len(set(wholes))} of {len(wholes)} = {len(set(wholes)) / len(wholes):.3f}"
    )
    print(f"distinct answers of turns {len(set(turns))} of {len(turns)} = {len(set(turns)) / len(turns):.3f}")
    print(
        f"yes {sum(a.startswith('Yes,') for a in talk)}, no {sum(a.startswith('No,') for a in talk)} in conversations"
    )
    clauses = Counter(
        clause
        for _, sample in made
        if sample.kind != "short"
        for _, a in sample.turns
        for clause in _clauses(a)
    )
    often = sum(count for _, count in clauses.most_common(25)) / clauses.total()
    print(f"distinct clauses {len(clauses)} of {clauses.total()}; the 25 most frequent are {often:.0%}")
    if given.read:
        _to_read(made, given.read, seeds[0], annotated.keypoint_names, given.out)


def _clauses(answer: str) -> list[str]:
    text = answer.lower()
    for words, one in _ALIKE:
        text = re.sub(rf"\b(?:{words})\b", one, text)
    text = re.sub(r"\b(?:left|right)\b", "side", text)
    return [
        clause for part in re.split(r"[.;:!?]\s*|, (?:and |while |with )?", text) if (clause := part.strip())
    ]


def _to_read(
    made: list[tuple[PoseImage, Sample]], many: int, seed: int, names: tuple[str, ...], out: Path
) -> None:
    draw = random.Random(seed)
    chosen = [pair for kind in KINDS for pair in draw.sample([p for p in made if p[1].kind == kind], many)]
    out.mkdir(parents=True, exist_ok=True)
    rows = [{"id": sample.id, "turns": sample.turns} for _, sample in chosen]
    (out / "examples.json").write_text(json.dumps(rows, indent=1) + "\n")
    pictures = list({image.id: image for image, _ in chosen}.values())
    down = -(-len(pictures) // ACROSS)
    sheet = Image.new("RGB", (ACROSS * CELL[0], down * (CELL[1] + 14)), "white")
    for place, image in enumerate(pictures):
        at = (place % ACROSS * CELL[0], place // ACROSS * (CELL[1] + 14))
        sheet.paste(_skeletons(image, names), (at[0], at[1] + 14))
        ImageDraw.Draw(sheet).text(
            (at[0] + 2, at[1]), str(image.id), fill="black", font=ImageFont.load_default(11)
        )
    sheet.quantize(64).save(out / "examples.png", optimize=True)


def _skeletons(image: PoseImage, names: tuple[str, ...]) -> Image.Image:
    """The people of a picture on white; the photos have licences of their own."""
    shown = [p for p in image.people if p.labelled.any()]
    xy = np.array([np.where(p.visible[:, None] > 0, p.keypoints, np.nan) for p in shown])
    seen = np.array([p.visible == 2 for p in shown])
    assert image.width and image.height
    factor = min(CELL[0] / image.width, CELL[1] / image.height)
    points = Poses(xy * factor, np.ones(xy.shape[:2]), names, tuple(p.box for p in shown), visible=seen)
    canvas = np.full((int(image.height * factor), int(image.width * factor), 3), 255, np.uint8)
    return Image.fromarray(
        draw_pose(canvas, points, load_skeleton("coco17").limbs, labels="none", enlarge=False)
    )


if __name__ == "__main__":
    main()
