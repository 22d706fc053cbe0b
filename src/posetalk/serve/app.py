"""The addresses of the server, and what they answer."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec
from fastapi import Body, FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse, Response
from starlette.staticfiles import StaticFiles

import posetalk
from posetalk.errors import PosetalkError
from posetalk.locate.localizer import Localizer
from posetalk.resources import PAGE
from posetalk.serve import bodies
from posetalk.serve.asking import ask
from posetalk.serve.batches import Batches
from posetalk.serve.bodies import DescribeJson, DescribeRequest, Json, LocateJson, LocateRequest
from posetalk.serve.describing import describe_located
from posetalk.serve.examples import (
    DESCRIPTION,
    IMAGE,
    PEOPLE,
    PLACES,
    QUESTION,
    WRITING,
    add_schemas,
    example,
    image_body,
)
from posetalk.serve.fetching import Fetcher
from posetalk.serve.guard import Guard
from posetalk.serve.label_studio import router
from posetalk.serve.locating import Asked, Locating, Wanted
from posetalk.serve.metrics import Metrics
from posetalk.serve.problems import ProblemError, mistake, of_validation, problem
from posetalk.serve.reading import read_image, read_request
from posetalk.serve.scenes import PosedScene
from posetalk.serve.settings import ServeSettings
from posetalk.serve.writing import write_turns
from posetalk.skeleton import BUILT_IN, load_skeleton


def make_app(localizer: Localizer, settings: ServeSettings) -> Guard:
    """The server as an ASGI application, which uvicorn or another server runs."""
    locating = Locating(localizer, settings)

    def computed(asked: Sequence[Asked]) -> list[Json | Exception]:
        answers = locating.answer(asked)
        metrics.computed(len(asked), sum(len(a["people"]) for a in answers if isinstance(a, dict)))
        return answers

    batches: Batches[Asked, Json] = Batches(
        computed, settings.batch_size, settings.queue_size, settings.max_image_pixels
    )
    fetcher = Fetcher(settings)
    metrics = Metrics(lambda: batches.waiting)

    async def located(data: bytes, wanted: Wanted, request: Request) -> Json:
        asked = await run_in_threadpool(locating.check, data, wanted)
        return await batches.ask(asked, asked.pixels, settings.request_timeout, lambda: _gone(request))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(batches.close)

    app = FastAPI(
        title="posetalk",
        version=posetalk.__version__,
        description="Describe a point of the human body and find it in a photo; ask what is true of a pose.",
        lifespan=lifespan,
        docs_url=None,  # their pages would load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
    )
    of_problem: dict[int | str, dict[str, Any]] = {
        status: {"model": bodies.Problem, "content": {"application/problem+json": {}}}
        for status in (400, 401, 403, 408, 413, 415, 422, 500, 503)
    }

    @app.exception_handler(PosetalkError)
    async def refused(_: Request, error: PosetalkError) -> Response:
        return problem(error)

    @app.exception_handler(Exception)
    async def failed(_: Request, error: Exception) -> Response:
        return problem(mistake(error))

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        return problem(of_validation(error.errors()))

    @app.exception_handler(HTTPException)
    async def http_error(_: Request, error: HTTPException) -> Response:
        sentences = {
            404: "there is nothing at this address; /openapi.json lists what there is",
            405: "this address takes another method; /openapi.json says which",
            400: "the body of the request cannot be read; send JSON, or multipart with an image",
        }
        sentence = sentences.get(error.status_code, str(error.detail))
        return problem(ProblemError(sentence, error.status_code, error.headers))

    @app.post(
        "/v1/locate",
        responses={200: {"model": bodies.LocateAnswer}, **of_problem},
        openapi_extra={"requestBody": image_body(LocateRequest, LocateJson, IMAGE)},
    )
    async def locate(request: Request) -> Response:
        """Find the keypoints of everybody in an image.

        Send multipart with the file `image` and the JSON field `request`, or JSON with the image in base64.
        """
        started = time.perf_counter()
        batches.check_room()
        wanted, image = await read_request(request, LocateRequest, LocateJson)
        answer = await located(await read_image(wanted, image, fetcher), wanted, request)
        return _json(answer | {"seconds": round(time.perf_counter() - started, 4)})

    @app.post(
        "/v1/describe",
        responses={200: {"model": bodies.DescribeAnswer}, **of_problem},
        openapi_extra={"requestBody": image_body(DescribeRequest, DescribeJson, PLACES)},
    )
    async def describe(request: Request) -> Response:
        """Describe places of an image in words: whose body, which part and side, where on it.

        Send the image as to /v1/locate. For more places of it, send the people of the answer to /v1/describe/located.
        """
        started = time.perf_counter()
        batches.check_room()
        wanted, image = await read_request(request, DescribeRequest, DescribeJson)
        answer = await located(await read_image(wanted, image, fetcher), wanted, request)
        return _json(answer | {"seconds": round(time.perf_counter() - started, 4)})

    @app.post("/v1/describe/located", responses={200: {"model": bodies.PlacesAnswer}, **of_problem})
    def describe_people(
        given: Annotated[bodies.DescribeLocated, Body(openapi_examples=example(DESCRIPTION))],
    ) -> Response:
        """Describe places of an image whose people were located before, without the image or a model."""
        return _json({"places": describe_located(given, settings)})

    @app.post("/v1/facts", responses={200: {"model": bodies.FactsAnswer}, **of_problem})
    def facts(given: Annotated[bodies.PeopleGiven, Body(openapi_examples=example(PEOPLE))]) -> Response:
        """What is true of people whose keypoints are given."""
        return _json(PosedScene(given, settings.max_people).facts())

    @app.post("/v1/ask", responses={200: {"model": bodies.AskAnswer}, **of_problem})
    def asked_of_people(
        given: Annotated[bodies.AskRequest, Body(openapi_examples=example(QUESTION))],
    ) -> Response:
        """Answer a question about people, or check a statement."""
        return _json(ask(PosedScene(given, settings.max_people), given))

    @app.post("/v1/write", responses={200: {"model": bodies.WriteAnswer}, **of_problem})
    def written(given: Annotated[bodies.WriteRequest, Body(openapi_examples=example(WRITING))]) -> Response:
        """Write a conversation, a description or reasoning about people."""
        return _json({"turns": write_turns(PosedScene(given, settings.max_people), given)})

    @app.get("/v1/skeletons", responses={200: {"model": list[bodies.SkeletonAnswer]}})
    def skeletons() -> Response:
        """The built-in sets of keypoints."""
        return _json(
            [
                {
                    "name": name,
                    "keypoints": [
                        {"name": p.name, "sentence": p.sentence} for p in load_skeleton(name).keypoints
                    ],
                    "limbs": load_skeleton(name).limbs,
                }
                for name in BUILT_IN
            ]
        )

    @app.get("/v1/words", responses={200: {"model": bodies.WordsAnswer}})
    def words() -> Response:
        """What the model was trained on. It reads other words too."""
        return _json({"keypoints": localizer.trained_keypoints, "synonyms": localizer.trained_synonyms})

    @app.get("/healthz", response_class=PlainTextResponse)
    async def health() -> str:
        """Whether the server runs."""
        return "ok"

    @app.get("/readyz", response_class=PlainTextResponse, responses={503: of_problem[503]})
    async def ready() -> str:
        """Whether the server takes requests."""
        if not batches.works:
            raise ProblemError("the server computes nothing more; start it again", 503)
        batches.check_room()
        return "ok"

    @app.get("/metrics", response_class=PlainTextResponse)
    async def numbers() -> Response:
        """Requests, times, people and memory, for Prometheus."""
        return Response(metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    app.include_router(
        router(located, fetcher, f"posetalk-{posetalk.__version__}-{Path(localizer.source).name}"),
        responses=of_problem,
    )
    description = app.openapi
    app.openapi = lambda: add_schemas(description())  # type: ignore[method-assign]
    # not mounted, so that another method at an address above is told which one it takes
    app.router.default = StaticFiles(directory=PAGE, html=True)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["authorization", "content-type", "x-api-key"],
        )
    return Guard(app, settings, metrics)


async def _gone(request: Request) -> None:
    """Ends when the caller goes away."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _json(content: object) -> Response:
    return Response(msgspec.json.encode(content), media_type="application/json")
