"""Label Studio's ML backend: a project whose labels are sentences gets keypoints before anybody has labelled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, Field

from posetalk.errors import PosetalkError
from posetalk.exchange.label_studio import regions_of
from posetalk.exchange.label_studio_interface import Interface
from posetalk.formats.coco import AREA_OF_BOX
from posetalk.serve.bodies import Json, LocateRequest
from posetalk.serve.fetching import Fetcher
from posetalk.types import Box, Person

MAX_TASKS = 200
AT_ONCE = 8  # images of a request that are fetched and located at a time
Locate = Callable[[bytes, LocateRequest, Request], Awaitable[Json]]


class PredictTask(BaseModel):
    """An image to predict; more keys are ignored."""

    id: Any = None
    data: dict[str, Any]


class PredictRequest(BaseModel):
    """What Label Studio sends for predictions; more keys are ignored."""

    tasks: list[PredictTask] = Field(max_length=MAX_TASKS)
    label_config: str = Field(description="The labelling interface, XML.")


class SetupRequest(BaseModel):
    """What Label Studio sends when a project is connected; more keys, such as its token, are not looked at."""

    label_schema: str = Field(alias="schema", description="The labelling interface, XML.")


def router(locate: Locate, fetcher: Fetcher, version: str) -> APIRouter:
    """The addresses that Label Studio calls.

    Args:
        locate: From an image's file, what to look for, and who asks, to an answer of /v1/locate.
        fetcher: Gets images.
        version: What the model is called.
    """
    routes = APIRouter(tags=["Label Studio"])

    @routes.get("/health")
    async def health() -> Json:
        """Whether the backend runs."""
        return {"status": "UP", "model_class": "posetalk"}

    @routes.post("/setup")
    def setup(given: SetupRequest) -> Json:
        """Whether a project can be answered."""
        Interface.read(given.label_schema)
        return {"model_version": version}

    @routes.post("/predict")
    async def predict(given: PredictRequest, request: Request) -> Json:
        """The people of tasks, as predictions. A task whose image cannot be had has none, and `error` says why."""
        interface = Interface.read(given.label_config)
        wanted = LocateRequest(ask=[_sentence(*label) for label in interface.labels])
        free = asyncio.Semaphore(AT_ONCE)

        async def predicted(task: PredictTask) -> Json:
            async with free:
                try:
                    url = task.data.get(interface.data)
                    if not isinstance(url, str):
                        raise PosetalkError(f"its data has no image {interface.data!r}")
                    data = await run_in_threadpool(fetcher.of_label_studio, url)
                    answer = await locate(data, wanted, request)
                except PosetalkError as error:
                    if len(given.tasks) == 1:
                        raise
                    return {"result": [], "score": 0.0, "model_version": version, "error": str(error)}
                return _prediction(answer, interface) | {"model_version": version}

        return {"results": await asyncio.gather(*map(predicted, given.tasks))}

    return routes


def _sentence(label: str, hint: str) -> str:
    """What a label asks for: itself, or itself and its hint as the description."""
    return f"{label}: {hint}" if hint and ":" not in label else label


def _prediction(answer: Json, interface: Interface) -> Json:
    size = answer["width"], answer["height"]
    names = [label for label, _ in interface.labels]
    regions = [
        region
        for number, row in enumerate(answer["people"], 1)
        for region in regions_of(_person(row, number), names, size, interface)
    ]
    scores = [row["score"] for row in answer["people"] if row["score"] is not None]
    return {"result": regions, "score": min(scores, default=0.0)}


def _person(row: Json, number: int) -> Person:
    box, points = Box(*row["box"]), row["keypoints"]
    return Person(
        number,
        box,
        np.array([(point["x"], point["y"]) for point in points]),
        np.array([1.0 if point["visible"] is False else 2.0 for point in points]),
        AREA_OF_BOX * box.area,
        scores=np.array([point["score"] for point in points]),
        score=row["score"],
    )
