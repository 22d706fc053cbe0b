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


def gpt2_bpe() -> PreTrainedTokenizerFast:
    """GPT-2's way: numbers of two to four digits are words like any other, and there is no token for a start."""
    vocab = {"<|endoftext|>": 0}
    for byte in sorted(pre_tokenizers.ByteLevel.alphabet()):
        vocab[byte] = len(vocab)
    merges = [("1", "2"), ("12", "3"), ("4", "5"), ("0", "."), ("45", "6"), ("]", "Ċ"), ("[", "0")]
    merges += [("Ġ", "["), ("Ġ[", "0")]
    for left, right in merges:
        vocab[left + right] = len(vocab)
    tokenizer = Tokenizer(models.BPE(vocab, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|endoftext|>")


def sentence_pieces(numbers: bool = True, fallback: bool = False) -> PreTrainedTokenizerFast:
    """LLaMA-2's way: spaces become ▁, one stands before every text, digits stand alone (or are unknown).

    fallback: what has no token of its own is written in bytes, as LLaMA-2's newline.
    """
    letters = [chr(c) for c in range(33, 127) if numbers or not chr(c).isdigit()] + ["\n"][: not fallback]
    vocab = {**SPECIAL, "▁": 3}
    for letter in letters + [f"<0x{byte:02X}>" for byte in range(256 if fallback else 0)]:
        vocab[letter] = len(vocab)
    merges = []
    for word in WORDS:
        merges += [(word[:end], word[end]) for end in range(1, len(word))] + [("▁", word)]
    for left, right in merges:
        vocab[left + right] = len(vocab)
    tokenizer = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", byte_fallback=fallback))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always")
    if fallback:
        steps = [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
        tokenizer.decoder = decoders.Sequence(steps)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )


def unigram() -> PreTrainedTokenizerFast:
    """T5's and Gemma's model of words, with a piece for many numbers."""
    pieces = [("<unk>", 0.0), ("<s>", 0.0), ("</s>", 0.0), ("▁", -2.0), ("\n", -3.0)]
    pieces += [(chr(c), -5.0) for c in range(33, 127)]
    pieces += [(number, -6.0) for number in ("123", "456", "0.1", "[0", "▁[0.")]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=0))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="never")
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="never")
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )


def without_ends(tokenizer: PreTrainedTokenizerFast) -> PreTrainedTokenizerFast:
    """With neither a start nor an end token; a pad token is nothing that is asked for."""
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend_tokenizer, pad_token="</s>")


KINDS = {
    "single digits": byte_bpe(1),  # Qwen
    "grouped digits": byte_bpe(3),  # Llama 3, SmolLM3
    "sentence pieces": sentence_pieces(),
    "pieces and bytes": sentence_pieces(fallback=True),  # LLaMA-2, Vicuna
    "numbers as words": gpt2_bpe(),
    "unigram": unigram(),
    "no start and end": without_ends(byte_bpe(3)),
}
tokenizers_ = pytest.mark.parametrize("tokenizer", KINDS.values(), ids=KINDS)


def talk(tokenizer: PreTrainedTokenizerFast) -> Conversation:
    return Conversation(tokenizer, Wording(), len(tokenizer), 4)


def test_the_kinds_are_what_they_are_called() -> None:
    pieces = {name: kind.tokenize("Answer: [0.412") for name, kind in KINDS.items()}
    assert pieces["single digits"][-5:] == ["0", ".", "4", "1", "2"]
    assert pieces["grouped digits"][-3:] == ["0", ".", "412"]
    assert pieces["sentence pieces"] == ["▁Answer", ":", "▁[", "0", ".", "4", "1", "2"]
    assert KINDS["pieces and bytes"].tokenize("nose\n0") == ["▁nose", "<0x0A>", "0"]
    assert KINDS["numbers as words"].tokenize(" [0.123") == ["Ġ[", "0.", "123"]
    assert KINDS["unigram"].tokenize(" [0.123") == ["▁[0.", "123"]
    assert KINDS["no start and end"].bos_token_id is None is KINDS["no start and end"].eos_token_id


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
    starts = tokenizer.bos_token_id is not None
    assert not starts or speech.prefix[0] == tokenizer.bos_token_id
    assert tokenizer.decode(speech.prefix[starts:-4]).strip() == "Image:"
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


@tokenizers_
def test_the_end_stands_behind_an_answer_where_there_is_one(tokenizer: PreTrainedTokenizerFast) -> None:
    close = talk(tokenizer).answer.close
    assert close[1:] == (() if tokenizer.eos_token_id is None else (tokenizer.eos_token_id,))


def test_rows_behind_the_tokenizers_words_are_no_image_and_no_question() -> None:
    """Qwen's language model has 151,936 rows for 151,669 tokens: the image's number is past them all."""
    tokenizer = byte_bpe(1)
    rows = len(tokenizer) + 40
    speech = Conversation(tokenizer, Wording(), rows, 4, rows + 1)
    assert speech.prefix[-4:] == (rows,) * 4
    words = {*speech.question(Keypoint("nose")), *speech.answer.ids(0.123, 0.456), *speech.prefix[:-4]}
    assert max(words) < len(tokenizer)


def test_a_word_that_was_added_to_the_tokenizer_alone_is_refused() -> None:
    """Its number is the image's: as a word of a description it would be taken for the image."""
    tokenizer = byte_bpe(1)
    rows = len(tokenizer)
    tokenizer.add_tokens(["<image>"])
    assert tokenizer.convert_tokens_to_ids("<image>") == rows
    speech = Conversation(tokenizer, Wording(), rows, 4)
    assert speech.question(Keypoint("nose"))
    with pytest.raises(PosetalkError, match="writes '<image>' as number 259; leave '<image>' out"):
        speech.question(Keypoint("nose", "left in the <image>"))


def test_an_added_word_with_a_row_of_its_own_is_a_word() -> None:
    tokenizer = byte_bpe(1)
    tokenizer.add_tokens(["glabella"])
    ids = Conversation(tokenizer, Wording(), len(tokenizer), 4).question(Keypoint("glabella"))
    assert len(tokenizer) - 1 in ids


def test_pieces_in_bytes_without_digits_are_refused() -> None:
    with pytest.raises(PosetalkError, match="has no token '0'"):
        talk(sentence_pieces(numbers=False, fallback=True))
