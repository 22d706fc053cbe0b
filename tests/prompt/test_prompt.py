"""Coordinates and questions survive any tokenizer."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from posetalk.errors import PosetalkError
from posetalk.prompt import coordinate
from posetalk.prompt.conversation import Conversation
from posetalk.prompt.wording import Wording, wording
from posetalk.skeleton import Keypoint


def byte_tokenizer(grouped: bool) -> PreTrainedTokenizerFast:
    """Bytes alone, or with a token for each number of three digits, as LLaMA-3 has."""
    vocab = {"<s>": 0, "</s>": 1}
    for byte in sorted(pre_tokenizers.ByteLevel.alphabet()):
        vocab[byte] = len(vocab)
    merges: list[tuple[str, str]] = []
    for left, right in [(1, 1), (2, 1)] if grouped else []:
        for number in range(10 ** (left + right)):
            text = f"{number:0{left + right}d}"
            merges.append((text[:left], text[left:]))
            vocab[text] = len(vocab)
    tokenizer = Tokenizer(models.BPE(vocab, merges, ignore_merges=True))
    threes = pre_tokenizers.Split(Regex("[0-9]{1,3}"), "isolated")
    bytes_ = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([threes, bytes_])
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")


SINGLE, GROUPED = byte_tokenizer(False), byte_tokenizer(True)
UNIT = st.floats(0, 1)


def test_the_grouped_tokenizer_groups() -> None:
    assert len(GROUPED("0.412", add_special_tokens=False)["input_ids"]) == 3


@given(UNIT, UNIT)
def test_coordinates_round_trip(x: float, y: float) -> None:
    text = coordinate.write(x, y)
    for value, read in zip((x, y), coordinate.read(text), strict=True):
        assert abs(value - read) <= (0.0005 if value < 0.9995 else 0.001) + 1e-12
    assert coordinate.write(*coordinate.read(text)) == text


@pytest.mark.parametrize("tokenizer", [SINGLE, GROUPED], ids=["single digits", "grouped digits"])
@given(x=UNIT, y=UNIT)
def test_every_tokenizer_writes_six_digits(tokenizer: PreTrainedTokenizerFast, x: float, y: float) -> None:
    answer = Conversation(tokenizer, Wording(), len(tokenizer), 4).answer
    ids = answer.ids(x, y)
    assert tokenizer.decode(ids, skip_special_tokens=True).strip() == coordinate.write(x, y)
    assert all(ids[slot] in answer.digits for slot in answer.digit_slots) and len(answer.digit_slots) == 6


@pytest.mark.parametrize("value", [-0.001, 1.001, float("nan"), float("inf")])
def test_coordinates_outside_the_crop_are_refused(value: float) -> None:
    with pytest.raises(PosetalkError, match=r"outside 0\.\.1"):
        coordinate.write(value, 0.5)


def test_a_wording_file_replaces_the_words(tmp_path: Path) -> None:
    file = tmp_path / "words.toml"
    file.write_text('question = "Question: {name}?"\n[sentences]\nchin = "own words"\n')
    words = wording(file)
    assert words.ask(Keypoint("chin", "lowest point")) == "\nKeypoint: own words\nQuestion: chin?\nAnswer:"
    assert words.ask(Keypoint("chin"), first=False) == "Question: chin?\nAnswer:"


@pytest.mark.parametrize("text", ['question = "{nam}"', "color = 1", "question = ["])
def test_bad_wording_files_are_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "words.toml"
    file.write_text(text)
    with pytest.raises(PosetalkError, match=r"words\.toml"):
        wording(file)
