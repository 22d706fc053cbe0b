"""What is asked of a language model about one picture: the messages of a chat, and the form of the reply."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from posetalk.errors import PosetalkError
from posetalk.images.opening import image_bytes

Turns = tuple[tuple[str, str], ...]  # questions and answers
Message = dict[str, str]  # role and content, as the chat interface of OpenAI has them


@dataclass(frozen=True, slots=True)
class ImagePart:
    """A photo that goes with a question; its bytes are read when it is sent. digest: SHA-256, hexadecimal."""

    path: Path
    digest: str

    @classmethod
    def of(cls, path: Path) -> ImagePart:
        """Errors: a file that cannot be read, or is no picture."""
        image_bytes(path)
        return cls(path, hashlib.sha256(_bytes(path)).hexdigest())

    def url(self) -> str:
        """The picture as a data URL, see `image_bytes`. Errors: it cannot be read any more."""
        data, kind = image_bytes(self.path)
        return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One sample to be written.

    id: of the sample, `785-detail`. messages: all that the model is told. schema: the JSON schema of its reply, whose
    title is its name for the server (else the kind); empty where plain text is asked for. max_tokens: of
    the reply, at most. image_part: shown with the first question.
    """

    id: str
    image_id: int
    image: str
    kind: str
    messages: tuple[Message, ...]
    schema: dict[str, Any]
    max_tokens: int = 1024
    image_part: ImagePart | None = None

    def again(self, reply: str, reason: str) -> ChatRequest:
        """The job once more, after a reply that was not accepted: the model is shown it and told why."""
        more = (
            {"role": "assistant", "content": reply},
            {"role": "user", "content": f"That cannot be used: {reason}. Write it again without that fault."},
        )
        return replace(self, messages=(*self.messages, *more))


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise PosetalkError(f"cannot read the photo {path}: {error.strerror}; look at it") from None
