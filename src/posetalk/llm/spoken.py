"""The answer within a model's text: without its thinking and without the marks of its chat template.

A server that knows the model separates both from the answer; others leave them in the text.
"""

from __future__ import annotations

import re
from typing import Any

# `<think>` (Qwen, DeepSeek and most others), `[THINK]` (Mistral), `<seed:think>` (ByteDance), `◁think▷` (Kimi).
_THINKING = re.compile(
    r"<(?P<end>/?)(?:\w{1,9}:)?(?:think|thinking|thought|thoughts|reasoning|reflection)>"
    r"|\[(?P<end_m>/?)THINK\]|◁(?P<end_k>/?)think▷",
    re.IGNORECASE,
)
# gpt-oss: `<|channel|>analysis<|message|>...<|end|><|start|>assistant<|channel|>final<|message|>...<|return|>`.
_CHANNEL, _MESSAGE = "<|channel|>", "<|message|>"
_CHANNEL_END = re.compile(r"<\|(?:end|return|call|start)\|>")
# The same from a server that removes the marks but not the text between them.
_BARE_CHANNELS = re.compile(r"\A\s*analysis(?=[A-Z])")
_BARE_FINAL = "assistantfinal"
_OPENING_MARK = re.compile(
    r"\s*(?:<\|im_start\|>|<\|start_header_id\|>|<start_of_turn>|<\|start\|>|<\|begin_of_text\|>|<bos>|<s>)"
    r"(?:\s*(?:assistant|model)\b)?(?:<\|end_header_id\|>)?\s*"
)
_END_MARK = (
    r"(?:<\|(?:im_end|endoftext|eot_id|eom_id|eot|end_of_text|end_of_turn|end_of_turn_token|end|return|endofturn)\|>"
    r"|</s>|<(?:end_of_turn|end_of_utterance|eos)>|<｜end▁of▁sentence｜>)"
)
_END_MARKS = re.compile(_END_MARK, re.IGNORECASE)
_LEADING_END_MARKS = re.compile(rf"\A(?:\s*{_END_MARK})+", re.IGNORECASE)
_WORD = re.compile(r"\w")


def spoken(text: str) -> str:
    """The text without thinking, up to the first mark that ends a turn.

    After an opening tag that is never closed, all the rest is thinking. Before a closing tag that was never opened, all
    is thinking too, as many chat templates write the opening tag themselves.
    """
    return _up_to_end_mark(_without_opening_marks(_without_thinking(_final_channel(text))))


def text_of(content: Any) -> str:
    """The text of a message's content: a string, or the text parts of a list, joined. Parts of thinking are left out.

    Raises:
        TypeError: the content is anything else.
    """
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise TypeError("content")
    texts = []
    for part in content:
        if isinstance(part, dict) and part.get("type", "text") in ("text", "output_text"):
            part = part.get("text")
            if isinstance(part, dict):  # of the interface for assistants
                part = part.get("value")
        elif isinstance(part, dict):
            continue
        if not isinstance(part, str):
            raise TypeError("content")
        texts.append(part)
    return "".join(texts)


def _final_channel(text: str) -> str:
    """The final channel of a text in channels; empty where it has none. Other texts are returned as they are."""
    if _CHANNEL not in text:
        if not _BARE_CHANNELS.match(text):
            return text
        return text.rpartition(_BARE_FINAL)[2] if _BARE_FINAL in text else ""
    parts = []
    for part in text.split(_CHANNEL)[1:]:
        name, mark, text_of_channel = part.partition(_MESSAGE)
        if mark and name.strip().lower().startswith("final"):
            parts.append(_CHANNEL_END.split(text_of_channel, maxsplit=1)[0])
    return "".join(parts)


def _without_thinking(text: str) -> str:
    parts: list[str] = []
    position, thinking = 0, False
    for tag in _THINKING.finditer(text):
        is_closing = bool(tag["end"] or tag["end_m"] or tag["end_k"])
        if not is_closing and not thinking:
            parts.append(text[position : tag.start()])
        elif is_closing and not thinking:
            parts.clear()
        thinking, position = not is_closing, tag.end()
    if position == 0:
        return text
    if not thinking:
        parts.append(text[position:])
    return "".join(parts).strip()


def _without_opening_marks(text: str) -> str:
    position = 0
    while mark := _OPENING_MARK.match(text, position):
        position = mark.end()
    return text[position:]


def _up_to_end_mark(text: str) -> str:
    """Without marks that end a turn, and without text after them, which a model wrote for somebody else."""
    text = _LEADING_END_MARKS.sub("", text)
    end = _END_MARKS.search(text)
    if end is None:
        return text
    rest = _END_MARKS.sub("", text[end.end() :])
    # where the mark is within JSON, the closing quotes and brackets after it belong to the answer
    return text[: end.start()] + ("" if _WORD.search(rest) else rest.rstrip())
