"""The report of an evaluation: report.json for programs, report.md for people, cases.png to look at."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from posetalk.errors import MissingPackage, PosetalkError
from posetalk.score.calibration import Bin, draw_reliability
from posetalk.score.causes import Causes
from posetalk.score.metrics import KeypointRow, Protocol
from posetalk.score.qualitative import MIN_LARGE, QualitativeCase, draw_cause, draw_qualitative_cases
from posetalk.score.tables import number, rounded, span, table

METRICS_TEXT = {
    "oks": "AP and AR over object keypoint similarity (OKS) .50:.95 as COCO has them; mean_oks over people, "
    "mean_oks_large over those with at least 8 keypoints labelled and a box side of 64 px or more.",
    "pckh": "PCKh: the share of keypoints within 0.5 (0.1) of the head size. The mean leaves out pelvis and "
    "thorax as the HRNet evaluation does; `_12` leaves out upper neck and head top too, as LocLLM does.",
    "pck": "PCK@0.2: the share of keypoints within 0.2 of the torso (left shoulder to right hip, or the "
    "other diagonal); `_12` leaves out neck and head top, which COCO does not have.",
}


@dataclass(frozen=True, slots=True, eq=False)
class EvaluationReport:
    """The numbers of one evaluation: shares and means in 0..1, None where there is nobody to measure.

    Args:
        data: name of the data set.
        protocol: `oks`, `pckh` or `pck`.
        images, images_with_people, people, people_large: how many were scored.
        missing: scored people without prediction, who count as 0; None on a detector's boxes.
        box_source: `ground truth` for labelled boxes, or the name of a detector's.
        numbers: the metrics by name; `baseline` has the same names for every keypoint at its average position in the
            box.
        compared: the same of others' predictions for the same people, by name.
        intervals: 95 % percentile bootstrap over people, of a number (not AP and AR, which would need a COCO
            evaluation for each draw) and, as NAME_over_baseline (or another's name), of its lead on the same draws.
        reliability, calibration_error: what scores mean, see `calibration.reliability`.
        visible: the share of keypoints whose visibility is predicted rightly, and the share that is visible; None where
            the model or the labels do not tell.
        per_keypoint: one row a keypoint.
        causes: why keypoints are wrong; None on a detector's boxes.
        notes, skipped: what a reader must know, and the records of the labels that were left out.
        qualitative_cases: people with a prediction, the best first.
        cause_cases: by cause the people with a prediction who lost most by it, the worst first.
        limbs: pairs of keypoint indices to draw.
    """

    data: str
    protocol: Protocol
    images: int
    images_with_people: int
    people: int
    people_large: int
    missing: int | None
    box_source: str
    numbers: dict[str, float | None]
    baseline: dict[str, float | None]
    compared: dict[str, dict[str, float | None]] = field(default_factory=dict)
    intervals: dict[str, tuple[float, float]] | None = None
    reliability: tuple[Bin, ...] = ()
    calibration_error: float | None = None
    visible: tuple[float, float] | None = None
    per_keypoint: tuple[KeypointRow, ...] = ()
    causes: Causes | None = None
    notes: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    qualitative_cases: tuple[QualitativeCase, ...] = ()
    cause_cases: Mapping[str, tuple[QualitativeCase, ...]] = field(default_factory=dict)
    limbs: tuple[tuple[int, int], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """What report.json holds: the numbers at top level."""
        return {
            "data": self.data,
            "images": self.images,
            "images_with_people": self.images_with_people,
            "people": self.people,
            "people_large": self.people_large,
            "missing": self.missing,
            "skipped": len(self.skipped),
            "box_source": self.box_source,
            **rounded(self.numbers),
            "baseline": rounded(self.baseline),
            "beside": {name: rounded(numbers) for name, numbers in self.compared.items()},
            "calibration_error": self.calibration_error and round(self.calibration_error, 6),
            "reliability": [rounded(asdict(b)) for b in self.reliability],
            "visible": self.visible
            and {"right": round(self.visible[0], 6), "seen": round(self.visible[1], 6)},
            "intervals": rounded(self.intervals or {}),
            "per_keypoint": [rounded(asdict(row)) for row in self.per_keypoint],
            "causes": self.causes and rounded(asdict(self.causes)),
            "notes": list(self.notes),
        }

    def to_markdown(self) -> str:
        """The report as tables in Markdown."""
        boxes = self.box_source
        lines = [
            f"# {self.data}: {self.people} people of {self.images_with_people} images, boxes: {boxes}",
            "",
        ]
        lines += [f"- {note}" for note in self.notes]
        if self.missing:
            lines.append(f"- {self.missing} people have no prediction and count as 0")
        if self.skipped:
            lines.append(f"- {len(self.skipped)} records of the labels were left out: {self.skipped[0]} ...")
        header = ["number", "model", "95 %", "average place", "lead, 95 %"]
        header += [cell for name in self.compared for cell in (name, "lead, 95 %")]
        lines += ["", *table([*header, "boxes"], self._rows())]
        lines += ["", METRICS_TEXT[self.protocol]]
        lines.append(
            "95 %: percentile bootstrap over people, 1,000 draws; lead: model minus average place on the "
            "same draws. AP and AR have no interval."
        )
        if self.calibration_error is not None:
            lines.append(
                f"Scores are off by {self.calibration_error:.3f} on average (expected calibration error over "
                f"{sum(b.n for b in self.reliability)} labelled keypoints; a score is the similarity to be expected)."
            )
        if self.visible:
            right, seen = self.visible
            lines.append(
                f"Seen or not is told rightly for {right:.3f} of all keypoints; {seen:.3f} can be seen."
            )
        for title, rows in self._keypoint_tables():
            header = ["keypoint", "similarity", "near", "average: similarity", "near", "labels", "boxes"]
            lines += ["", f"## {title}", "", *table(header, rows)]
        if self.per_keypoint:
            lines += ["", "similarity: mean of exp(-d²/2s²k²), the terms of OKS; "]
            lines[-1] += "near: within 0.1 of the longer side of the box."
        if self.causes:
            lines += ["", *self.causes.to_markdown(boxes)]
        return "\n".join(lines) + "\n"

    def save(self, folder: str | Path) -> list[str]:
        """Write report.json, report.md and, where people were matched to labels, reliability.png, cases.png and
        cause_CAUSE.png for each cause that anybody with a prediction lost by.

        Returns:
            A sentence for each image that could not be drawn, and for the diagram where matplotlib is missing.

        Raises:
            PosetalkError: the folder cannot be written.
        """
        folder = Path(folder)
        text = self.to_markdown()
        notes: list[str] = []
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "report.json").write_text(json.dumps(self.to_dict(), indent=1) + "\n", encoding="utf-8")
            (folder / "report.md").write_text(text, encoding="utf-8")
            if self.calibration_error is not None:
                try:
                    draw_reliability(self.reliability, self.calibration_error, folder / "reliability.png")
                except MissingPackage as error:
                    notes.append(f"reliability.png is not drawn: {error}")
            pages: dict[str, tuple[str, Image.Image]] = {}
            group = "large people" if self.people_large >= MIN_LARGE else "people"
            if self.qualitative_cases:
                page, not_drawn = draw_qualitative_cases(self.qualitative_cases, self.limbs)
                heading = f"The best and the worst by OKS, of {len(self.qualitative_cases)} {group}"
                pages["cases"] = heading, page
                notes += not_drawn
            for cause, cases in self.cause_cases.items():
                page, not_drawn = draw_cause(cause, cases, self.limbs)
                pages[f"cause_{cause}"] = f"Who lost most by {cause}, of the {group}", page
                notes += not_drawn
            for name, (heading, page) in pages.items():
                page.save(folder / f"{name}.png")
                text += f"\n## {heading}\n\n![{heading}]({name}.png)\n"
            (folder / "report.md").write_text(text, encoding="utf-8")
        except OSError as error:
            raise PosetalkError(f"cannot write the report into {folder}: {error.strerror or error}") from None
        return list(dict.fromkeys(notes))

    def _rows(self) -> list[list[str]]:
        intervals = self.intervals or {}
        return [
            [
                name,
                number(value),
                span(intervals.get(name)),
                number(self.baseline.get(name)),
                span(intervals.get(f"{name}_over_baseline")),
                *(
                    cell
                    for other, numbers in self.compared.items()
                    for cell in (number(numbers.get(name)), span(intervals.get(f"{name}_over_{other}")))
                ),
                self.box_source,
            ]
            for name, value in self.numbers.items()
        ]

    def _keypoint_tables(self) -> list[tuple[str, list[list[str]]]]:
        tables = []
        titles = {True: "Keypoints", False: "Keypoints never trained"}
        for seen, title in titles.items():
            rows = [
                [
                    r.name,
                    *map(number, (r.similarity, r.near, r.baseline_similarity, r.baseline_near)),
                    str(r.n),
                    self.box_source,
                ]
                for r in self.per_keypoint
                if r.seen == seen
            ]
            if rows:
                tables.append((title, rows))
        return tables
