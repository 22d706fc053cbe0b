"""A text encoder reads the questions: it stays as it was, what follows it learns, and it is saved with the model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tests.conftest import byte_tokenizer
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.normalizers import Lowercase
from tokenizers.pre_tokenizers import Whitespace
from transformers import BertConfig, BertModel, LlamaConfig, LlamaModel

from posetalk.errors import PosetalkError
from posetalk.locate.decode import read
from posetalk.locate.localizer import Localizer
from posetalk.model.adapters import set_trainable, trainable_parameters
from posetalk.model.files import build, conversation, load, save
from posetalk.model.posellm import PoseLLM
from posetalk.model.question_encoder import QuestionEncoder, side_tokens
from posetalk.prompt.conversation import Conversation
from posetalk.settings import ModelSettings
from posetalk.skeleton import Keypoint
from posetalk.types import Box

KEYPOINTS = [
    Keypoint("left heel", "the back of the left foot"),
    Keypoint("navel"),
    Keypoint("right knee", "where the right leg bends"),
]


@pytest.fixture(scope="module", params=["bert", "llama"])
def settings(request: pytest.FixtureRequest, tiny_settings: ModelSettings, tmp_path_factory) -> ModelSettings:
    """A network whose questions are read by a small text encoder, of one kind or another."""
    torch.manual_seed(0)
    tokenizer = byte_tokenizer()
    sizes = {"vocab_size": len(tokenizer), "hidden_size": 24, "intermediate_size": 48}
    sizes |= {"num_hidden_layers": 2, "num_attention_heads": 2}
    encoder = (
        BertModel(BertConfig(**sizes), add_pooling_layer=False)
        if request.param == "bert"
        else LlamaModel(LlamaConfig(**sizes))
    )
    folder = tmp_path_factory.mktemp(request.param)
    encoder.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    changes = {"question_encoder": str(folder), "readout": "point", "reading": "once", "cells": 2}
    return tiny_settings.model_copy(update=changes)


def talk_of(model: PoseLLM, tokenizer: object) -> Conversation:
    return conversation(model.config, tokenizer, model.question_tokenizer)


def test_questions_read_together_are_those_read_alone(settings: ModelSettings) -> None:
    model, tokenizer = build(settings)
    talk = talk_of(model.eval(), tokenizer)
    many = [Keypoint(f"part {'x' * (n % 7)}{n}", "somewhere" * (n % 3)) for n in range(40)]
    together = read(model, talk, many)
    again, _ = build(settings)
    again.eval().load_state_dict(model.state_dict())
    for keypoint, question in zip(many, together, strict=True):
        assert question.shape == (1, model.config.text_config.hidden_size)
        torch.testing.assert_close(question, read(again, talk, [keypoint])[0], rtol=1e-4, atol=1e-5)
    assert len({tuple(q.flatten().tolist()) for q in together}) == 40


def test_training_leaves_out_what_the_encoder_gives_not_what_it_reads(settings: ModelSettings) -> None:
    model, tokenizer = build(settings)
    talk = talk_of(model, tokenizer)
    rows = [torch.tensor(talk.question(keypoint)) for keypoint in KEYPOINTS]
    questions = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    lengths = torch.tensor([len(row) for row in rows])
    encoder, reader = model.model.question_encoder, model.model.question_reader
    vectors = encoder.eval().encode(questions, lengths)
    torch.testing.assert_close(encoder.train().encode(questions, lengths), vectors)
    reader.train()
    assert not torch.equal(reader(vectors), reader(vectors))
    reader.eval()
    torch.testing.assert_close(reader(vectors), reader(vectors))


def words_tokenizer() -> Tokenizer:
    words = ["[UNK]", "left", "right", "heel", "the", "of"]
    tokenizer = Tokenizer(WordLevel({word: n for n, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = Lowercase(), Whitespace()
    return tokenizer


@pytest.mark.parametrize(
    ("question", "sides"),
    [
        ("left heel", (1, 0)),
        ("the heel, RIGHT", (0, 1)),
        ("heel", (0, 0)),
        ("the left of the right heel", (1, 1)),
        ("the cleft of the heel", (0, 0)),
    ],
)
def test_sides_are_told_apart(question: str, sides: tuple[int, int]) -> None:
    """Beside the encoder's vector, whatever stands behind a question's end."""
    tokenizer = words_tokenizer()
    config = BertConfig(vocab_size=6, hidden_size=8, num_hidden_layers=1, num_attention_heads=2)
    encoder = QuestionEncoder(BertModel(config, add_pooling_layer=False), side_tokens(tokenizer)).eval()
    ids = tokenizer.encode(question).ids
    padded = torch.tensor([ids, [*ids[:-1], 1]])[:, : len(ids)]
    found = encoder(torch.cat([padded, torch.full((2, 2), 2)], 1), torch.tensor([len(ids), len(ids)]))
    assert found.shape == (2, 10)
    assert tuple(found[0, -2:].int().tolist()) == sides


def test_tokens_of_sides_are_found_in_every_vocabulary() -> None:
    tokens = {"\u0120left": 0, "left": 1, "\u2581right": 2, "Right": 3, "##left": 4, "leftover": 5}
    vocabulary = Tokenizer(WordLevel(tokens, unk_token="left"))
    assert side_tokens(vocabulary) == [[0, 1], [2, 3]]


@pytest.mark.parametrize("tuning", ["layers", "lora"])
def test_the_encoder_is_frozen_and_the_reader_learns(settings: ModelSettings, tuning: str) -> None:
    model, _ = build(settings)
    chosen = settings.model_copy(update={"tune_vision_encoder": "frozen", "tune_language_model": tuning})
    network = set_trainable(model, chosen)
    learned = {name for name, p in network.named_parameters() if p.requires_grad}
    assert not any("question_encoder" in name for name in learned)
    assert any("question_reader" in name for name in learned)
    assert trainable_parameters(network)["readout"] > 0


def test_it_comes_back_from_its_folder(settings: ModelSettings, tmp_path: Path) -> None:
    model, tokenizer = build(settings)
    save(model, tokenizer, tmp_path / "saved")
    again, tokenizer_again = load(tmp_path / "saved")
    assert again.config.question_config.model_type == model.config.question_config.model_type
    picture = np.random.default_rng(1).integers(0, 255, (80, 60, 3), np.uint8)
    first, second = (
        Localizer(m, t).set_image(picture).locate([Box(5, 5, 40, 60)], KEYPOINTS)
        for m, t in ((model, tokenizer), (again, tokenizer_again))
    )
    np.testing.assert_allclose(first.xy, second.xy, atol=1e-3)


def test_adapters_find_the_encoder_where_it_was(settings: ModelSettings, tmp_path: Path) -> None:
    model, tokenizer = build(settings)
    talk = talk_of(model, tokenizer)
    adapted = set_trainable(model, settings.model_copy(update={"tune_vision_encoder": "lora"}))
    with torch.no_grad():
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter.add_(0.01)
    save(adapted, tokenizer, tmp_path, "adapters")
    again, _ = load(tmp_path)
    expected = torch.cat(read(adapted.eval().get_base_model(), talk, KEYPOINTS))
    torch.testing.assert_close(torch.cat(read(again, talk, KEYPOINTS)), expected, rtol=1e-4, atol=1e-5)


def test_a_folder_without_the_tokenizer_is_told(settings: ModelSettings, tmp_path: Path) -> None:
    save(*build(settings), tmp_path)
    (tmp_path / "question_tokenizer.json").unlink()
    with pytest.raises(PosetalkError, match=r"question_tokenizer.json"):
        load(tmp_path)


def test_it_reads_apart_from_the_image_alone(settings: ModelSettings) -> None:
    with pytest.raises(PosetalkError, match="set reading to 'once'"):
        build(settings.model_copy(update={"reading": "inline"}))


def test_names_as_people_type_them(settings: ModelSettings, tmp_path: Path) -> None:
    model, tokenizer = build(settings)
    model.config.keypoints = ["left knee", "nose"]
    localizer = Localizer(model, tokenizer)
    asked = ["left knee", "LEFT KNEE", "Left knee", "left knees", "left kne", "chin"]
    assert [point.name for point in localizer.questions(asked)] == asked
    capitals = talk_of(model, tokenizer).ignores_case
    assert localizer.trained_on(asked) == (True, capitals, capitals, False, False, False)
    for name in ("lft knee", "L_knee", "kneeLeft"):
        with pytest.raises(PosetalkError, match="did you mean left knee"):
            localizer.questions([name])
