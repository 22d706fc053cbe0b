"""Questions and answers as token ids, for any tokenizer.

Every digit of an answer is one token, whatever the tokenizer would do with the number as a whole: LLaMA-2 and SmolLM2
split numbers so anyway, LLaMA-3 would join three digits into one token. So an answer has the same length everywhere,
`[0.` ddd `,0.` ddd `]`, and only the six digits carry anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tokenizers import Tokenizer

from posetalk.errors import PosetalkError
from posetalk.prompt import coordinate
from posetalk.prompt.wording import Wording
from posetalk.skeleton import Keypoint


@dataclass(frozen=True, slots=True)
class AnswerTemplate:
    """The constant parts of an answer as token ids: `[0.`, `,0.`, `]` and the end, and the ten digits."""

    open: tuple[int, ...]
    middle: tuple[int, ...]
    close: tuple[int, ...]
    digits: tuple[int, ...]

    def ids(self, x: float, y: float) -> tuple[int, ...]:
        """The whole answer for x, y in 0..1 of the crop."""
        left = tuple(self.digits[d] for d in coordinate.digits(x))
        right = tuple(self.digits[d] for d in coordinate.digits(y))
        return self.open + left + self.middle + right + self.close

    @property
    def digit_slots(self) -> tuple[int, ...]:
        """Where the six digits stand in `ids`."""
        first, second = len(self.open), len(self.open) + 3 + len(self.middle)
        return (first, first + 1, first + 2, second, second + 1, second + 2)


class Conversation:
    """Writes prompts for one tokenizer.

    prefix: `Image: ` and the image tokens. The image token's id is one past the vocabulary: it is never looked up, its
    place is taken by what the connector makes of the image (as in LocLLM).
    question_token: stands for a question that is read apart from the image; None where its words stand behind it.
    question_tokenizer: of the text encoder that reads questions, which are then name and description alone; None
    where the language model reads them.
    """

    def __init__(
        self,
        tokenizer: Any,
        wording: Wording,
        image_token: int,
        image_tokens: int,
        question_token: int | None = None,
        question_tokenizer: Tokenizer | None = None,
    ) -> None:
        self.question_token = question_token
        self.question_tokenizer = question_tokenizer
        self.tokenizer = tokenizer
        self.words = image_token  # of the language model's vocabulary
        self.wording = wording
        start = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
        before = wording.image if wording.whitespace == "keep" else wording.image.rstrip()
        self.prefix = tuple(start + self._encode(before) + [image_token] * image_tokens)
        self.answer = self._answer()

    @property
    def ignores_case(self) -> bool:
        """Whether a question in capitals is the same question."""
        reader = self.question_tokenizer
        return reader is not None and reader.encode("LEFT KNEE").ids == reader.encode("left knee").ids

    def question(self, keypoint: Keypoint, *, first: bool = True) -> tuple[int, ...]:
        """Token ids from the end of the image, or of the answer before, to `Answer:`."""
        if self.question_tokenizer is not None:
            return tuple(self.question_tokenizer.encode(self.wording.describe(keypoint)).ids)
        text = self.wording.ask(keypoint, first=first)
        if self.wording.whitespace == "keep":
            return tuple(self._encode(text))
        text = text.lstrip() if first else text
        ids = self._encode(text)
        if self.wording.whitespace == "strip_prefix" and text[:1] not in ("", " "):
            ids = self._without_prefix(ids)
        return tuple(ids)

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = list(self.tokenizer(text, add_special_tokens=False)["input_ids"])
        if (last := max(ids, default=0)) >= self.words:  # was added to the tokenizer alone
            token = self.tokenizer.convert_ids_to_tokens(last)
            raise PosetalkError(
                f"the language model has {self.words:,} words, and its tokenizer {self.tokenizer.name_or_path} writes "
                f"{token!r} as number {last:,}; leave {token!r} out of the description"
            )
        return ids

    def _without_prefix(self, ids: list[int]) -> list[int]:
        """Without the blank that SentencePiece put before a text. The first token is looked up anew as the rest of its
        letters, as the reference did, even where another split of them would be in the vocabulary."""
        first = self.tokenizer.convert_ids_to_tokens(ids[0])
        if not first.startswith("▁"):
            return ids
        rest = [self.tokenizer.convert_tokens_to_ids(first[1:])] if len(first) > 1 else []
        return rest + ids[1:]

    def _single(self, character: str) -> int:
        index = self.tokenizer.convert_tokens_to_ids(character)
        if index is None or index == self.tokenizer.unk_token_id:
            raise PosetalkError(
                f"the tokenizer {self.tokenizer.name_or_path} has no token {character!r}, "
                "so it cannot write coordinates"
            )
        return int(index)

    def _answer(self) -> AnswerTemplate:
        stem = self._encode(self.wording.answer)
        with_bracket = self._encode(self.wording.answer + " [")
        # The bracket as it is written after `Answer:`; a tokenizer that joins across it gets the bare bracket.
        bracket = with_bracket[len(stem) :] if with_bracket[: len(stem)] == stem else [self._single("[")]
        zero, dot, comma = self._single("0"), self._single("."), self._single(",")
        end = [] if self.tokenizer.eos_token_id is None else [self.tokenizer.eos_token_id]
        answer = AnswerTemplate(
            open=(*bracket, zero, dot),
            middle=(comma, zero, dot),
            close=(self._single("]"), *end),
            digits=tuple(self._single(str(d)) for d in range(10)),
        )
        text = self.tokenizer.decode(answer.ids(0.123, 0.456), skip_special_tokens=True)
        if text.strip() != "[0.123,0.456]":
            raise PosetalkError(
                f"the tokenizer {self.tokenizer.name_or_path} writes the coordinates [0.123,0.456] as {text!r}; "
                "choose another language model"
            )
        return answer
