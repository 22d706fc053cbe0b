"""A request to a language model: the messages of a chat, an image if there is one, and the form of the reply."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from posetalk.errors import PosetalkError
from posetalk.images.opening import image_bytes

Turns = tuple[tuple[str, str], ...]  # questions and answers
Message = dict[str, str]  # role and content, as in OpenAI's chat interface


@dataclass(frozen=True, slots=True)
class ImagePart:
    """An image that goes with a question; its bytes are read when the request is sent. digest: SHA-256, hexadecimal."""

    path: Path
    digest: str

    @classmethod
    def of(cls, path: Path) -> ImagePart:
        """The image part for a file.

        Raises:
            PosetalkError: the file cannot be read, or is no image.
        """
        image_bytes(path)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise PosetalkError(f"cannot read the image {path}: {error.strerror}; look at it") from None
        return cls(path, hashlib.sha256(data).hexdigest())

    def url(self) -> str:
        """The image as a data URL, see `image_bytes`.

        Raises:
            PosetalkError: the file cannot be read any more.
        """
        data, kind = image_bytes(self.path)
        return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One request to a language model.

    Attributes:
        id: The caller's name for it, `785-detail`.
        image_id: The number of the image that it is about.
        image: The name of that image.
        kind: What sort of text is asked for.
        messages: All messages of the chat so far.
        schema: The JSON schema of the reply; its title, else `kind`, is its name for the server. Empty where plain
            text is asked for.
        max_tokens: The largest number of tokens of the reply.
        image_part: The image that is sent with the first question.
    """

    id: str
    image_id: int
    image: str
    kind: str
    messages: tuple[Message, ...]
    schema: dict[str, Any]
    max_tokens: int = 1024
    image_part: ImagePart | None = None

    def with_feedback(self, reply: str, reason: str) -> ChatRequest:
        """The request to send after a reply that was not accepted: it shows the model its reply and says why."""
        correction = (
            {"role": "assistant", "content": reply},
            {"role": "user", "content": f"That cannot be used: {reason}. Write it again without that fault."},
        )
        return replace(self, messages=(*self.messages, *correction))
