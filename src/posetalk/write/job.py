"""What is asked of a language model about one picture: the messages of a chat, and the form of the reply."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from posetalk.write.sample import Kind

Message = dict[str, str]  # role and content, as the chat interface of OpenAI has them


@dataclass(frozen=True, slots=True)
class Job:
    """One sample to be written.

    id: of the sample, `785-detail`. messages: all that the model is told. schema: the JSON schema of its reply. words:
    the largest number of tokens it may write.
    """

    id: str
    image_id: int
    image: str
    kind: Kind
    messages: tuple[Message, ...]
    schema: dict[str, Any]
    words: int = 1024

    def again(self, reply: str, reason: str) -> Job:
        """The job once more, after a reply that was not accepted: the model is shown it and told why."""
        more = (
            {"role": "assistant", "content": reply},
            {"role": "user", "content": f"That cannot be used: {reason}. Write it again without that fault."},
        )
        return replace(self, messages=(*self.messages, *more))
