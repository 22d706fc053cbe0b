"""The tokenizer of a model folder, without transformers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from posetalk.errors import PosetalkError

QUESTION_TOKENIZER = (
    "question_tokenizer.json"  # of the text encoder that reads questions, in a model's folder
)


def question_tokenizer(file: str | Path) -> Tokenizer:
    """The tokenizer of a text encoder, which neither pads nor cuts.

    Raises:
        PosetalkError: The file is missing or damaged.
    """
    try:
        return _without_limits(Path(file))
    except Exception as error:  # tokenizers raises Exception itself
        raise PosetalkError(f"cannot load the tokenizer {file}: {error}; get the model again") from None


def _without_limits(file: Path) -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


class FileTokenizer:
    """Reads tokenizer.json and tokenizer_config.json, and has of transformers' tokenizers what `Conversation` needs.

    Args:
        folder: The folder of the model.

    Raises:
        PosetalkError: A file is missing or damaged.
    """

    def __init__(self, folder: str | Path) -> None:
        self.name_or_path = str(folder)
        try:
            config = json.loads((Path(folder) / "tokenizer_config.json").read_bytes())
            self._tokenizer = _without_limits(Path(folder) / "tokenizer.json")
        except Exception as error:  # tokenizers raises Exception itself
            raise PosetalkError(
                f"cannot load the tokenizer from {folder}: {error}; get the model again"
            ) from None
        self.bos_token_id, self.eos_token_id, self.unk_token_id = (
            self._id(config.get(name)) for name in ("bos_token", "eos_token", "unk_token")
        )

    def _id(self, token: Any) -> int | None:
        """token: its text, or as a dict with `content`."""
        text = token.get("content") if isinstance(token, dict) else token
        return None if text is None else self._tokenizer.token_to_id(text)

    def __call__(self, text: str, *, add_special_tokens: bool) -> dict[str, list[int]]:
        """Token ids of a text, as `input_ids`."""
        return {"input_ids": self._tokenizer.encode(text, add_special_tokens=add_special_tokens).ids}

    def convert_ids_to_tokens(self, index: int) -> str | None:
        """A token's text."""
        return self._tokenizer.id_to_token(index)

    def convert_tokens_to_ids(self, token: str) -> int | None:
        """A token's number; that of the unknown token where there is none."""
        index = self._tokenizer.token_to_id(token)
        return self.unk_token_id if index is None else index

    def decode(self, ids: Sequence[int], *, skip_special_tokens: bool) -> str:
        """The text of token ids."""
        return self._tokenizer.decode(list(ids), skip_special_tokens=skip_special_tokens)
