"""Every request that was ever sent and its paid answer, in one SQLite file that survives a killed process."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, Self, cast

from posetalk.errors import PosetalkError
from posetalk.llm.answer import Completion, estimate_tokens
from posetalk.llm.fault import Fault, Reason
from posetalk.llm.request import Turns
from posetalk.lock import InUse

LEDGER = "ledger.sqlite"  # in the folder of a run
APPLICATION_ID = 0x706F7365  # "pose", in the file's header: tells ledgers from other programs' SQLite files
FORMAT_VERSION = 1  # SQLite's user_version

State = Literal[
    "waiting",  # to be sent: written to a batch file, or in flight when a run died
    "asked",  # in the hands of a run that goes on
    "answered",
    "failed",  # given up, with a reason; the next run sends it again
]
ReplyVerdict = Turns | tuple[Fault, ...]

_TABLE = """
CREATE TABLE requests (
    key TEXT PRIMARY KEY,         -- SHA-256 of all that determines the answer
    job TEXT NOT NULL,            -- the id of the request
    state TEXT NOT NULL CHECK (state IN ('waiting', 'asked', 'answered', 'failed')),
    reason TEXT,                  -- why it failed
    ended TEXT,                   -- whole, cut off, refused
    tokens_in INTEGER, tokens_out INTEGER,
    counted INTEGER,              -- 1: the tokens are the server's count, 0: an estimate
    dollars REAL,
    verdict TEXT,                 -- {"turns": ...} or {"faults": ...}; can be made again from the reply
    reply TEXT
)
"""


_ANSWERED = "SELECT key, job, reply, ended, tokens_in, tokens_out, counted, dollars FROM requests "
_ANSWERED += "WHERE state = 'answered'"


@dataclass(frozen=True, slots=True)
class Row:
    """A request. answer: once answered; verdict: once judged; reason: why it failed."""

    request_id: str
    state: State
    reason: str
    answer: Completion | None
    verdict: ReplyVerdict | None


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over all answers of a ledger. estimated: how many came without the server's count of tokens."""

    answers: int
    tokens_in: int
    tokens_out: int
    estimated: int
    dollars: float


