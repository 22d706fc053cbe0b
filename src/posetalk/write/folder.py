"""The folder of a data set: the samples that passed the screening, the rejected ones, and a report of both."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from posetalk.atomic_files import whole_file
from posetalk.formats.annotated import AnnotatedImages
from posetalk.formats.coco import is_predicted
from posetalk.llm.fault import Fault, Reason
from posetalk.llm.request_state import RunReport
from posetalk.write.report.page import write_page
from posetalk.write.samples.card import Provenance
from posetalk.write.samples.sample import Kind, Sample
from posetalk.write.screening.duplicates import Duplicates
from posetalk.write.settings import WriteSettings

SAMPLES, REJECTED = "samples.jsonl", "rejected.jsonl"


@dataclass(frozen=True, slots=True)
class ScreenedSample:
    """A sample and the result of its screening.

    Attributes:
        sample: The sample. It has no turns where no reply could be read.
        faults: What is wrong with it; empty for a sample that may be used.
        reply: The reply as the model wrote it; empty for the facts writer.
    """

    sample: Sample
    faults: tuple[Fault, ...]
    reply: str = ""

    def line(self) -> str:
        """The sample as a line of rejected.jsonl."""
        row = json.loads(self.sample.line()) | {
            "faults": [asdict(fault) for fault in self.faults],
            "reply": self.reply,
        }
        return json.dumps(row, ensure_ascii=False) + "\n"

    @classmethod
    def of(cls, line: bytes) -> ScreenedSample:
        """The sample of a line that `line` made."""
        row = json.loads(line)
        faults = tuple(Fault(fault["reason"], fault["words"]) for fault in row["faults"])
        return cls(Sample.of(row), faults, row["reply"])


@dataclass(slots=True)
class ScreeningResult:
    """What a run wrote into its folder, and what it left out.

    Attributes:
        written: The number of samples in samples.jsonl, by kind.
        rejected: The number of samples in rejected.jsonl, by the first reason of each.
        unreadable_images: A sentence for each image that the report cannot show.
        skipped: A sentence for each record of the inputs that was left out.
        notes: Sentences about the inputs as a whole, such as labels that do not seem to fit their images.
        server_run: What came of the requests to a server, with tokens and cost; None where no server was asked.
        read: The number of sentences that a second reader read last, by what it said.
    """

    written: Counter[Kind] = field(default_factory=Counter)
    rejected: Counter[Reason] = field(default_factory=Counter)
    unreadable_images: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    server_run: RunReport | None = None
    read: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        written = ", ".join(f"{number} {kind}" for kind, number in self.written.items()) or "nothing"
        reasons = ", ".join(f"{number} {reason}" for reason, number in self.rejected.most_common())
        unreadable = self.unreadable_images
        more = f"; {len(unreadable)} images cannot be read, the first: {unreadable[0]}" if unreadable else ""
        return f"{written}; rejected: {reasons or 'none'}{self._reading()}{more}"

    def _reading(self) -> str:
        if not self.read:
            return ""
        verdicts = ", ".join(f"{number:,} {verdict}" for verdict, number in self.read.most_common())
        return f"; the second reader read {self.read.total():,} sentences: {verdicts}"


def write_screened(
    samples: Iterable[ScreenedSample], out: Path, supported: Callable[[Sample], bool] = lambda _: True
) -> ScreeningResult:
    """Write samples.jsonl and rejected.jsonl; of samples that repeat each other the first is kept.

    Both files appear when they are complete. Memory hardly grows with the samples, see `Duplicates`.

    Args:
        samples: The samples, written as they come.
        out: The folder, which exists.
        supported: Whether the facts of its own image support a short text that repeats an earlier one. What the facts
            writer wrote is always supported.

    Returns:
        The numbers of written and rejected samples.

    Raises:
        PosetalkError: When the disk refuses.
    """
    result, duplicates = ScreeningResult(), Duplicates(supported)
    with (
        whole_file(out / SAMPLES) as samples_part,
        whole_file(out / REJECTED) as rejected_part,
        samples_part.open("w", encoding="utf-8") as samples_file,
        rejected_part.open("w", encoding="utf-8") as rejected_file,
    ):
        for screened in samples:
            sample = screened.sample
            faults = screened.faults or duplicates.faults_of(sample)
            if faults:
                rejected_file.write(replace(screened, faults=faults).line())
                result.rejected[faults[0].reason] += 1
            else:
                samples_file.write(sample.line())
                result.written[sample.kind] += 1
    return result


def write_report(annotated: AnnotatedImages | None, out: Path) -> list[str]:
    """Write report.html of the files in the folder; returns a sentence for each image that cannot be read."""
    poses = (record.image for record in annotated or ())
    skeleton = annotated.skeleton if annotated else None
    return write_page(
        out / SAMPLES, out / "report.html", poses=poses, skeleton=skeleton, rejected=out / REJECTED
    )


def provenance_of(folder: Path) -> Provenance | None:
    """How the samples of a folder were made, for the card of an export; None where it has no run.toml."""
    if not (folder / "run.toml").exists():
        return None
    settings = WriteSettings.load(folder / "run.toml")
    sources = [Path(path) for path in (settings.annotations, settings.captions, settings.objects) if path]
    recipe = settings.writer if settings.recipe is None else f"{settings.writer}, recipe {settings.recipe}"
    recipe += "" if settings.captions else ", without captions"
    if settings.captions and Path(settings.captions).is_file() and is_predicted(Path(settings.captions)):
        recipe += ", with captions that a model wrote"
    labels = Path(settings.annotations)
    recipe += ", from poses that a model predicted" if labels.is_file() and is_predicted(labels) else ""
    return Provenance(recipe, settings.seed, tuple(path for path in sources if path.is_file()))
