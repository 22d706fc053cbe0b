"""Workers of a Ray cluster, each with one shard at a time; the shard of a worker that is lost goes to another."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Generic, TypeVar

import posetalk
from posetalk.errors import PosetalkError, need
from posetalk.lock import InUse
from posetalk.messages import log
from posetalk.process import prepare_for_models

T = TypeVar("T")

MAX_LOSSES = 10  # workers in a row that a shard may lose before anything new is written; then it is to blame
IN_USE_SECONDS = 120  # a lost worker may hold the lock of its shard until the system has ended it
POLL_SECONDS = 2.0  # between looks at the size of the cluster
_OBJECT_STORE = 200_000_000  # bytes; results are a few numbers, files go through the shared folder


@dataclass(frozen=True, slots=True)
class Done(Generic[T]):
    """A shard that is done. value: what the work returned; messages: what it logged."""

    shard: Path
    value: T
    messages: tuple[str, ...]


def _bytes_of(shard: Path) -> int:
    """The size of what is in a shard's folder."""
    size = 0
    for file in shard.rglob("*"):
        with suppress(OSError):
            size += file.stat().st_size
    return size


class Cluster:
    """A Ray cluster that this process is connected to, see `connected`.

    Args:
        ray: The module.
        cpus: Cores of a worker.
        gpus: GPUs of a worker.
        most: The largest number of workers; None for as many as the cluster has room for.
    """

    def __init__(self, ray: Any, cpus: int, gpus: int, most: int | None) -> None:
        self._ray, self._cpus, self._gpus, self._most = ray, cpus, gpus, most

    def size(self) -> int:
        """The number of workers that the cluster has room for now, at least 1."""
        resources = self._ray.cluster_resources()
        room = int(resources.get("CPU", 0) // self._cpus)
        if self._gpus:
            room = min(room, int(resources.get("GPU", 0) // self._gpus))
        return max(1, room if self._most is None else min(room, self._most))

    def each(self, work: Callable[..., T], shards: Iterable[Path], *given: Any) -> Iterator[Done[T]]:
        """Have `work(shard, *given)` done for each shard, and give the results as they come.

        A worker process does many shards, one after the other, so that what `work` keeps in a cache (a model) is loaded
        once. Workers that join the cluster meanwhile get shards, too. `work` is a function of a module, and doing a
        shard again does what is left of it.

        Raises:
            PosetalkError: the first that `work` raises, once the shards at work are done; a shard that lost
                `MAX_LOSSES` workers in a row that wrote nothing new.
        """
        ray, coming = self._ray, iter(shards)
        queue: deque[Path] = deque()
        losses: Counter[Path] = Counter()
        written: Counter[Path] = Counter()
        starting: dict[Any, Any] = {}
        working: dict[Any, tuple[Any, Path]] = {}
        free: list[Any] = []
        error: PosetalkError | None = None
        looked, size, stillborn = -POLL_SECONDS, self.size(), 0
        kind = ray.remote(num_cpus=self._cpus, num_gpus=self._gpus, max_restarts=0)(_Worker)
        try:
            while True:
                if error is None and len(queue) < size:
                    queue.extend(islice(coming, size - len(queue)))
                if error is not None or not queue:
                    if not working:
                        break
                elif free:
                    worker, shard = free.pop(), queue.popleft()
                    working[worker.do.remote(work, shard, given)] = worker, shard
                    continue
                elif not (starting or working) or time.monotonic() - looked > POLL_SECONDS:
                    looked, size = time.monotonic(), self.size()
                    while len(starting) < len(queue) and len(starting) + len(working) < size:
                        worker = kind.remote()
                        starting[worker.version.remote()] = worker
                ended, _ = ray.wait([*starting, *working], num_returns=1, timeout=POLL_SECONDS)
                for reference in ended:
                    if reference in starting:
                        worker = starting.pop(reference)
                        if self._answer(reference) is not None:
                            free.append(worker)
                            stillborn = 0
                        else:
                            looked, stillborn = -POLL_SECONDS, stillborn + 1
                        if stillborn == MAX_LOSSES:
                            raise PosetalkError(
                                f"{MAX_LOSSES} workers in a row could not start; look whether posetalk is installed on "
                                "every machine of the cluster"
                            )
                        continue
                    worker, shard = working.pop(reference)
                    answer = self._answer(reference)
                    if answer is None:
                        looked = -POLL_SECONDS
                        size_now = _bytes_of(shard)
                        losses[shard] = 1 if size_now > written[shard] else losses[shard] + 1
                        written[shard] = max(written[shard], size_now)
                        queue.appendleft(shard)
                        with suppress(Exception):  # it may be alive and out of reach
                            ray.kill(worker)
                        log.warning("a worker was lost; %s goes to another", shard.name)
                        if losses[shard] == MAX_LOSSES:
                            error = PosetalkError(
                                f"{shard} was given up after {MAX_LOSSES} workers in a row were lost with it; look "
                                "whether it needs more memory than they have"
                            )
                        continue
                    free.append(worker)
                    value, messages, failure = answer
                    if failure is None:
                        yield Done(shard, value, tuple(messages))
                    else:
                        error = error or failure
            if error is not None:
                raise error
        finally:
            for worker in [*starting.values(), *free, *(worker for worker, _ in working.values())]:
                with suppress(Exception):
                    ray.kill(worker)

    def _answer(self, reference: Any) -> Any:
        """What a worker's call returned; None where the worker is lost."""
        try:
            answer = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError:  # a mistake of the program, or of the machine
            raise
        except self._ray.exceptions.RayError:
            return None
        if isinstance(answer, str) and answer != posetalk.__version__:
            raise PosetalkError(
                f"a worker has posetalk {answer} and this machine {posetalk.__version__}; install the same everywhere"
            )
        return answer


@contextmanager
def connected(
    address: str, *, workers: int | None = None, threads: int | None = None, device: str | None = None
) -> Iterator[Cluster]:
    """Connect to a Ray cluster for as long as the block runs.

    Args:
        address: `local` for the cores of this machine, `auto` for the cluster that this machine belongs to, or
            `host:port`.
        workers: The largest number of workers; None for one for each core, or GPU where the cluster has some.
        threads: Cores of each worker; None for one.
        device: Where models run, as in `Localizer.from_pretrained`; `cpu` for workers without a GPU.

    Raises:
        PosetalkError: Ray is not installed, or there is no such cluster.
    """
    if workers is not None and workers < 1:
        raise PosetalkError(f"--workers {workers} does nothing; give at least 1")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no report of ours goes to anybody
    ray = need("ray", "scale")
    _check_reachable(address)
    own = not ray.is_initialized()
    if own:
        local = {"include_dashboard": False, "object_store_memory": _OBJECT_STORE}
        try:
            ray.init(
                address=address,
                log_to_driver=False,
                logging_level=logging.ERROR,
                **(local if address == "local" else {}),
            )
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise PosetalkError(
                f"there is no Ray cluster at {address} ({str(error).splitlines()[0]}); start one with ray start "
                "--head, or give local"
            ) from None
    try:
        gpus = 0 if device == "cpu" or not ray.cluster_resources().get("GPU") else 1
        yield Cluster(ray, threads or 1, gpus, workers)
    finally:
        if own:
            ray.shutdown()


def _check_reachable(address: str) -> None:
    """Refuse an address at which nobody listens, for which Ray would wait for minutes."""
    host, _, port = address.rpartition(":")
    if address in ("local", "auto") or "//" in address:
        return
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, ValueError, OverflowError):
        raise PosetalkError(
            f"there is no Ray cluster at {address}; give host:port of one that was started with ray start --head, "
            "or local"
        ) from None


class _Worker:
    """What runs in a process of its own."""

    def __init__(self) -> None:
        prepare_for_models()

    def version(self) -> str:
        return posetalk.__version__

    def do(
        self, work: Callable[..., T], shard: Path, given: tuple[Any, ...]
    ) -> tuple[T | None, list[str], PosetalkError | None]:
        messages: list[str] = []
        handler = _Collect(messages)
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        log.propagate = False  # they are told by the process that cut the shards
        try:
            return as_soon_as_free(work, shard, given), messages, None
        except PosetalkError as error:
            return None, messages, PosetalkError(f"{shard.name}: {error}")
        finally:
            log.removeHandler(handler)


class _Collect(logging.Handler):
    def __init__(self, messages: list[str]) -> None:
        super().__init__()
        self._messages = messages

    def emit(self, record: logging.LogRecord) -> None:
        self._messages.append(record.getMessage())


def as_soon_as_free(work: Callable[..., T], shard: Path, given: tuple[Any, ...]) -> T:
    """Do the work, once a lost worker that may still be at it has ended.

    Raises:
        InUse: it has not ended for `IN_USE_SECONDS`.
    """
    until = time.monotonic() + IN_USE_SECONDS
    while True:
        try:
            return work(shard, *given)
        except InUse:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)
