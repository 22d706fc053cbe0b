"""What a model says, out of all that it writes: without its thinking, and without the marks of its chat template.

A server that knows the model keeps both apart from the answer; others leave them in the text.
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
# The same from a server that leaves such marks out, and not what stands between them.
_BARE_CHANNELS = re.compile(r"\A\s*analysis(?=[A-Z])")
_BARE_FINAL = "assistantfinal"
_BEGIN = re.compile(
    r"\s*(?:<\|im_start\|>|<\|start_header_id\|>|<start_of_turn>|<\|start\|>|<\|begin_of_text\|>|<bos>|<s>)"
    r"(?:\s*(?:assistant|model)\b)?(?:<\|end_header_id\|>)?\s*"
)
_MARK = (
    r"(?:<\|(?:im_end|endoftext|eot_id|eom_id|eot|end_of_text|end_of_turn|end_of_turn_token|end|return|endofturn)\|>"
    r"|</s>|<(?:end_of_turn|end_of_utterance|eos)>|<｜end▁of▁sentence｜>)"
)
_END = re.compile(_MARK, re.IGNORECASE)
_ENDS_BEFORE = re.compile(rf"\A(?:\s*{_MARK})+", re.IGNORECASE)
_WORD = re.compile(r"\w")


def spoken(text: str) -> str:
    """The text without thinking, whole or cut off, and up to the first mark that ends a turn.

    Thinking that was never closed takes all the rest with it: the text is then empty, or what stood before. What
    stands before a closing mark alone is thinking too, as many chat templates write the opening one themselves.
    """
    return _ended(_begun(_thought_out(_final(text))))


def text_of(content: Any) -> str:
    """The text of a message's content: itself, or its parts of text one after the other; what is thought is none.

    Errors: TypeError for anything else.
    """
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise TypeError("content")
    found = []
    for part in content:
        if isinstance(part, dict) and part.get("type", "text") in ("text", "output_text"):
            part = part.get("text")
            if isinstance(part, dict):  # of the interface for assistants
                part = part.get("value")
        elif isinstance(part, dict):
            continue
        if not isinstance(part, str):
            raise TypeError("content")
        found.append(part)
    return "".join(found)


def _final(text: str) -> str:
    """Of a text in channels the last, which is for the reader; nothing where it is not there."""
    if _CHANNEL not in text:
        if not _BARE_CHANNELS.match(text):
            return text
        return text.rpartition(_BARE_FINAL)[2] if _BARE_FINAL in text else ""
    found = []
    for part in text.split(_CHANNEL)[1:]:
        name, mark, said = part.partition(_MESSAGE)
        if mark and name.strip().lower().startswith("final"):
            found.append(_CHANNEL_END.split(said, maxsplit=1)[0])
    return "".join(found)


def _thought_out(text: str) -> str:
    """Without thinking."""
    parts: list[str] = []
    place, thinking = 0, False
    for mark in _THINKING.finditer(text):
        ends = bool(mark["end"] or mark["end_m"] or mark["end_k"])
        if not ends and not thinking:
            parts.append(text[place : mark.start()])
        elif ends and not thinking:
            parts.clear()
        thinking, place = not ends, mark.end()
    if place == 0:
        return text
    if not thinking:
        parts.append(text[place:])
    return "".join(parts).strip()


def _begun(text: str) -> str:
    """Without the marks before an answer."""
    place = 0
    while mark := _BEGIN.match(text, place):
        place = mark.end()
    return text[place:]


def _ended(text: str) -> str:
    """Without marks that end a turn, and without what a model went on to say for somebody else."""
    text = _ENDS_BEFORE.sub("", text)
    found = _END.search(text)
    if found is None:
        return text
    rest = _END.sub("", text[found.end() :])
    # a mark within JSON: the closing quotes and brackets are the text's own
    return text[: found.start()] + ("" if _WORD.search(rest) else rest.rstrip())
