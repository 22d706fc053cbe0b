"""A request to a language model: the messages of a chat, an image if there is one, and the form of the reply."""

from __future__ import annotations

import base64
import hashlib
import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from posetalk.errors import PosetalkError
from posetalk.images.opening import image_bytes, open_image
from posetalk.images.small import small_jpeg

Turns = tuple[tuple[str, str], ...]  # questions and answers
Message = dict[str, str]  # role and content, as in OpenAI's chat interface
# Pixels of a token's side, as in Qwen2-VL; LLaVA-1.5 (576 tokens an image) and OpenAI (765 at 640 x 480) are within a
# factor of two of it at COCO's image size.
TOKEN_SIDE = 28
QUALITY = 90  # of the JPEG of an image that is made smaller


@dataclass(frozen=True, slots=True)
class ImagePart:
    """An image that goes with a question; its bytes are read when the request is sent.

    Attributes:
        path: The file.
        digest: SHA-256 of its bytes, hexadecimal.
        size: Width and height in the file, in px.
        side: Longest side that is sent, in px; a larger image is made smaller. None for the file as it is.
    """

    path: Path
    digest: str
    size: tuple[int, int]
    side: int | None = None

    @classmethod
    def of(cls, path: Path, side: int | None = None) -> ImagePart:
        """The image part for a file. Its pixels are read when it is sent.

        Raises:
            PosetalkError: the file cannot be read, or is no image.
        """
        with open_image(path) as image:
            size = image.size
        try:
            data = path.read_bytes()
        except OSError as error:
            raise PosetalkError(f"cannot read the image {path}: {error.strerror}; look at it") from None
        return cls(path, hashlib.sha256(data).hexdigest(), size, side)

    @property
    def key(self) -> list[str | int]:
        """What of the image determines an answer."""
        return [self.digest] if self.side is None else [self.digest, self.side]

    @property
    def tokens(self) -> int:
        """Estimate of the tokens that the image takes, a token for TOKEN_SIDE x TOKEN_SIDE px of what is sent."""
        scale = min(1.0, self.side / max(self.size)) if self.side else 1.0
        across, down = (max(1, math.ceil(scale * length / TOKEN_SIDE)) for length in self.size)
        return across * down

    def url(self) -> str:
        """The image as a data URL: see `image_bytes`; a JPEG where it is made smaller.

        Raises:
            PosetalkError: the file cannot be read any more, or its pixels are damaged.
        """
        if self.side is not None and max(self.size) > self.side:
            data, kind = small_jpeg(self.path, self.side, QUALITY).jpeg, "jpeg"
        else:
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
        image_part: The image that is sent with a question.
        image_at: Number of the message that it is sent with, from 0; None for the first question.
    """

    id: str
    image_id: int
    image: str
    kind: str
    messages: tuple[Message, ...]
    schema: dict[str, Any]
    max_tokens: int = 1024
    image_part: ImagePart | None = None
    image_at: int | None = None

    def with_feedback(self, reply: str, reason: str) -> ChatRequest:
        """The request to send after a reply that was not accepted: it shows the model its reply and says why."""
        correction = (
            {"role": "assistant", "content": reply},
            {"role": "user", "content": f"That cannot be used: {reason}. Write it again without that fault."},
        )
        return replace(self, messages=(*self.messages, *correction))
