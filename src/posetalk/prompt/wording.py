"""How a keypoint is asked for. The form is LocLLM's (image, Keypoint:, Question:, Answer:), the words are ours."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import field_validator

from posetalk.settings import Settings
from posetalk.skeleton import Keypoint


class Wording(Settings):
    """The words around a question; a TOML file with the same keys replaces them."""

    image: str = "Image: "
    """What stands before the image tokens."""
    keypoint: str = "Keypoint: {sentence}"
    """The line that describes; left out for a keypoint without a sentence. Knows {sentence} and {name}."""
    question: str = "Question: Where in the image is the {name} of this person? Give its coordinates."
    """The line that asks. Knows {name}."""
    answer: str = "Answer:"
    """What stands before the coordinates."""
    sentences: dict[str, str] = {}
    """Own descriptions by keypoint name, in place of the skeleton's; a keypoint without one stays so."""
    whitespace: Literal["keep", "strip", "strip_prefix"] = "keep"
    """White space beside the image tokens. `keep`: a blank before and a new line after. `strip`: none, which is how
    the LLaMA tokenizer of transformers 4.31 read LocLLM's prompts with `legacy: true`. `strip_prefix`: none, nor the
    blank that SentencePiece puts in front of a text, after the image tokens and between rounds of a chain (`legacy:
    false`). `posetalk convert` sets it as the checkpoint's tokenizer says; new models keep it."""

    @field_validator("keypoint", "question")
    @classmethod
    def _fields(cls, text: str) -> str:
        try:
            text.format(name="", sentence="")
        except (KeyError, IndexError, ValueError):
            raise ValueError(f"{text!r} may hold only the fields {{name}} and {{sentence}}") from None
        return text

    def describe(self, keypoint: Keypoint) -> str:
        """The name and the description alone, for a text encoder: `left heel: the back of the left foot`."""
        sentence = self._sentence(keypoint)
        return f"{keypoint.name}: {sentence}" if sentence else keypoint.name

    def ask(self, keypoint: Keypoint, *, first: bool = True) -> str:
        """The text from the end of the image (or of the answer before, with `first=False`) to `Answer:`."""
        sentence = self._sentence(keypoint)
        lines = [self.keypoint.format(sentence=sentence, name=keypoint.name)] if sentence else []
        lines += [self.question.format(name=keypoint.name, sentence=sentence), self.answer]
        return ("\n" if first else "") + "\n".join(lines)

    def _sentence(self, keypoint: Keypoint) -> str:
        return keypoint.sentence and self.sentences.get(keypoint.name, keypoint.sentence)


def wording(name: str | Path) -> Wording:
    """The wording called `posetalk` (ours), or that of a TOML file.

    Raises:
        PosetalkError: unreadable, unknown keys, unknown {fields}.
    """
    return Wording() if name == "posetalk" else Wording.load(name)
