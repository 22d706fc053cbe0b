"""All thousand values come back from the text of an answer, whatever family the tokenizer is of."""

from __future__ import annotations

import pytest
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from posetalk.errors import PosetalkError
from posetalk.prompt import coordinate
from posetalk.prompt.conversation import Conversation
from posetalk.prompt.wording import Wording
from posetalk.skeleton import Keypoint, load_skeleton

SPECIAL = {"<s>": 0, "</s>": 1, "<unk>": 2}
WORDS = ["[", "Answer", "Question", "nose", "of"]


def digits_of(size: int) -> list[str]:
    return [f"{n:0{size}d}" for n in range(10**size)]


def byte_bpe(group: int, joins: bool = False) -> PreTrainedTokenizerFast:
    """GPT-2's way of bytes; runs of up to `group` digits become one token each (3 in LLaMA-3, 1 in Qwen)."""
    vocab = dict(SPECIAL)
    for byte in sorted(pre_tokenizers.ByteLevel.alphabet()):
        vocab[byte] = len(vocab)
    merges = []
    for size in range(2, group + 1):
        for number in digits_of(size):
            merges.append((number[:-1], number[-1]))
            vocab[number] = len(vocab)
    if joins:
        merges += [(":", "Ġ"), (":Ġ", "[")]
        vocab |= {":Ġ": len(vocab), ":Ġ[": len(vocab) + 1}
    tokenizer = Tokenizer(models.BPE(vocab, merges, ignore_merges=True))
    split = pre_tokenizers.Split(Regex(rf"\d{{1,{group}}}| ?[^\s\d]+|\s+"), "isolated")
    bytes_ = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = bytes_ if joins else pre_tokenizers.Sequence([split, bytes_])
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")


def sentence_pieces(numbers: bool = True) -> PreTrainedTokenizerFast:
    """LLaMA-2's way: spaces become ▁, one stands before every text, digits stand alone (or are unknown)."""
    letters = [chr(c) for c in range(33, 127) if numbers or not chr(c).isdigit()] + ["\n"]
    vocab = {**SPECIAL, "▁": 3}
    for letter in letters:
        vocab[letter] = len(vocab)
    merges = []
    for word in WORDS:
        merges += [(word[:end], word[end]) for end in range(1, len(word))] + [("▁", word)]
    for left, right in merges:
        vocab[left + right] = len(vocab)
    tokenizer = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )


KINDS = {"single digits": byte_bpe(1), "grouped digits": byte_bpe(3), "sentence pieces": sentence_pieces()}
tokenizers_ = pytest.mark.parametrize("tokenizer", KINDS.values(), ids=KINDS)


def talk(tokenizer: PreTrainedTokenizerFast) -> Conversation:
    return Conversation(tokenizer, Wording(), len(tokenizer), 4)


def test_the_kinds_are_what_they_are_called() -> None:
    pieces = {name: kind.tokenize("Answer: [0.412") for name, kind in KINDS.items()}
    assert pieces["single digits"][-5:] == ["0", ".", "4", "1", "2"]
    assert pieces["grouped digits"][-3:] == ["0", ".", "412"]
    assert pieces["sentence pieces"] == ["▁Answer", ":", "▁[", "0", ".", "4", "1", "2"]


@tokenizers_
def test_every_value_round_trips(tokenizer: PreTrainedTokenizerFast) -> None:
    answer = talk(tokenizer).answer
    for step in range(1000):
        x, y = (
            step / 1000,
            (step * 7 + 3) % 1000 / 1000,
        )  # 7 and 1000 have no factor in common: y takes all too
        ids = answer.ids(x, y)
        assert len(ids) == len(answer.ids(0, 0))
        assert coordinate.read(tokenizer.decode(ids, skip_special_tokens=True)) == (x, y)
        assert [answer.digits.index(ids[slot]) for slot in answer.digit_slots] == [
            *coordinate.digits(x),
            *coordinate.digits(y),
        ]


@tokenizers_
def test_a_sequence_reads_as_question_and_answer(tokenizer: PreTrainedTokenizerFast) -> None:
    speech = talk(tokenizer)
    nose = load_skeleton("coco17")["nose"]
    ids = [*speech.question(nose), *speech.answer.ids(0.123, 0.456)]
    text = tokenizer.decode(ids, skip_special_tokens=True)
    assert text.strip() == Wording().ask(nose).strip() + " [0.123,0.456]"
    assert tokenizer.unk_token_id is None or tokenizer.unk_token_id not in ids


@tokenizers_
def test_the_picture_stands_once_after_the_start(tokenizer: PreTrainedTokenizerFast) -> None:
    speech = talk(tokenizer)
    assert speech.prefix[0] == tokenizer.bos_token_id
    assert speech.prefix[-4:] == (len(tokenizer),) * 4 and speech.prefix.count(len(tokenizer)) == 4
    assert len(tokenizer) not in speech.question(Keypoint("nose", "the tip of the nose"))


def test_a_tokenizer_without_digits_is_refused() -> None:
    with pytest.raises(PosetalkError, match="has no token '0'"):
        talk(sentence_pieces(numbers=False))


def test_a_tokenizer_that_joins_colon_and_bracket_writes_the_bare_bracket() -> None:
    tokenizer = byte_bpe(1, joins=True)
    assert tokenizer.tokenize("Answer: [")[-2:] == ["r", ":Ġ["]
    answer = talk(tokenizer).answer
    assert tokenizer.decode(answer.ids(0.123, 0.456), skip_special_tokens=True) == "[0.123,0.456]"
