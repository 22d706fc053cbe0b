"""What a server counts, in the text form of Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """The numbers of one server. waiting: how many requests wait."""

    def __init__(self, waiting: Callable[[], int]) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        names = ("method", "path", "status")
        self._requests = Counter("posetalk_requests", "Answered requests.", names, registry=self._registry)
        self._seconds = Histogram(
            "posetalk_request_seconds",
            "Time from the head of a request to its answer.",
            ["path"],
            buckets=SECONDS,
            registry=self._registry,
        )
        self._batches = Histogram(
            "posetalk_batch_requests",
            "Requests that were computed together.",
            buckets=(1, 2, 4, 8, 16, 32, 64),
            registry=self._registry,
        )
        self._people = Counter("posetalk_people", "Located people.", registry=self._registry)
        Gauge("posetalk_requests_waiting", "Requests that wait.", registry=self._registry).set_function(
            waiting
        )

    def answered(self, method: str, path: str, status: int, seconds: float) -> None:
        """A request was answered. path: as the server calls the address."""
        if method not in ("GET", "HEAD", "POST", "OPTIONS"):
            method = "other"
        self._requests.labels(method, path, status).inc()
        self._seconds.labels(path).observe(seconds)

    def computed(self, requests: int, people: int) -> None:
        """A batch was computed."""
        self._batches.observe(requests)
        self._people.inc(people)

    def text(self) -> bytes:
        """All of them."""
        return generate_latest(self._registry)