class Ledger:
    """The file, open in one process at a time.

    An answer survives a power cut once `answer` has returned (a write-ahead log, synced at each commit); all else
    survives a killed process. Use the ledger in a `with`, from one thread at a time.

    Args:
        path: The file; it is made if it is not there.
        results: Files made from the ledger's answers. If one of them exists and the ledger does not, or is empty,
            every request would be paid for again; this is refused.
        known: Another ledger that nobody writes to. An answer that only it has is copied when its row is asked for.

    Attributes:
        notes: A sentence for each row that somebody edited into an impossible state, and that was mended.
        in_flight: The number of requests that were in flight when the last run died; they may have been paid for, and
            their answers are lost.

    Raises:
        PosetalkError: another process uses the file; it is damaged, of another program or version, or cannot be
            written; the disk is full.
    """

    def __init__(
        self, path: str | Path, results: Iterable[Path] = (), *, known: str | Path | None = None
    ) -> None:
        self.path = Path(path)
        self._known: sqlite3.Connection | None = None
        self.notes: list[str] = []
        exists = _size(self.path) > 0
        if not exists:
            self._check_not_lost(results, "is gone" if _size(self.path) < 0 else "is empty")
        self.in_flight = 0
        with self._readable_errors():
            self._db = sqlite3.connect(self.path, timeout=0, isolation_level=None, check_same_thread=False)
        self._db.text_factory = lambda text: text.decode("utf-8", "replace")
        try:
            with self._readable_errors():
                self._open()
                if exists and not self._db.execute("SELECT 1 FROM requests LIMIT 1").fetchone():
                    self._check_not_lost(results, "is empty")
                if known is not None and _size(Path(known)) > 0:
                    place = f"{Path(known).absolute().as_uri()}?immutable=1"
                    self._known = sqlite3.connect(place, uri=True, check_same_thread=False)
                    self._known.text_factory = self._db.text_factory
        except BaseException:
            self._db.close()
            raise

    def _open(self) -> None:
        execute = self._db.execute
        execute("PRAGMA locking_mode = EXCLUSIVE")  # the system frees it when the process dies
        execute("BEGIN EXCLUSIVE")
        tables = [name for (name,) in execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        (application_id,), (format_version,) = (
            execute("PRAGMA application_id").fetchone(),
            execute("PRAGMA user_version").fetchone(),
        )
        if tables and application_id != APPLICATION_ID:
            raise PosetalkError(
                f"{self.path} is another program's database; choose another file for the ledger"
            )
        if tables and format_version != FORMAT_VERSION:
            raise PosetalkError(
                f"{self.path} is a ledger of another version of posetalk; use that, or another file"
            )
        if not tables:
            execute(_TABLE)
            execute(f"PRAGMA application_id = {APPLICATION_ID}")
            execute(f"PRAGMA user_version = {FORMAT_VERSION}")
        execute("COMMIT")
        execute("PRAGMA journal_mode = WAL")
        # rows that break the table's rules, edited by somebody, are mended below
        problems = [
            problem
            for (problem,) in execute("PRAGMA quick_check")
            if not problem.startswith(("CHECK ", "NULL value"))
        ]
        if problems not in ([], ["ok"]):
            raise sqlite3.DatabaseError("malformed")
        self.in_flight = execute("UPDATE requests SET state = 'waiting' WHERE state = 'asked'").rowcount
        self._synced = True  # SQLite's default is FULL
        self._mend()

    def _check_not_lost(self, results: Iterable[Path], state: str) -> None:
        for file in results:
            if _size(file) > 0:
                raise PosetalkError(
                    f"{self.path} {state}, though {file} was made with it: all would be asked and paid for again; put "
                    "the ledger back from a copy, or choose another folder"
                )

    def _mend(self) -> None:
        """Make rows usable that somebody has edited, and note it."""
        condition = (
            "state NOT IN ('waiting', 'asked', 'answered', 'failed') OR (state = 'answered' AND ("
            "reply IS NULL OR typeof(reply) != 'text' OR ended IS NULL OR ended NOT IN ('whole', 'cut off', 'refused') "
            "OR typeof(tokens_in) != 'integer' OR tokens_in < 0 OR typeof(tokens_out) != 'integer' OR tokens_out < 0 "
            "OR typeof(dollars) NOT IN ('real', 'integer') OR dollars < 0 OR counted IS NULL OR counted NOT IN (0, 1)))"
        )
        columns = "rowid, job, state, reply, ended, tokens_in, tokens_out, counted, dollars"
        rows = self._db.execute(f"SELECT {columns} FROM requests WHERE {condition}").fetchall()
        for rowid, request_id, state, reply, ended, tokens_in, tokens_out, counted, dollars in rows:
            prefix = f"{self.path}: the row of {request_id} "
            if not isinstance(reply, str):
                self.notes.append(f"{prefix}has no reply; it is asked again")
                self._db.execute(
                    "UPDATE requests SET state = 'failed', reason = ?, verdict = NULL WHERE rowid = ?",
                    ("its row in the ledger has no reply", rowid),
                )
                continue
            if state != "answered":
                self.notes.append(f"{prefix}has the state {state!r}; it has a reply and counts as answered")
            if ended not in ("whole", "cut off", "refused"):
                self.notes.append(f"{prefix}says that the reply ended as {ended!r}; it counts as whole")
                ended = "whole"
            if not (_is_count(tokens_in) and _is_count(tokens_out) and counted in (0, 1)):
                self.notes.append(f"{prefix}has no numbers of tokens; they are estimated")
                tokens_in, tokens_out, counted = (
                    tokens_in if _is_count(tokens_in) else 0,
                    estimate_tokens(reply),
                    0,
                )
            if not isinstance(dollars, int | float) or not dollars >= 0:
                self.notes.append(f"{prefix}has no price; it counts as free")
                dollars = 0
            self._db.execute(
                "UPDATE requests SET state = 'answered', ended = ?, tokens_in = ?, tokens_out = ?, counted = ?, "
                "dollars = ? WHERE rowid = ?",
                (ended, tokens_in, tokens_out, counted, dollars, rowid),
            )

    @classmethod
    @contextmanager
    def copy_of(cls, path: Path) -> Iterator[Self | None]:
        """Open a copy of a ledger, to read it while a run goes on. Nothing is written beside the original.

        Yields:
            The copy; None where there is no ledger yet.

        Raises:
            PosetalkError: as `Ledger`.
        """
        if _size(path) <= 0:
            yield None
            return
        for attempt in range(5):
            with TemporaryDirectory() as folder:
                copy = Path(folder) / path.name
                try:
                    for suffix in ("", "-wal"):
                        if (source := path.with_name(path.name + suffix)).exists():
                            shutil.copyfile(source, copy.with_name(copy.name + suffix))
                except OSError as error:
                    raise PosetalkError(f"cannot read {path}: {error.strerror}") from None
                try:
                    ledger = cls(copy)
                except PosetalkError as error:
                    if attempt == 4:
                        raise PosetalkError(str(error).replace(str(copy), str(path))) from None
                    continue  # a run wrote into it while it was copied
                with ledger:
                    yield ledger
                return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()
        if self._known is not None:
            self._known.close()

    def row(self, key: str) -> Row | None:
        """The row of a request; None where it was never sent."""
        columns = "job, state, reason, reply, ended, tokens_in, tokens_out, counted, verdict"
        with self._readable_errors():
            row = self._db.execute(f"SELECT {columns} FROM requests WHERE key = ?", (key,)).fetchone()
        if (row is None or row[1] != "answered") and self._copy_known(key):
            return self.row(key)
        if row is None:
            return None
        request_id, state, reason, reply, ended, tokens_in, tokens_out, counted, verdict = row
        answer = (
            Completion(reply, ended, tokens_in, tokens_out, bool(counted)) if state == "answered" else None
        )
        return Row(request_id, state, str(reason or ""), answer, _decode_verdict(verdict))

    def _copy_known(self, key: str) -> bool:
        """Copy an answer of the other ledger; False where it has none."""
        if self._known is None:
            return False
        with self._readable_errors():
            rows = self._known.execute(f"{_ANSWERED} AND key = ?", (key,)).fetchall()
        return bool(rows) and bool(self.answer(map(_answer_of, rows)))

    def answers(self) -> Iterator[tuple[str, str, Completion, float]]:
        """All answers, as `answer` takes them."""
        with self._readable_errors():
            yield from map(_answer_of, self._db.execute(_ANSWERED))

    def set_state(self, requests: Iterable[tuple[str, str]], state: Literal["waiting", "asked"]) -> None:
        """Set the state of requests, given as (key, request id). Answered ones stay answered.

        A request set to `waiting` keeps the reason why it failed before; `asked` removes it.
        """
        with self._transaction():
            self._db.executemany(
                "INSERT INTO requests (key, job, state) VALUES (?, ?, ?) ON CONFLICT (key) "
                "DO UPDATE SET state = excluded.state, "
                "reason = CASE excluded.state WHEN 'asked' THEN NULL ELSE reason END WHERE state != 'answered'",
                [(key, request_id, state) for key, request_id in requests],
            )

    def answer(self, answers: Iterable[tuple[str, str, Completion, float]]) -> int:
        """Store answers, given as (key, request id, answer, dollars), and return how many are new.

        The first answer to a request is never replaced.
        """
        rows = [
            (
                key,
                request_id,
                answer.reply,
                answer.end,
                answer.tokens_in,
                answer.tokens_out,
                answer.counted,
                dollars,
            )
            for key, request_id, answer, dollars in answers
        ]
        with self._transaction(sync=True):
            return self._db.executemany(
                "INSERT INTO requests (key, job, state, reply, ended, tokens_in, tokens_out, counted, dollars) "
                "VALUES (?, ?, 'answered', ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET state = 'answered', "
                "reason = NULL, reply = excluded.reply, ended = excluded.ended, tokens_in = excluded.tokens_in, "
                "tokens_out = excluded.tokens_out, counted = excluded.counted, dollars = excluded.dollars "
                "WHERE state != 'answered'",
                rows,
            ).rowcount

    def release(self) -> None:
        """Set all requests that are `asked` to `waiting`, at the end of a run."""
        with self._transaction():
            self._db.execute("UPDATE requests SET state = 'waiting' WHERE state = 'asked'")

    def fail(self, key: str, reason: str) -> None:
        """Record that a request was given up."""
        with self._transaction():
            self._db.execute(
                "UPDATE requests SET state = 'failed', reason = ? WHERE key = ? AND state != 'answered'",
                (reason, key),
            )

    def judge(self, key: str, verdict: ReplyVerdict) -> None:
        """Store the verdict on an answer: turns, or faults."""
        with self._transaction():
            self._db.execute("UPDATE requests SET verdict = ? WHERE key = ?", (_encode_verdict(verdict), key))

    def judge_by(self, rules: str) -> None:
        """Remove all verdicts if they were made by other rules, so that every answer is judged anew.

        rules: a text that identifies the rules by which verdicts are made from now on.
        """
        with self._transaction():
            self._db.execute("CREATE TABLE IF NOT EXISTS rules (rules TEXT)")
            if self._db.execute("SELECT rules FROM rules").fetchall() != [(rules,)]:
                self._db.execute("DELETE FROM rules")
                self._db.execute("INSERT INTO rules VALUES (?)", (rules,))
                self._db.execute("UPDATE requests SET verdict = NULL")

    def waiting(self) -> int:
        """The number of requests that are `waiting` or `asked`."""
        with self._readable_errors():
            query = "SELECT count(*) FROM requests WHERE state IN ('waiting', 'asked')"
            return int(self._db.execute(query).fetchone()[0])

    def totals(self) -> Totals:
        """Tokens and dollars of all answers."""
        with self._readable_errors():
            query = "SELECT count(*), sum(tokens_in), sum(tokens_out), sum(1 - counted), sum(dollars) FROM requests "
            return Totals(*(n or 0 for n in self._db.execute(query + "WHERE state = 'answered'").fetchone()))

    def transaction(self) -> AbstractContextManager[None]:
        """Write all changes inside the block in one transaction, which is much faster. Not for answers."""
        return self._transaction()

    @contextmanager
    def _transaction(self, sync: bool = False) -> Iterator[None]:
        if self._db.in_transaction:
            yield
            return
        with self._readable_errors():
            if sync != self._synced:
                self._db.execute(f"PRAGMA synchronous = {'FULL' if sync else 'NORMAL'}")
                self._synced = sync
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                if self._db.in_transaction:  # a full disk has ended it
                    self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _readable_errors(self) -> Iterator[None]:
        """Turn SQLite's errors into PosetalkError, one sentence each."""
        try:
            yield
        except (
            sqlite3.Error,
            UnicodeDecodeError,
        ) as error:  # from a damaged file even the error's text may be damaged
            text = "malformed" if isinstance(error, UnicodeDecodeError) else str(error)
            if "locked" in text:
                raise InUse(
                    f"{self.path} is in use by another run; wait until it has ended, or choose another ledger"
                ) from None
            if "full" in text:
                sentence = "cannot grow, the disk is full; make room and run again, what is in it is kept"
            elif "not a database" in text or "malformed" in text or "corrupt" in text:
                sentence = "is damaged, or no ledger; choose another file, or restore it from a copy"
            else:
                sentence = f"cannot be used ({text}); look at the folder and its permissions"
            raise PosetalkError(f"{self.path} {sentence}") from None


def _encode_verdict(verdict: ReplyVerdict) -> str:
    if verdict and isinstance(verdict[0], Fault):
        faults = [(fault.reason, fault.words) for fault in verdict if isinstance(fault, Fault)]
        return json.dumps({"faults": faults}, ensure_ascii=False)
    return json.dumps({"turns": verdict}, ensure_ascii=False)


def _decode_verdict(text: object) -> ReplyVerdict | None:
    """None where the text is no verdict: the answer is then judged again."""
    try:
        data = json.loads(str(text or ""))
        if "faults" in data:
            faults = [(_checked_str(reason), _checked_str(words)) for reason, words in data["faults"]]
            return tuple(Fault(cast(Reason, reason), words) for reason, words in faults) or None
        turns = [(_checked_str(question), _checked_str(answer)) for question, answer in data["turns"]]
        return tuple(turns) or None
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _checked_str(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _answer_of(row: tuple[Any, ...]) -> tuple[str, str, Completion, float]:
    key, request_id, reply, ended, tokens_in, tokens_out, counted, dollars = row
    return key, request_id, Completion(reply, ended, tokens_in, tokens_out, bool(counted)), dollars


def _size(path: Path) -> int:
    """The size of a file in bytes; -1 where there is none, or it cannot be seen."""
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _is_count(value: object) -> bool:
    return isinstance(value, int) and value >= 0
