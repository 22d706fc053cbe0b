"""Ask a vision-language model about an image: any image-text-to-text model that transformers loads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from posetalk.errors import PosetalkError, shown
from posetalk.images.opening import read_image
from posetalk.settings import Dtype
from posetalk.tune.files import load

ImageInput = str | Path | Image.Image


class Chat:
    """A vision-language model and its processor; answers are greedy.

    Args:
        model: an image-text-to-text model of transformers.
        processor: its processor, with a chat template.
        max_new_tokens: tokens of an answer, at most.
    """

    def __init__(self, model: Any, processor: Any, max_new_tokens: int = 256) -> None:
        self.model, self.processor, self.max_new_tokens = model.eval(), processor, max_new_tokens
        self.name = str(model.config._name_or_path or "the model")
        tokenizer = processor.tokenizer
        tokenizer.padding_side = "left"
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        *,
        max_new_tokens: int = 256,
        dtype: Dtype | torch.dtype | None = None,
        device: str | torch.device | None = None,
        device_map: Any = None,
    ) -> Chat:
        """Load a model.

        Args:
            name: a folder (of `tune_model`, a whole model or LoRA adapters), a hub id, or `small` or `tiny`, which are
                made the first time.
            max_new_tokens: tokens of an answer, at most.
            dtype: of the weights, by name or torch's; None for float32 on a CPU, else bfloat16.
            device: a torch device; None for CUDA if there is one, else the CPU; "auto" is `device_map="auto"`.
            device_map: how accelerate spreads the layers over several devices; None for one device.

        Raises:
            PosetalkError: nothing there, damaged files, a model without images or chat template, a device that cannot
                be used.
        """
        return cls(*load(name, dtype, device, device_map), max_new_tokens=max_new_tokens)

    def ask(self, image: ImageInput, question: str) -> str:
        """Ask one question about one image.

        Args:
            image: a path or a PIL image; upright, as its EXIF data says.
            question: the question, without marks of the chat template.

        Returns:
            The answer, stripped.

        Raises:
            PosetalkError: an unreadable image, or a question as for `answer`.
        """
        return self.answer([(image, question)])[0]

    @torch.inference_mode()
    def answer(
        self, questions: Sequence[tuple[ImageInput, str]], max_new_tokens: int | None = None
    ) -> list[str]:
        """Ask a batch of questions.

        Args:
            questions: pairs of an image (a path or a PIL image) and a question about it.
            max_new_tokens: tokens of an answer, at most; for this batch alone.

        Returns:
            An answer for each question, in their order.

        Raises:
            PosetalkError: an unreadable image; a question that is empty, too long or holds special tokens of the
                model; a model whose parts do not fit each other.
        """
        for _, question in questions:
            self._check_question(question)
        images = [_to_rgb(image) for image, _ in questions]
        try:
            return self._answer(images, [self.prompt(question) for _, question in questions], max_new_tokens)
        except PosetalkError:
            raise
        except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
            reason = " ".join(str(error).split())[:300] or type(error).__name__
            raise PosetalkError(
                f"{self.name} cannot answer: {reason}; check that model, processor and template belong together"
            ) from error

    def _check_question(self, question: str) -> None:
        if not question.strip():
            raise PosetalkError("the question is empty; ask something about the image")
        tokenizer = self.processor.tokenizer
        special = (str(getattr(self.processor, "image_token", "<image>")), *tokenizer.all_special_tokens)
        if token := next((token for token in special if token and token in question), None):
            raise PosetalkError(
                f"the question holds {shown(token)}, which {self.name} does not read as words; leave it out, the "
                "image is shown all the same"
            )

    def _check_length(self, length: int, max_new_tokens: int) -> None:
        """Raises PosetalkError: a question and its answer are more tokens than the model takes."""
        limit = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        if isinstance(limit, int) and 0 < limit < length + max_new_tokens:
            raise PosetalkError(
                f"the question and its image are {length:,} tokens, and {max_new_tokens:,} are kept for the answer: "
                f"{self.name} takes {limit:,} in all; ask a shorter question"
            )

    def _answer(self, images: list[Image.Image], texts: list[str], max_new_tokens: int | None) -> list[str]:
        tokenizer = self.processor.tokenizer
        has_bos = tokenizer.bos_token is not None and texts[0].startswith(tokenizer.bos_token)
        batch = self.processor(
            images=images, text=texts, return_tensors="pt", padding=True, add_special_tokens=not has_bos
        ).to(self.model.device)
        self._check_length(int(batch["attention_mask"].sum(1).max()), max_new_tokens or self.max_new_tokens)
        batch["pixel_values"] = batch["pixel_values"].to(self.model.dtype)
        tokens = self.model.generate(
            **batch,
            max_new_tokens=max_new_tokens or self.max_new_tokens,
            do_sample=False,
            pad_token_id=tokenizer.pad_token_id,
        )[:, batch["input_ids"].shape[1] :]
        return [text.strip() for text in tokenizer.batch_decode(tokens, skip_special_tokens=True)]

    def prompt(self, question: str) -> str:
        """The question in the model's own template, the image before it."""
        content = [{"type": "image"}, {"type": "text", "text": question}]
        return str(
            self.processor.apply_chat_template(
                [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
            )
        )


def _to_rgb(image: ImageInput) -> Image.Image:
    if isinstance(image, Image.Image):
        return image.convert("RGB")
    return Image.fromarray(read_image(Path(image)))
