"""What of a conversation is learned: the answers and the token that ends each, in any chat template."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.tune.conftest import TEMPLATE, tiny_llava
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import LlavaProcessor, PreTrainedTokenizerFast

from posetalk.errors import PosetalkError
from posetalk.tune.collator import IGNORE, ChatCollator

# As LLaVA-1.5's published processor renders: no token of an end, a blank behind every text, no first token.
LLAVA = (
    "{% for m in messages %}{{ m.role | upper }}: {% for p in m.content %}"
    "{% if p.type == 'image' %}{{ '<image>\n' }}{% else %}{{ p.text + ' ' }}{% endif %}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)
CHATML = (
    "<s>{% for m in messages %}[{{ m.role }}]\n{% for p in m.content %}"
    "{% if p.type == 'image' %}<image>{% else %}{{ p.text }}{% endif %}{% endfor %}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant]\n{% endif %}"
)


def words_tokenizer() -> PreTrainedTokenizerFast:
    """A token a character, blanks before words as SentencePiece writes them, and a first token as LLaMA has it."""
    vocab = {"<s>": 0, "</s>": 1, "<unk>": 2}
    for letter in ["▁", *map(chr, range(33, 127)), "\n"]:
        vocab[letter] = len(vocab)
    merges = []
    for letter in map(chr, range(65, 91)):
        vocab[f"▁{letter}"] = len(vocab)  # a blank and a capital are one token
        merges.append(("▁", letter))
    tokenizer = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="first")
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    found = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
    found.add_special_tokens({"additional_special_tokens": ["<image>"]})
    return found


def teacher(template: str, words: bool = False) -> ChatCollator:
    _, processor = tiny_llava()
    return ChatCollator(
        LlavaProcessor(
            processor.image_processor,
            words_tokenizer() if words else processor.tokenizer,
            patch_size=14,
            vision_feature_select_strategy="default",
            chat_template=template,
            num_additional_image_tokens=1,
        )
    )


def learned(of: ChatCollator, turns: list[tuple[str, str]], picture: Path) -> tuple[str, str, Any]:
    """What is learned, what stands before the first of it, and the batch."""
    batch = of.batch([(of.render(turns), picture)])
    [ids], [labels] = batch["input_ids"], batch["labels"]
    kept = labels != IGNORE
    assert (labels[kept] == ids[kept]).all()
    return of.tokenizer.decode(labels[kept]), of.tokenizer.decode(ids[: int(kept.nonzero()[0])]), batch


@pytest.mark.parametrize("words", [False, True])
@pytest.mark.parametrize(
    ("template", "prompt", "blank"),
    [
        (TEMPLATE, "Where?\nassistant: ", ""),
        (LLAVA, "Where? ASSISTANT:", " "),
        (CHATML, "[assistant]\n", ""),
    ],
)
def test_answers_and_their_ends_are_learned_and_nothing_else(
    template: str, prompt: str, blank: str, words: bool, talk: Path
) -> None:
    found = teacher(template, words)
    turns = [("Where?", "Here. ASSISTANT: Where?"), ("And Here?", "There")]
    text, before, _ = learned(found, turns, talk / "pictures" / "0.png")
    expected = "".join(f"{blank}{answer}</s>" for _, answer in turns)
    assert text.replace(" ", "") == expected.replace(" ", "")
    if not words:
        assert text == expected  # and the blank too, where a token of its own writes it
        assert before.endswith(prompt)


def test_what_llava_is_taught_is_what_llava_was_taught(talk: Path) -> None:
    """USER: ... ASSISTANT: answer</s>USER: ...: no blank before the next question, and it learns to stop."""
    lesson = teacher(LLAVA).render([("One?", "Yes."), ("Two?", "No.")])
    assert lesson.text == "USER: <image>\nOne? ASSISTANT: Yes.</s>USER: Two? ASSISTANT: No.</s>"
    assert [lesson.text[start:end] for start, end in lesson.spans] == [" Yes.</s>", " No.</s>"]


def test_the_prompt_is_the_one_that_is_asked_with(talk: Path) -> None:
    """A model in use gets these tokens before it writes, and not a first token twice or not at all."""
    for template in (LLAVA, CHATML):
        found = teacher(template)
        content = [{"type": "image"}, {"type": "text", "text": "Where?"}]
        prompt = found.processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
        )
        _, before, batch = learned(found, [("Where?", "Here.")], talk / "pictures" / "1.png")
        image = "<image>" * int(
            (batch["input_ids"] == found.tokenizer.convert_tokens_to_ids("<image>")).sum()
        )
        assert before.removeprefix("<s>") == prompt.removeprefix("<s>").replace("<image>", image)
        found = teacher(
            template, words=True
        )  # whose tokenizer puts <s> before a text, which CHATML does itself
        lesson = found.render([("Where?", "Here.")])
        [ids] = found.batch([(lesson, talk / "pictures" / "1.png")])["input_ids"].tolist()
        assert ids[0] == 0 and ids.count(0) == 1 and found.length(lesson, (9, 9)) == len(ids)


def test_a_template_that_names_another_end_keeps_it(talk: Path) -> None:
    _, processor = tiny_llava()
    processor.chat_template = CHATML.replace("</s>", "<pad>")
    for stops, expected in (([processor.tokenizer.pad_token_id], "Here.<pad>"), ([], "Here.</s>")):
        text, _, _ = learned(
            ChatCollator(processor, stops), [("Where?", "Here.")], talk / "pictures" / "1.png"
        )
        assert text == expected


@pytest.fixture(scope="module")
def one() -> ChatCollator:
    return teacher(LLAVA)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda text: text.strip())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=3))
def test_any_text_is_learned_whole(one: ChatCollator, talk: Path, turns: list[tuple[str, str]]) -> None:
    try:
        lesson = one.render(turns)
    except PosetalkError:  # a special token, or a character that stands for an answer
        assert any(bad in text for bad in ("<", "\ue000") for turn in turns for text in turn)
        return
    assert [lesson.text[start:end].strip() for start, end in lesson.spans] == [
        f"{answer.strip()}</s>" for _, answer in turns
    ]
    text, _, batch = learned(one, turns, talk / "pictures" / "2.png")
    assert text == "".join(f" {answer.strip()}</s>" for _, answer in turns)
    assert one.length(lesson, (90, 40)) == batch["input_ids"].shape[1]


def test_a_batch_of_many_lengths_is_padded_and_padding_is_not_learned(one: ChatCollator, talk: Path) -> None:
    all_turns = [[("A?", "B")], [("A longer question?", "A much longer answer")] * 3, [("C?", "D")]]
    lessons = [(one.render(turns), talk / "pictures" / f"{n}.png") for n, turns in enumerate(all_turns)]
    batch = one.batch(lessons)
    assert batch["pixel_values"].shape[0] == 3
    for number, turns in enumerate(all_turns):
        row, mask = batch["labels"][number], batch["attention_mask"][number]
        assert one.tokenizer.decode(row[row != IGNORE]) == "".join(f" {a}</s>" for _, a in turns)
        assert int(mask.sum()) == one.length(lessons[number][0], (1, 1)) and not mask.diff().gt(0).any()


@pytest.mark.parametrize(
    ("turns", "reason"),
    [
        ([("Where?", " ")], "empty"),
        ([("", "Here.")], "empty"),
        ([("Where is <image>?", "Here.")], "special token <image>"),
        ([("Where?", "Here.</s>")], "special token </s>"),
        ([("\ue0000\ue001?", "Here.")], "does not write each answer once"),
    ],
)
def test_what_cannot_be_learned_says_why(turns: list[tuple[str, str]], reason: str) -> None:
    with pytest.raises(PosetalkError, match=reason):
        teacher(LLAVA).render(turns)


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        (
            LLAVA.replace("{{ p.text + ' ' }}", "{% if m.role == 'user' %}{{ p.text }}{% endif %}"),
            "each answer",
        ),
        (LLAVA.replace("{{ '<image>\n' }}", ""), "one image once"),
        (LLAVA.replace("{{ '<image>\n' }}", "<image><image>"), "one image once"),
    ],
)
def test_a_template_that_leaves_something_out_is_refused(template: str, reason: str) -> None:
    found = teacher(template)
    with pytest.raises(PosetalkError, match=reason):
        found.length(found.render([("Where?", "Here.")]), (10, 10))


def test_a_tokenizer_without_an_end_is_refused() -> None:
    _, processor = tiny_llava()
    processor.tokenizer.eos_token = None
    with pytest.raises(PosetalkError, match="no token that ends an answer"):
        ChatCollator(processor)


def test_marks_of_generation_agree_where_a_template_has_them(talk: Path) -> None:
    """transformers' own mask as the oracle."""
    found, turns, picture = teacher(TEMPLATE), [("Where?", "Here."), ("When?", "Now.")], "pictures/3.png"
    messages = []
    for number, (question, answer) in enumerate(turns):
        image = [{"type": "image", "path": str(talk / picture)}] if number == 0 else []
        messages += [
            {"role": "user", "content": [*image, {"type": "text", "text": question}]},
            {"role": "assistant", "content": [{"type": "text", "text": answer}]},
        ]
    theirs = found.processor.apply_chat_template(
        messages, tokenize=True, return_dict=True, return_assistant_tokens_mask=True, return_tensors="pt"
    )
    _, _, batch = learned(found, turns, talk / picture)
    assert batch["input_ids"].tolist() == theirs["input_ids"].tolist()
    assert (batch["labels"] != IGNORE).long().tolist() == theirs["assistant_masks"].tolist()
