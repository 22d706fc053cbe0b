"""How often a model finds points that are described in words, beside the average place and arithmetic on its joints.

    python runs/described_points.py bundled runs/out/mine --points described_points.json --images val2017 \
        --own score_described.py --wholebody test_coco_wholebody.json --wholebody-images coco_sample --out OUT

Each model is asked for every labelled point in several wordings: the labels' own (`--own`), those of `--wordings`, and
the bare name. A point is found if it is within 0.1 of the longer side of the person's box. OUT gets described.md and
described.json.

- average place: where the point lies in the boxes of the other people of the set, on average
- joints, proportions: arithmetic on the model's own answers to COCO's 17 joints, as described_points.toml says: the
  nearest joint, or the proportions of an adult
- AUROC: how well the score tells found points from others
- wrong sides: of the points of feet and hands whose other side is labelled too, those that are nearer to the other side
"""

from __future__ import annotations

import argparse
import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from described_labels import (
    HERE,
    DescribedPerson,
    arithmetic,
    keypoint,
    part_of,
    read_described,
    read_wholebody,
    read_wordings,
)
from described_scores import ModelAnswers, PointAnswer, answer, section

from posetalk import Localizer
from posetalk.errors import PosetalkError
from posetalk.score.tables import rounded

SETTINGS = HERE / "described_points.toml"


def average_places(people: Sequence[DescribedPerson]) -> list[PointAnswer]:
    """Each point at its mean relative place in the boxes of the other people of the set; without others none."""
    answers = []
    for number_of, one in enumerate(people):
        for name in one.points:
            others = [
                ((p.points[name][0] - p.box.x) / p.box.w, (p.points[name][1] - p.box.y) / p.box.h)
                for k, p in enumerate(people)
                if k != number_of and name in p.points
            ]
            if others:
                x, y = np.mean(others, axis=0)
                xy = (one.box.x + x * one.box.w, one.box.y + y * one.box.h)
                answers.append(answer(people, number_of, name, xy))
    return answers


def ask(
    model: Localizer,
    people: Sequence[DescribedPerson],
    wordings: Mapping[str, Mapping[str, str]],
    kinds: Mapping[str, Mapping[str, Mapping[str, float]]],
) -> ModelAnswers:
    """The model's answers in each wording, without the points that a wording does not have, and each kind of arithmetic
    on its joints."""
    answers = ModelAnswers({kind: [] for kind in kinds}, {way: [] for way in wordings})
    for i, one in enumerate(people):
        model.set_image(one.image)
        found = model.locate([one.box], "coco17")
        joints = {name: (x, y) for name, (x, y) in zip(found.names, found.xy[0].tolist(), strict=True)}
        for kind, weights in kinds.items():
            for name in one.points:
                if part_of(name) not in weights:
                    raise PosetalkError(
                        f"there is no arithmetic for {part_of(name)!r}; give it in {SETTINGS}"
                    )
                xy = arithmetic(weights[part_of(name)], name, joints)
                answers.arithmetic[kind].append(answer(people, i, name, xy))
        for way, texts in wordings.items():
            names = [name for name in one.points if part_of(name) in texts]
            if names:
                found = model.locate([one.box], [keypoint(texts[part_of(name)], name) for name in names])
                rows = zip(names, found.xy[0].tolist(), found.score[0].tolist(), strict=True)
                answers.wordings[way] += [
                    answer(people, i, name, (x, y), score) for name, (x, y), score in rows
                ]
    return answers


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="+", help="bundled, or folders of models")
    for name in ("points", "images", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    for name in ("own", "wholebody", "wholebody-images"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--wordings", type=Path, default=HERE / "described_wordings.toml")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    settings = tomllib.loads(SETTINGS.read_text(encoding="utf-8"))
    wordings = read_wordings(given.wordings, given.own)
    sets = {"Described points": read_described(given.points, given.images)}
    if given.wholebody:
        folder = given.wholebody_images or given.images
        sets["COCO-WholeBody"] = read_wholebody(given.wholebody, folder, settings["wholebody"])
    labels = {model: Path(model).name for model in given.models}
    if len(set(labels.values())) < len(given.models):
        raise PosetalkError("two models have the same name; give folders of different names")
    answers: dict[str, dict[str, ModelAnswers]] = {title: {} for title in sets}
    for model, label in labels.items():
        localizer = Localizer.from_pretrained(model, threads=given.threads)
        for title, people in sets.items():
            answers[title][label] = ask(localizer, people, wordings, settings["arithmetic"])
    lines, data = ["# Points described in words"], {}
    for title, people in sets.items():
        more, data[title] = section(title, people, average_places(people), answers[title])
        lines += ["", *more]
    text = "\n".join(lines) + "\n"
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "described.md").write_text(text, encoding="utf-8")
    (given.out / "described.json").write_text(json.dumps(rounded(data), indent=1) + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
