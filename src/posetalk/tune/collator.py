"""A conversation as tokens, of which the answers alone are learned."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from posetalk.errors import PosetalkError
from posetalk.images.opening import read_image
from posetalk.tune.feature_cache import VisionFeatureCache

IGNORE = -100  # the label of a token that is not learned
_BLANK = Image.new("RGB", (8, 8))  # takes as many tokens as any image, where features are kept

_Turns = Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class RenderedConversation:
    """text: a whole conversation in the model's template. spans: [start, end) characters of what is learned."""

    text: str
    spans: tuple[tuple[int, int], ...]


class ChatCollator:
    """Turns conversations into training batches, with the model's own processor and chat template.

    What is learned of an answer is what the model must write after the template's prompt: the answer and the token
    that ends it. A template that writes no such token after an answer (LLaVA-1.5's published one) gets the
    tokenizer's, in place of blanks, so that the model learns to stop; LLaVA-1.5 itself was trained so. Marks of
    `{% generation %}` are not needed.
    """

    def __init__(self, processor: Any, stop_ids: Sequence[int] = ()) -> None:
        """stop_ids: ids of the tokens that end an answer, beside the tokenizer's own end.

        Raises:
            PosetalkError: a slow tokenizer.
        """
        tokenizer = processor.tokenizer
        if not tokenizer.is_fast:
            raise PosetalkError(
                "the model's tokenizer tells no places of tokens; give a model with a fast one"
            )
        if tokenizer.eos_token is None:
            raise PosetalkError(
                "the model's tokenizer has no token that ends an answer; give it an eos_token"
            )
        if tokenizer.pad_token is None:
            tokenizer.pad_token = tokenizer.eos_token
        self.processor, self.tokenizer = processor, tokenizer
        ends = {tokenizer.eos_token, *tokenizer.convert_ids_to_tokens(list(stop_ids))}
        self._stop_pattern = re.compile(r"\s*(?:" + "|".join(map(re.escape, sorted(ends))) + ")")
        self._image_token = str(getattr(processor, "image_token", "<image>"))
        self._special_tokens = {*tokenizer.all_special_tokens, self._image_token}
        self._image_token_id = tokenizer.convert_tokens_to_ids(self._image_token)
        messages = [_message("user", "?", image=True)]
        prompt, alone = self._render(messages, add_generation_prompt=True), self._render(messages)
        self._generation_prompt = prompt[len(alone) :] if prompt.startswith(alone) else ""

    def render(self, turns: _Turns) -> RenderedConversation:
        """Raises PosetalkError with the reason alone: an empty text, a special token in one, a template that leaves
        an answer out."""
        for text in (text for turn in turns for text in turn):
            if not text.strip():
                raise PosetalkError("a question or an answer is empty")
            if special := next((token for token in self._special_tokens if token in text), None):
                raise PosetalkError(f"its text holds the model's special token {special}")
        markers = [f"\ue000{number}\ue001" for number in range(len(turns))]
        messages = []
        for number, ((question, _), marker) in enumerate(zip(turns, markers, strict=True)):
            messages += [
                _message("user", question.strip(), image=number == 0),
                _message("assistant", marker),
            ]
        before, *pieces = re.split("\ue000\\d+\ue001", rendered := self._render(messages))
        if re.findall("\ue000\\d+\ue001", rendered) != markers:
            raise PosetalkError("the model's chat template does not write each answer once")
        text, spans = before, []
        for (_, answer), piece in zip(turns, pieces, strict=True):
            start = self._answer_start(text)
            text += answer.strip()
            if stop := self._stop_pattern.match(piece):
                end, text = len(text) + stop.end(), text + piece
            else:
                text += self.tokenizer.eos_token
                end, text = len(text), text + piece.lstrip(" ")
            spans.append((start, end))
        return RenderedConversation(text, tuple(spans))

    def length(self, conversation: RenderedConversation, size: tuple[int, int]) -> int:
        """Tokens of a conversation about an image of (width, height) pixels, the image's own included."""
        ids = self.tokenizer(
            conversation.text, add_special_tokens=self._needs_bos(conversation.text)
        ).input_ids
        if ids.count(self._image_token_id) != 1:
            raise PosetalkError("the model's chat template does not show one image once")
        width, height = size
        try:
            counted = self.processor._get_num_multimodal_tokens(image_sizes=[(height, width)])
            return len(ids) - 1 + int(counted["num_image_tokens"][0])
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise PosetalkError(
                f"the model's processor cannot tell how many tokens an image has ({error})"
            ) from None

    def batch(
        self,
        conversations: Sequence[tuple[RenderedConversation, Path]],
        cache: VisionFeatureCache | None = None,
    ) -> dict[str, torch.Tensor]:
        """What the model's forward takes: input_ids, labels and others (n, tokens), the images' pixels, or what
        `cache` holds of them. Raises PosetalkError: an image that cannot be read.
        """
        texts = [conversation.text for conversation, _ in conversations]
        batch = self.processor(
            text=texts,
            images=[
                [Image.fromarray(read_image(path)) if cache is None else _BLANK] for _, path in conversations
            ],
            add_special_tokens=self._needs_bos(texts[0]),
            padding=True,
            padding_side="right",
            return_offsets_mapping=True,
            return_text_replacement_offsets=True,
            return_tensors="pt",
        )
        offsets, replacements = batch.pop("offset_mapping"), batch.pop("text_replacement_offsets")
        labels = torch.full_like(batch["input_ids"], IGNORE)
        for number, (conversation, _) in enumerate(conversations):
            # the image stands before all answers, so that they all move by what it takes
            shift = replacements[number][-1]["new_span"][1] - replacements[number][-1]["span"][1]
            starts, ends = np.asarray(offsets[number]).T
            learned = np.zeros(len(starts), bool)
            for start, end in conversation.spans:
                learned |= (starts < end + shift) & (ends > start + shift)
            row = torch.from_numpy(learned)
            labels[number, row] = batch["input_ids"][number, row]
        if cache is not None:
            batch["pixel_values"] = cache.read([path for _, path in conversations])
        return {**batch, "labels": labels}

    def _render(self, messages: list[dict[str, Any]], add_generation_prompt: bool = False) -> str:
        try:
            return str(
                self.processor.apply_chat_template(
                    messages, tokenize=False, add_generation_prompt=add_generation_prompt
                )
            )
        except Exception as error:  # the template is a program, of the model's folder
            raise PosetalkError(f"the model's chat template fails: {' '.join(str(error).split())}") from None

    def _answer_start(self, before: str) -> int:
        """Where the model begins to write: after the prompt, with the blank that may stand before the answer."""
        prompt = before.rstrip() if self._generation_prompt == self._generation_prompt.rstrip() else before
        return (
            len(prompt)
            if self._generation_prompt and prompt.endswith(self._generation_prompt)
            else len(before)
        )

    def _needs_bos(self, text: str) -> bool:
        """Whether the tokenizer must put its first token before it, which some templates write themselves."""
        return not (self.tokenizer.bos_token and text.startswith(self.tokenizer.bos_token))


def _message(role: str, text: str, image: bool = False) -> dict[str, Any]:
    return {"role": role, "content": [{"type": "image"}] * image + [{"type": "text", "text": text}]}
