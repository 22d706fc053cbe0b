"""The ledgers of the shards of a run that asks a server, joined so that each answers for all."""

from __future__ import annotations

from pathlib import Path

from posetalk.llm.client import ServerSettings
from posetalk.llm.ledger import LEDGER, Ledger, Totals
from posetalk.llm.request_state import RunReport
from posetalk.lock import only_run
from posetalk.messages import log
from posetalk.scale.cluster import as_soon_as_free
from posetalk.scale.shards import FOLDER


def join_ledgers(out: Path, target: Path) -> tuple[dict[str, float], Totals]:
    """Take the answers of the ledgers of all shards of `out` into one, which the shards then look into.

    Returns:
        The dollars of each shard's ledger, by the shard's name; and the totals of all.

    Raises:
        PosetalkError: as `Ledger`; a worker that was lost is still at work in a shard.
    """
    spent: dict[str, float] = {}
    with Ledger(target) as joined:
        for path in sorted(out.glob(f"{FOLDER}/*/{LEDGER}")):
            as_soon_as_free(_take, path, (joined, spent))
        return spent, joined.totals()


def _take(path: Path, joined: Ledger, spent: dict[str, float]) -> None:
    with only_run(path.parent), Ledger(path) as own:
        if own.in_flight:
            log.warning(
                f"{path.parent.name}: {own.in_flight} requests were in flight when an earlier run died; they are asked "
                "again"
            )
        joined.answer(own.answers())
        spent[path.parent.name] = own.totals().dollars


def share(server: ServerSettings, workers: int) -> ServerSettings:
    """The limits of one of so many workers."""
    limits = {
        name: getattr(server, name) for name in ("concurrency", "requests_per_minute", "tokens_per_minute")
    }
    return server.model_copy(
        update={name: limit and max(1, limit // workers) for name, limit in limits.items()}
    )


def add_report(whole: RunReport, part: RunReport) -> None:
    """Count what became of the requests of a shard."""
    whole.done += part.done
    whole.rejected += part.rejected
    whole.failed += part.failed
    whole.stopped = whole.stopped or part.stopped
