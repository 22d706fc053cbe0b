"""Ask a vision-language model about a picture: any image-text-to-text model that transformers loads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from posetalk.errors import PosetalkError, shown
from posetalk.images.opening import read_image
from posetalk.tune.files import load

Photo = str | Path | Image.Image


class Chat:
    """One model and its processor; greedy answers.

    longest: tokens of an answer, at most.
    """

    def __init__(self, model: Any, processor: Any, longest: int = 256) -> None:
        self.model, self.processor, self.longest = model.eval(), processor, longest
        self.name = str(model.config._name_or_path or "the model")
        tokenizer = processor.tokenizer
        tokenizer.padding_side = "left"
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token

    @classmethod
    def from_pretrained(cls, name: str | Path, *, longest: int = 256, dtype: Any = None) -> Chat:
        """name: a folder (whole, or LoRA adapters), a hub id, `small` or `tiny`. Errors: as `tune.files.load`."""
        return cls(*load(name, dtype=dtype), longest=longest)

    def ask(self, photo: Photo, question: str) -> str:
        """One question about one picture. Errors: a picture that cannot be read."""
        return self.answer([(photo, question)])[0]

    @torch.inference_mode()
    def answer(self, asked: Sequence[tuple[Photo, str]], longest: int | None = None) -> list[str]:
        """Questions about pictures, a batch: an answer each, in their order. longest: for this batch alone. Errors: a
        picture that cannot be read, a question that is empty, too long or holds the model's own marks, a model whose
        parts do not fit each other."""
        for _, question in asked:
            self._check(question)
        images = [_rgb(photo) for photo, _ in asked]
        try:
            return self._answer(images, [self.prompt(question) for _, question in asked], longest)
        except PosetalkError:
            raise
        except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
            said = " ".join(str(error).split())[:300] or type(error).__name__
            raise PosetalkError(
                f"{self.name} cannot answer: {said}; check that model, processor and template belong together"
            ) from error

    def _check(self, question: str) -> None:
        if not question.strip():
            raise PosetalkError("the question is empty; ask something about the picture")
        tokenizer = self.processor.tokenizer
        special = (str(getattr(self.processor, "image_token", "<image>")), *tokenizer.all_special_tokens)
        if mark := next((mark for mark in special if mark and mark in question), None):
            raise PosetalkError(
                f"the question holds {shown(mark)}, which {self.name} does not read as words; leave it out, the "
                "picture is shown all the same"
            )

    def _fits(self, length: int, longest: int) -> None:
        """Errors: a question and its answer that are more tokens than the model takes."""
        takes = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        if isinstance(takes, int) and 0 < takes < length + longest:
            raise PosetalkError(
                f"the question and its picture are {length:,} tokens, and {longest:,} are kept for the answer: "
                f"{self.name} takes {takes:,} in all; ask a shorter question"
            )

    def _answer(self, images: list[Image.Image], texts: list[str], longest: int | None) -> list[str]:
        tokenizer = self.processor.tokenizer
        begun = tokenizer.bos_token is not None and texts[0].startswith(tokenizer.bos_token)
        batch = self.processor(
            images=images, text=texts, return_tensors="pt", padding=True, add_special_tokens=not begun
        ).to(self.model.device)
        self._fits(int(batch["attention_mask"].sum(1).max()), longest or self.longest)
        batch["pixel_values"] = batch["pixel_values"].to(self.model.dtype)
        said = self.model.generate(
            **batch,
            max_new_tokens=longest or self.longest,
            do_sample=False,
            pad_token_id=tokenizer.pad_token_id,
        )[:, batch["input_ids"].shape[1] :]
        return [text.strip() for text in tokenizer.batch_decode(said, skip_special_tokens=True)]

    def prompt(self, question: str) -> str:
        """The question in the model's own template, the picture before it."""
        content = [{"type": "image"}, {"type": "text", "text": question}]
        return str(
            self.processor.apply_chat_template(
                [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
            )
        )


def _rgb(photo: Photo) -> Image.Image:
    if isinstance(photo, Image.Image):
        return photo.convert("RGB")
    return Image.fromarray(read_image(Path(photo)))
