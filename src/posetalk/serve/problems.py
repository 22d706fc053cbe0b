"""Errors as JSON problem details (RFC 9457), with the sentence that the command line gives."""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.responses import Response

from posetalk.errors import PosetalkError, shown
from posetalk.messages import log


class ProblemError(PosetalkError):
    """An error with a status of its own; others are 422.

    Args:
        sentence: What is wrong, where, and what to do.
        status: Of HTTP.
        headers: Of the answer, such as Retry-After.
    """

    def __init__(self, sentence: str, status: int = 422, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status, self.headers = status, dict(headers or {})


def mistake(error: Exception) -> ProblemError:
    """What is answered where the program itself fails. The log says where, and nothing of what was sent."""
    places = "".join(traceback.format_tb(error.__traceback__))
    log.error("%s at\n%s", type(error).__name__, places.rstrip())
    return ProblemError("the server failed at this request; its log says where", 500)


def problem(error: PosetalkError) -> Response:
    """The answer to a request that cannot be served."""
    status = error.status if isinstance(error, ProblemError) else 422
    headers = error.headers if isinstance(error, ProblemError) else {}
    known = status in HTTPStatus.__members__.values()
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase if known else "Client Closed Request",
        "status": status,
        "detail": shown(" ".join(str(error).split())),
    }
    return Response(msgspec.json.encode(body), status, headers, "application/problem+json")


def of_validation(errors: Sequence[Mapping[str, Any]]) -> PosetalkError:
    """The sentence on the first fault that pydantic found in a request."""
    first = errors[0]
    place = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path"))
    if first["type"] in ("json_invalid", "json_type"):
        return ProblemError(
            f"the request is not JSON: {first.get('ctx', {}).get('error', first['msg'])}", 400
        )
    if first["type"] == "extra_forbidden":
        return ProblemError(
            f"the request has the unknown field {place!r}; /openapi.json lists those that there are"
        )
    if first["type"] == "missing":
        return ProblemError(f"the request lacks the field {place!r}" if place else "the request has no body")
    said = str(first["msg"]).removeprefix("Value error, ")
    return ProblemError(f"{place or 'the request'}: {said[:1].lower()}{said[1:]}")
