"""Write a data set about the poses of labelled images."""

from __future__ import annotations

from pathlib import Path

from posetalk.errors import PosetalkError
from posetalk.images.fit import image_notes
from posetalk.llm.client import ServerSettings
from posetalk.llm.pricing import Price
from posetalk.messages import log
from posetalk.write.folder import ScreeningResult
from posetalk.write.from_facts.run import write_by_facts
from posetalk.write.from_model.run import write_by_model
from posetalk.write.labels import labels_of
from posetalk.write.settings import WriteSettings


def write_dataset(
    settings: WriteSettings,
    out: str | Path,
    *,
    images: str | Path | None = None,
    server: ServerSettings | None = None,
    price: Price | None = None,
    reader: ServerSettings | None = None,
    reader_price: Price | None = None,
) -> ScreeningResult:
    """Write instruction data about the poses of labelled images, by the facts writer or by a model on a server.

    The folder gets samples.jsonl, rejected.jsonl (with reasons), report.html and run.toml; of a server run also
    ledger.sqlite with every answer. Run again with the same settings, it asks nothing that was answered. Samples are
    screened before they are written, see `faults_of`.

    Args:
        settings: The label files, the kinds of samples, and who writes them.
        out: The folder of the run. It is made if it does not exist.
        images: The folder of the images. The report shows them, and `settings.show_images` sends them; the samples are
            the same without where it does not.
        server: The server of the model that `settings.writer` names; None for the facts writer.
        price: What the model costs, for the cost in the result; needed if `server.max_cost_usd` is set.
        reader: The server of the second reader that `settings.verify` names; None where it names none.
        reader_price: What the second reader costs; needed if `reader.max_cost_usd` is set.

    Returns:
        The numbers of written and rejected samples. A server run that was stopped by its cost limit or by Ctrl-C says
        so in `server_run`.

    Raises:
        PosetalkError: When a label file cannot be read or has nothing to write about, the folder holds a run with
            other settings, another run is at work in it, `server` and `settings.writer` do not belong together, or
            the server refuses the key, does not know the model or cannot be reached. Answers received before that are
            kept in the ledger.
    """
    check_writer(settings, images, server, reader)
    out = Path(out)
    annotated = labels_of(settings, images)
    if images:
        for note in image_notes(annotated.sample(), Path(settings.annotations)):
            log.warning(f"note: {note}")  # before anything is asked and paid
    if server is None:
        result = write_by_facts(annotated, settings, out)
    else:
        result = write_by_model(annotated, settings, server, out, price, reader, reader_price)
    result.notes = annotated.notes
    result.skipped = [*annotated.skipped, *result.skipped]
    return result


def check_writer(
    settings: WriteSettings,
    images: str | Path | None,
    server: ServerSettings | None,
    reader: ServerSettings | None,
) -> None:
    """Refuse servers that are not those of the settings, and what the writer cannot do."""
    if server is None and settings.writer != "facts":
        raise PosetalkError(f"the writer {settings.writer!r} is a model; give the settings of its server")
    if server is not None and server.model != settings.writer:
        raise PosetalkError(
            f"the settings name the writer {settings.writer!r} and the server's settings the model "
            f"{server.model!r}; give both the same name"
        )
    if server is not None and "short" in settings.kinds:
        raise PosetalkError(
            "the kind short has answers that follow from facts; write it with the facts writer"
        )
    if (reader.model if reader else None) != settings.verify:
        raise PosetalkError(
            f"the settings name the second reader {settings.verify!r}; give the settings of its server"
        )
    if settings.show_images and images is None:
        raise PosetalkError("the photos shall be sent along; give their folder (images)")
