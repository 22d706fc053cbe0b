"""Commands about vision-language models as pointers: the part of evaluate with --pointer, and leaderboard."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from posetalk.cli.app import app, tell
from posetalk.cli.server import HERE, Server, leave
from posetalk.errors import PosetalkError
from posetalk.process import prepare_for_models


def evaluate_with_pointer(
    given: dict[str, object],
    out: Path,
    *,
    server: Server,
    compare: Sequence[Path],
    device: str | None,
    threads: int | None,
    batch: int,
) -> None:
    """`posetalk evaluate --pointer`. given: the values of PointerSettings."""
    from posetalk.bench.answers.judge_run import usage_summary
    from posetalk.llm.request_state import RunReport
    from posetalk.pointer.run import evaluate_pointer
    from posetalk.pointer.settings import PointerSettings

    on_server = bool(server.base_url or server.settings)
    if not on_server and server != HERE:
        raise PosetalkError("the options of a server go with --base-url or --settings; leave them away")
    if given["model"] == "bundled":
        raise PosetalkError(
            "--pointer asks a vision-language model; give --model, a folder or the name on a server. The bundled model "
            "stands beside it in the report"
        )
    asked = server.asks(str(given["model"])) if on_server else None
    settings = PointerSettings.check(given | {"on_server": on_server}, "the options")
    prepare_for_models()
    report, counts = evaluate_pointer(
        settings,
        out,
        server=asked,
        price=server.price(asked.model) if asked else None,
        compare=compare,
        device=device,
        threads=threads,
        batch_size=batch,
    )
    print(report.to_markdown())
    if counts.run_report:
        print(usage_summary(counts.run_report))
    tell("skipped", counts.skipped)
    nothing = f"{counts.model} answered no question; why is said above"
    leave(counts.run_report or RunReport(), bool(counts.new or counts.known), nothing)


@app.command
def leaderboard(reports: list[Path], *, out: Path) -> None:
    """Make one page of several reports of `posetalk evaluate --pointer`, best first.

    Models are compared where they were asked for the same points of the same people. The page opens offline.

    Example: `posetalk leaderboard qwen gemini molmo --out leaderboard.html`

    Args:
        reports: Folders of `posetalk evaluate --pointer`, or their report.json files.
        out: The HTML file.
    """
    from posetalk.pointer.leaderboard import write_leaderboard

    write_leaderboard(reports, out)
    print(out)
