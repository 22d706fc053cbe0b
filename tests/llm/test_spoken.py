"""Of all that a model writes, what it says: no thinking, no marks of a chat template, no words of somebody else."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posetalk.llm.answer import RequestError, completion_of
from posetalk.llm.request import ChatRequest
from posetalk.llm.spoken import spoken
from posetalk.write.from_model.reply import parse, schema

TEXTS = [
    ("He stands.", "He stands."),
    ("  He stands.\n", "  He stands.\n"),
    ("a < b and <b>bold</b>", "a < b and <b>bold</b>"),
    ("He thinks [that] it is so.", "He thinks [that] it is so."),
    # thinking
    ("<think>\nHm.\n</think>\n\nHe stands.", "He stands."),
    ("<think></think>He stands.", "He stands."),
    ("<THINK>Hm.</THINK> He stands.", "He stands."),
    ("<thinking>Hm.</thinking>He stands.", "He stands."),
    ("<thought>Hm.</thought>He stands.", "He stands."),
    ("<reasoning>Hm.</reasoning>He stands.", "He stands."),
    ("<seed:think>Hm.</seed:think>He stands.", "He stands."),
    ("[THINK]Hm.[/THINK]He stands.", "He stands."),
    ("◁think▷Hm.◁/think▷He stands.", "He stands."),
    ("<think>Hm.", ""),  # cut off, or never closed
    ("He stands.<think>Or not?", "He stands."),
    ("Hm, is he?</think>He stands.", "He stands."),  # the template wrote the opening mark
    ("Hm.</think>", ""),
    ("<think>Hm <think>again</think>, no.</think>He stands.", "He stands."),
    ("<think>Hm.</think>He <think>or she?</think>stands.", "He stands."),
    ("<think>It ends.<|im_end|></think>He stands.", "He stands."),
    ('<think>{"answer": "no"}</think>{"answer": "He stands."}', '{"answer": "He stands."}'),
    # channels
    (
        "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant<|channel|>final<|message|>He stands.<|return|>",
        "He stands.",
    ),
    ("<|channel|>final <|constrain|>JSON<|message|>{}", "{}"),
    ("<|channel|>analysis<|message|>Hm", ""),
    ("analysisWe need one sentence.assistantfinalHe stands.", "He stands."),
    ("analysisWe need one sent", ""),
    ("analysis of the stance: He stands.", "analysis of the stance: He stands."),
    # ends of a turn
    *(
        (f"He stands.{mark}", "He stands.")
        for mark in (
            "<|im_end|>", "</s>", "<|eot_id|>", "<end_of_turn>", "<|endoftext|>", "<|end|>", "<eos>", "<|EOT_ID|>",
            "<|end_of_text|>", "<end_of_utterance>", "<｜end▁of▁sentence｜>", "</s></s></s>",
            "<|im_end|>\n<|endoftext|>",
        )
    ),
    ("</s> He stands.</s>", " He stands."),
    ("<|im_start|>assistant\nHe stands.<|im_end|>", "He stands."),
    ("<|start_header_id|>assistant<|end_header_id|>\n\nHe stands.<|eot_id|>", "He stands."),
    ("<start_of_turn>model\nHe stands.<end_of_turn>", "He stands."),
    ("He stands.<|im_end|>\n<|im_start|>user\nAnd she?<|im_end|>", "He stands."),
    ("He stands.<|endoftext|>Human: And she?", "He stands."),
    ('{"answer": "He stands.</s>"}', '{"answer": "He stands."}'),
    ("<|endoftext|>", ""),
    ("", ""),
]  # fmt: skip


@pytest.mark.parametrize(("text", "said"), TEXTS, ids=range(len(TEXTS)))
def test_what_is_said(text: str, said: str) -> None:
    assert spoken(text) == said
    message = {"message": {"content": text, "reasoning_content": "Hm, hm."}, "finish_reason": "stop"}
    assert completion_of({"choices": [message]}).reply == said


@given(st.text(max_size=60))
def test_plain_text_is_left_alone(text: str) -> None:
    if not any(mark in text for mark in ("<", "[", "◁", "analysis")):
        assert spoken(text) == text


CONTENTS = [
    ([{"type": "text", "text": "He "}, {"type": "text", "text": "stands."}], "He stands."),
    ([{"type": "output_text", "text": "He stands."}], "He stands."),
    ([{"text": "He stands."}], "He stands."),
    (["He ", "stands."], "He stands."),
    ([{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}, {"type": "text", "text": "Up."}], "Up."),
    ([{"type": "reasoning", "text": "Hm."}, {"type": "text", "text": "Up."}], "Up."),
    ([{"type": "reasoning", "summary": []}], ""),
    ([{"type": "text", "text": "<think>Hm."}, {"type": "text", "text": "Hm.</think>Up."}], "Up."),
    ([], ""),
    (None, ""),
]  # fmt: skip


@pytest.mark.parametrize(("content", "said"), CONTENTS, ids=range(len(CONTENTS)))
def test_content_in_parts(content: object, said: str) -> None:
    assert completion_of({"choices": [{"message": {"content": content}}]}).reply == said


@pytest.mark.parametrize(
    "content", [7, {"text": "x"}, [7], [{"type": "text", "text": 7}], [{"type": "text"}]]
)
def test_content_that_is_none(content: object) -> None:
    with pytest.raises(RequestError, match="is no chat completion"):
        completion_of({"choices": [{"message": {"content": content}}]})


def test_what_was_thought_is_counted_though_not_kept() -> None:
    thought = {"message": {"content": "<think>" + "hm " * 400 + "</think>Up."}}
    assert completion_of({"choices": [thought]}).tokens_out > 300


def test_a_reply_without_end_is_cut_off() -> None:
    answer = completion_of({"choices": [{"message": {"content": "x" * 300_000}, "finish_reason": "stop"}]})
    assert len(answer.reply) == 100_000 and answer.end == "cut off"


def test_replies_of_older_ledgers_and_of_others_are_read_the_same() -> None:
    job = ChatRequest("1-detail", 1, "1.jpg", "detail", (), schema("detail", 1, "How?"))
    for thought in ("<think>{}</think>", '<think>{"answer": "No."}</think>'):
        assert parse(job, thought + json.dumps({"answer": "He stands."})) == (("How?", "He stands."),)
