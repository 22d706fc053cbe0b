"""Every request that was ever asked and its paid answer, in one SQLite file that no death of a process can spoil."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, Self

from posetalk.errors import PosetalkError
from posetalk.llm.answer import Completion, tokens
from posetalk.llm.fault import Fault
from posetalk.llm.request import Turns

MARK = 0x706F7365  # "pose", SQLite's application_id: tells our files from those of other programs
FORMAT = 1  # SQLite's user_version

State = Literal[
    "waiting",  # to be asked: handed to a batch, or in flight when a run died
    "asked",  # handed to a run that is going on
    "answered",
    "failed",  # given up, with a reason; the next run asks again
]
ReplyVerdict = Turns | tuple[Fault, ...]

_TABLE = """
CREATE TABLE requests (
    key TEXT PRIMARY KEY,         -- SHA-256 of all that shapes the answer
    job TEXT NOT NULL,            -- the sample's id
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


@dataclass(frozen=True, slots=True)
class Row:
    """A request. job: the sample's id. answer: once answered; verdict: once judged; reason: why it failed."""

    job: str
    state: State
    reason: str
    answer: Completion | None
    verdict: ReplyVerdict | None


@dataclass(frozen=True, slots=True)
class Totals:
    """Of all answers in a ledger. estimated: how many of them came without the server's count of tokens."""

    answers: int
    tokens_in: int
    tokens_out: int
    estimated: int
    dollars: float


class Ledger:
    """The file, held by one process at a time.

    An answer is on the disk when `answer` returns, a power cut notwithstanding (a write-ahead log, synced at each
    commit); all else survives the death of the process. Use it in a `with`, from one thread at a time.

    results: files that are made of its answers. Where one of them is there and the ledger is not, or is empty, all
    would be paid for again, which is refused; they are looked at only then. notes: a sentence for each row that cannot
    be as it is, by somebody's hand, and was mended.

    Errors (PosetalkError): held by another process, damaged, of another program or version, not writable, disk full.
    """

    def __init__(self, path: str | Path, results: Iterable[Path] = ()) -> None:
        self.path = Path(path)
        self.notes: list[str] = []
        there = _size(self.path) > 0
        if not there:
            self._not_lost(results, "is gone" if _size(self.path) < 0 else "is empty")
        self.in_flight = 0  # requests that were out when the last run died: perhaps paid, the answers lost
        with self._said():
            self._sql = sqlite3.connect(self.path, timeout=0, isolation_level=None, check_same_thread=False)
        self._sql.text_factory = lambda text: text.decode("utf-8", "replace")
        try:
            with self._said():
                self._open()
                if there and not self._sql.execute("SELECT 1 FROM requests LIMIT 1").fetchone():
                    self._not_lost(results, "is empty")
        except BaseException:
            self._sql.close()
            raise

    def _open(self) -> None:
        run = self._sql.execute
        run("PRAGMA locking_mode = EXCLUSIVE")  # the system frees it when the process dies
        run("BEGIN EXCLUSIVE")
        tables = [name for (name,) in run("SELECT name FROM sqlite_master WHERE type = 'table'")]
        (mark,), (form,) = run("PRAGMA application_id").fetchone(), run("PRAGMA user_version").fetchone()
        if tables and mark != MARK:
            raise PosetalkError(
                f"{self.path} is another program's database; choose another file for the ledger"
            )
        if tables and form != FORMAT:
            raise PosetalkError(
                f"{self.path} is a ledger of another version of posetalk; use that, or another file"
            )
        if not tables:
            run(_TABLE)
            run(f"PRAGMA application_id = {MARK}")
            run(f"PRAGMA user_version = {FORMAT}")
        run("COMMIT")
        run("PRAGMA journal_mode = WAL")
        # what a hand has put against the table's rules is mended below
        ill = [says for (says,) in run("PRAGMA quick_check") if not says.startswith(("CHECK ", "NULL value"))]
        if ill not in ([], ["ok"]):
            raise sqlite3.DatabaseError("malformed")
        self.in_flight = run("UPDATE requests SET state = 'waiting' WHERE state = 'asked'").rowcount
        self._synced = True  # SQLite's default is FULL
        self._mend()

    def _not_lost(self, results: Iterable[Path], how: str) -> None:
        for file in results:
            if _size(file) > 0:
                raise PosetalkError(
                    f"{self.path} {how}, though {file} was made with it: all would be asked and paid for again; put "
                    "the ledger back from a copy, or choose another folder"
                )

    def _mend(self) -> None:
        """Make rows usable that no program of ours has written, and note it."""
        wrong = (
            "state NOT IN ('waiting', 'asked', 'answered', 'failed') OR (state = 'answered' AND ("
            "reply IS NULL OR typeof(reply) != 'text' OR ended IS NULL OR ended NOT IN ('whole', 'cut off', 'refused') "
            "OR typeof(tokens_in) != 'integer' OR tokens_in < 0 OR typeof(tokens_out) != 'integer' OR tokens_out < 0 "
            "OR typeof(dollars) NOT IN ('real', 'integer') OR dollars < 0 OR counted IS NULL OR counted NOT IN (0, 1)))"
        )
        columns = "rowid, job, state, reply, ended, tokens_in, tokens_out, counted, dollars"
        rows = self._sql.execute(f"SELECT {columns} FROM requests WHERE {wrong}").fetchall()
        for row, job, state, reply, ended, into, out, counted, dollars in rows:
            told = f"{self.path}: the row of {job} "
            if not isinstance(reply, str):
                self.notes.append(f"{told}has no reply; it is asked again")
                self._sql.execute(
                    "UPDATE requests SET state = 'failed', reason = ?, verdict = NULL WHERE rowid = ?",
                    ("its row in the ledger has no reply", row),
                )
                continue
            if state != "answered":
                self.notes.append(f"{told}has the state {state!r}; it has a reply and counts as answered")
            if ended not in ("whole", "cut off", "refused"):
                self.notes.append(f"{told}says that the reply ended as {ended!r}; it counts as whole")
                ended = "whole"
            if not (_count(into) and _count(out) and counted in (0, 1)):
                self.notes.append(f"{told}has no numbers of tokens; they are estimated")
                into, out, counted = into if _count(into) else 0, tokens(reply), 0
            if not isinstance(dollars, int | float) or not dollars >= 0:
                self.notes.append(f"{told}has no price; it counts as free")
                dollars = 0
            self._sql.execute(
                "UPDATE requests SET state = 'answered', ended = ?, tokens_in = ?, tokens_out = ?, counted = ?, "
                "dollars = ? WHERE rowid = ?",
                (ended, into, out, counted, dollars, row),
            )

    @classmethod
    @contextmanager
    def copy_of(cls, path: Path) -> Iterator[Self | None]:
        """What a ledger holds, to be read beside a run that goes on and without a trace in its folder.

        None where there is none yet. Errors: as the ledger's own.
        """
        if _size(path) <= 0:
            yield None
            return
        for tries in range(5):
            with TemporaryDirectory() as folder:
                copy = Path(folder) / path.name
                try:
                    for end in ("", "-wal"):
                        if (source := path.with_name(path.name + end)).exists():
                            shutil.copyfile(source, copy.with_name(copy.name + end))
                except OSError as error:
                    raise PosetalkError(f"cannot read {path}: {error.strerror}") from None
                try:
                    ledger = cls(copy)
                except PosetalkError as error:
                    if tries == 4:
                        raise PosetalkError(str(error).replace(str(copy), str(path))) from None
                    continue  # a run wrote into it while it was copied
                with ledger:
                    yield ledger
                return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._sql.close()

    def row(self, key: str) -> Row | None:
        """What is known of a request; None where it was never asked."""
        columns = "job, state, reason, reply, ended, tokens_in, tokens_out, counted, verdict"
        with self._said():
            found = self._sql.execute(f"SELECT {columns} FROM requests WHERE key = ?", (key,)).fetchone()
        if found is None:
            return None
        job, state, reason, reply, ended, into, out, counted, verdict = found
        answer = Completion(reply, ended, into, out, bool(counted)) if state == "answered" else None
        return Row(job, state, str(reason or ""), answer, _verdict(verdict))

    def mark(self, requests: Iterable[tuple[str, str]], state: Literal["waiting", "asked"]) -> None:
        """Requests, as (key, job), are handed out. Answered ones stay answered.

        What is said to wait keeps the reason why it failed before, until it is asked.
        """
        with self._transaction():
            self._sql.executemany(
                "INSERT INTO requests (key, job, state) VALUES (?, ?, ?) ON CONFLICT (key) "
                "DO UPDATE SET state = excluded.state, "
                "reason = CASE excluded.state WHEN 'asked' THEN NULL ELSE reason END WHERE state != 'answered'",
                [(key, job, state) for key, job in requests],
            )

    def answer(self, answers: Iterable[tuple[str, str, Completion, float]]) -> int:
        """Keep answers, as (key, job, answer, dollars), for good, and return how many are new.

        A first answer is never replaced.
        """
        rows = [
            (key, job, a.reply, a.end, a.tokens_in, a.tokens_out, a.counted, dollars)
            for key, job, a, dollars in answers
        ]
        with self._transaction(sync=True):
            return self._sql.executemany(
                "INSERT INTO requests (key, job, state, reply, ended, tokens_in, tokens_out, counted, dollars) "
                "VALUES (?, ?, 'answered', ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET state = 'answered', "
                "reason = NULL, reply = excluded.reply, ended = excluded.ended, tokens_in = excluded.tokens_in, "
                "tokens_out = excluded.tokens_out, counted = excluded.counted, dollars = excluded.dollars "
                "WHERE state != 'answered'",
                rows,
            ).rowcount

    def release(self) -> None:
        """Nothing is in flight any more."""
        with self._transaction():
            self._sql.execute("UPDATE requests SET state = 'waiting' WHERE state = 'asked'")

    def fail(self, key: str, reason: str) -> None:
        """A request is given up."""
        with self._transaction():
            self._sql.execute(
                "UPDATE requests SET state = 'failed', reason = ? WHERE key = ? AND state != 'answered'",
                (reason, key),
            )

    def judge(self, key: str, verdict: ReplyVerdict) -> None:
        """Keep what became of an answer: turns, or faults."""
        with self._transaction():
            self._sql.execute("UPDATE requests SET verdict = ? WHERE key = ?", (_text(verdict), key))

    def judge_by(self, rules: str) -> None:
        """Have every answer judged anew where the verdicts are of other rules; nothing is asked for it.

        rules: that verdicts are made by from now on, whatever tells them from others.
        """
        with self._transaction():
            self._sql.execute("CREATE TABLE IF NOT EXISTS rules (rules TEXT)")
            if self._sql.execute("SELECT rules FROM rules").fetchall() != [(rules,)]:
                self._sql.execute("DELETE FROM rules")
                self._sql.execute("INSERT INTO rules VALUES (?)", (rules,))
                self._sql.execute("UPDATE requests SET verdict = NULL")

    def waiting(self) -> int:
        """How many requests are handed out and not answered."""
        with self._said():
            query = "SELECT count(*) FROM requests WHERE state IN ('waiting', 'asked')"
            return int(self._sql.execute(query).fetchone()[0])

    def totals(self) -> Totals:
        """What all answers took."""
        with self._said():
            query = "SELECT count(*), sum(tokens_in), sum(tokens_out), sum(1 - counted), sum(dollars) FROM requests "
            return Totals(*(n or 0 for n in self._sql.execute(query + "WHERE state = 'answered'").fetchone()))

    def together(self) -> AbstractContextManager[None]:
        """All that is written inside of it is one transaction, which is much faster. For anything but answers."""
        return self._transaction()

    @contextmanager
    def _transaction(self, sync: bool = False) -> Iterator[None]:
        if self._sql.in_transaction:
            yield
            return
        with self._said():
            if sync != self._synced:
                self._sql.execute(f"PRAGMA synchronous = {'FULL' if sync else 'NORMAL'}")
                self._synced = sync
            self._sql.execute("BEGIN IMMEDIATE")
            try:
                yield
                if self._sql.in_transaction:  # a full disk has ended it
                    self._sql.execute("COMMIT")
            except BaseException:
                if self._sql.in_transaction:
                    self._sql.execute("ROLLBACK")
                raise

    @contextmanager
    def _said(self) -> Iterator[None]:
        """SQLite's errors as one sentence."""
        try:
            yield
        except (sqlite3.Error, UnicodeDecodeError) as error:  # a damaged file spoils SQLite's own words too
            words = "malformed" if isinstance(error, UnicodeDecodeError) else str(error)
            if "locked" in words:
                sentence = "is in use by another run; wait until it has ended, or choose another ledger"
            elif "full" in words:
                sentence = "cannot grow, the disk is full; make room and run again, what is in it is kept"
            elif "not a database" in words or "malformed" in words or "corrupt" in words:
                sentence = "is damaged, or no ledger; choose another file, or restore it from a copy"
            else:
                sentence = f"cannot be used ({words}); look at the folder and its permissions"
            raise PosetalkError(f"{self.path} {sentence}") from None


def _text(verdict: ReplyVerdict) -> str:
    if verdict and isinstance(verdict[0], Fault):
        faults = [(fault.reason, fault.words) for fault in verdict if isinstance(fault, Fault)]
        return json.dumps({"faults": faults}, ensure_ascii=False)
    return json.dumps({"turns": verdict}, ensure_ascii=False)


def _verdict(text: object) -> ReplyVerdict | None:
    """None where there is none that can be read: it can be made again."""
    try:
        found = json.loads(str(text or ""))
        if "faults" in found:
            faults = tuple(Fault(_str(reason), _str(words)) for reason, words in found["faults"])  # type: ignore[arg-type]
            return faults or None
        return tuple((_str(question), _str(answer)) for question, answer in found["turns"]) or None
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def _str(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _size(path: Path) -> int:
    """Of a file, in bytes; -1 where there is none that can be seen."""
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _count(value: object) -> bool:
    return isinstance(value, int) and value >= 0
