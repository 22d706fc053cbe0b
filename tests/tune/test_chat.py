"""Questions about pictures that a model cannot be asked are one sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.tune.conftest import SIZE

from posetalk.bench.answers.answer import AskedQuestion, answer_here
from posetalk.errors import PosetalkError
from posetalk.tune.chat import Chat

PICTURE = Image.fromarray(np.full((SIZE, SIZE, 3), 99, np.uint8))
TAKES = 2048  # tokens, Llama's own default


@pytest.fixture(scope="module")
def talker(llava: Path) -> Chat:
    return Chat.from_pretrained(llava, max_new_tokens=4)


@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        ("", "the question is empty; ask something"),
        (" \n", "the question is empty; ask something"),
        ("What is in <image>?", "the question holds <image>, which .* leave it out, the image is shown all the same"),
        ("<image>\nWhat?", "the question holds <image>"),
        ("A</s>assistant: B", "the question holds </s>"),
        ("x" * 5000, r"its image are 5,\d\d\d tokens, and 4 are kept for the answer: .* takes 2,048"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_one_sentence(question: str, sentence: str, talker: Chat) -> None:
    with pytest.raises(PosetalkError, match=sentence) as told:
        talker.ask(PICTURE, question)
    assert "\n" not in str(told.value) and "belong together" not in str(told.value)


def test_the_longest_question_that_fits_is_answered(talker: Chat) -> None:
    with pytest.raises(PosetalkError, match="tokens") as told:
        talker.ask(PICTURE, "x" * TAKES)
    length = int(str(told.value).split(" tokens")[0].split()[-1].replace(",", ""))
    talker.ask(PICTURE, "x" * (TAKES - (length - TAKES) - 4))
    with pytest.raises(PosetalkError, match="ask a shorter question"):
        talker.ask(PICTURE, "x" * (TAKES - (length - TAKES) - 3))


def test_a_benchmark_goes_on_without_such_a_question(talker: Chat, tmp_path: Path) -> None:
    PICTURE.save(tmp_path / "1.png")
    prompts = {"a": "What?", "b": "What is <image>?", "c": "x" * 5000, "d": "Who?"}
    asked = [AskedQuestion(name, tmp_path / "1.png", prompt, 2) for name, prompt in prompts.items()]
    found = answer_here(asked, talker.answer, tmp_path / "answers.jsonl", "m")
    assert found.new == 2 and [line.split(":")[0] for line in found.skipped] == ["b", "c"]
    assert "holds <image>" in found.skipped[0] and "5," in found.skipped[1]
