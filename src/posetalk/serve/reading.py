"""A request and its image, read from a form or from JSON."""

from __future__ import annotations

import base64
import binascii
from typing import TypeVar

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ValidationError
from starlette.formparsers import MultiPartException, MultiPartParser

from posetalk.serve.bodies import WithImage
from posetalk.serve.fetching import Fetcher
from posetalk.serve.problems import ProblemError, of_validation

B = TypeVar("B", bound=BaseModel)
F = TypeVar("F", bound=BaseModel)
J = TypeVar("J", bound=WithImage)


class _InMemory(MultiPartParser):
    spool_max_size = 2**40  # bytes from which parts of a body would be written to a file


async def read_request(request: Request, of_form: type[F], of_json: type[J]) -> tuple[F | J, bytes | None]:
    """What is asked, and the image's file where a form has it.

    Raises:
        PosetalkError: neither JSON nor multipart, or not as it should be.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        return _parsed(of_json, await request.body()), None
    if kind != "multipart/form-data":
        raise ProblemError(f"the request is {kind or 'of no type'!r}; send multipart/form-data or JSON", 415)
    try:
        form = await _InMemory(request.headers, request.stream(), max_files=1, max_fields=1).parse()
    except MultiPartException as error:
        raise ProblemError(f"the form cannot be read: {error.message}", 400) from None
    image, wanted = form.get("image"), form.get("request", "{}")
    if image is None or isinstance(image, str):
        raise ProblemError("the form has no file `image`; give one")
    if not isinstance(wanted, str):
        raise ProblemError("the form's `request` is a file; give it as a field of JSON text")
    return _parsed(of_form, wanted), await image.read()


async def read_image(wanted: BaseModel, image: bytes | None, fetcher: Fetcher) -> bytes:
    """The image's file: that of a form, or as the JSON says.

    Raises:
        PosetalkError: there is none, or two; it is not base64; as `Fetcher.fetch`.
    """
    if not isinstance(wanted, WithImage):
        return image or b""
    if (wanted.image is None) == (wanted.url is None):
        raise ProblemError("the request needs an image: give `image` in base64, or `url`, one of the two")
    if wanted.image is None:
        return await run_in_threadpool(fetcher.fetch, wanted.url or "")
    try:
        return base64.b64decode(wanted.image.partition("base64,")[2] or wanted.image, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ProblemError(f"the image is not base64: {error}") from None


def _parsed(kind: type[B], text: str | bytes) -> B:
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        raise of_validation(error.errors()) from None
