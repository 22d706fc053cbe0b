"""A run learns, repeats itself, goes on after a kill as if nothing had been, and leaves a plain model behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from tests.tune.conftest import tiny
from transformers import AutoModelForImageTextToText, AutoProcessor

from posetalk.errors import PosetalkError
from posetalk.tune.chat import Chat
from posetalk.tune.collator import IGNORE, ChatCollator
from posetalk.tune.data import tuning_examples
from posetalk.tune.merge import merge
from posetalk.tune.run import tune_model
from posetalk.tune.settings import Replay, Source, TuneSettings


def logged(out: Path, key: str = "loss") -> list[float]:
    return [json.loads(line)[key] for line in (out / "log.jsonl").read_text().splitlines()]


def weights(out: Path) -> dict[str, torch.Tensor]:
    return load_file(out / "model.safetensors")


def same(one: Path, two: Path, rtol: float = 1e-5, atol: float = 1e-6) -> None:
    for key in ("loss", "learning_rate", "grad_norm"):
        assert logged(one, key) == pytest.approx(logged(two, key), rel=1e-5)
    found, expected = weights(one), weights(two)
    assert found.keys() == expected.keys()
    for name, weight in expected.items():
        torch.testing.assert_close(found[name], weight, rtol=rtol, atol=atol, msg=name)


@pytest.fixture(scope="module")
def done(llava: Path, talk: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tune_model(tiny(llava, talk), tmp_path_factory.mktemp("runs") / "done")


def test_the_merged_model_is_the_adapted_one_in_a_plain_folder(done: Path, llava: Path, talk: Path) -> None:
    """What transformers loads from the run's folder answers as the adapters on their model do, and not as before."""
    processor, merged = AutoProcessor.from_pretrained(done), AutoModelForImageTextToText.from_pretrained(done)
    plain = AutoModelForImageTextToText.from_pretrained(llava)
    teacher = ChatCollator(processor)
    found = tuning_examples(tiny(llava, talk).data[0], teacher, 500, [])
    batch = teacher.batch([(example.conversation, example.image) for example in found[:3]])
    before = plain(**batch).logits
    adapted = PeftModel.from_pretrained(plain, done / "adapters").eval()
    with torch.no_grad():
        torch.testing.assert_close(merged(**batch).logits, adapted(**batch).logits, rtol=1e-4, atol=1e-5)
    assert (merged(**batch).logits - before).abs().max() > 0.01
    assert processor.chat_template == AutoProcessor.from_pretrained(llava).chat_template
    assert merged.generation_config.eos_token_id == 1
    names = {path.name for path in done.iterdir()}
    assert {
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "chat_template.jinja",
        "run.toml",
    } <= names
    pickles = [path for path in done.rglob("*.bin") if "checkpoints" not in path.parts]
    assert not pickles and not list((done / "adapters").glob("*.md"))
    assert TuneSettings.load(done / "run.toml") == tiny(llava, talk)


def test_both_forms_talk(done: Path, talk: Path) -> None:
    photo = talk / "pictures" / "0.png"
    merged, adapters = (
        Chat.from_pretrained(f, max_new_tokens=8).ask(photo, "Where?") for f in (done, done / "adapters")
    )
    assert merged == adapters


def test_the_tower_is_frozen_and_connector_and_language_move(done: Path, llava: Path) -> None:
    before, after = weights(llava), weights(done)
    assert before.keys() == after.keys()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert not [name for name in moved if "vision_tower" in name]
    assert {name for name in before if "projector" in name} <= moved
    linear = {name for name in before if "language_model" in name and "_proj.weight" in name}
    assert len(linear) == 14 and linear <= moved
    assert "language_model.lm_head.weight" not in moved and not [name for name in moved if "embed" in name]


# of a random network adapters can change little: its words and its head stay as they are
@pytest.mark.parametrize(("method", "share"), [("lora", 0.97), ("qlora", 0.97), ("full", 0.8)])
def test_the_loss_falls(method: Any, share: float, llava: Path, talk: Path, tmp_path: Path) -> None:
    out = tune_model(
        tiny(llava, talk, method=method, max_steps=20, lora_dropout=0.0, save_steps=100), tmp_path / "out"
    )
    losses = logged(out)
    assert len(losses) == 20 and sum(losses[-3:]) < share * sum(losses[:3])
    if method == "full":
        assert not (out / "adapters").exists()
        AutoModelForImageTextToText.from_pretrained(out)
        moved = [n for n, w in weights(llava).items() if not torch.equal(w, weights(out)[n])]
        assert not [name for name in moved if "vision" in name] and [
            name for name in moved if "embed" in name
        ]


@pytest.mark.parametrize("method", ["lora", "full"])
def test_the_loss_is_the_models_own_of_all_answers(
    method: Any, llava: Path, talk: Path, tmp_path: Path
) -> None:
    """Though the head is run for what is learned alone."""
    settings = tiny(
        llava, talk, method=method, batch_size=10, per_device_batch_size=5, max_steps=1, lora_dropout=0.0
    )
    out = tune_model(settings, tmp_path / "out")
    model = AutoModelForImageTextToText.from_pretrained(llava)
    teacher = ChatCollator(AutoProcessor.from_pretrained(llava))
    every = tuning_examples(settings.data[0], teacher, 500, [])
    with torch.no_grad():
        loss = model(**teacher.batch([(one.conversation, one.image) for one in every])).loss
    assert logged(out) == pytest.approx([float(loss)], rel=1e-5)


def test_the_connector_has_its_own_rate(llava: Path, talk: Path, tmp_path: Path) -> None:
    out = tune_model(tiny(llava, talk, max_steps=2, connector_learning_rate=1e-30), tmp_path / "out")
    before, after = weights(llava), weights(out)
    for name, weight in before.items():
        if "projector" in name:
            torch.testing.assert_close(after[name], weight, rtol=0, atol=1e-20)
    assert any(not torch.equal(weight, after[name]) for name, weight in before.items())


def test_a_seed_is_a_run(done: Path, llava: Path, talk: Path, tmp_path: Path) -> None:
    """Dropout is on: its draws are the seed's too."""
    same(tune_model(tiny(llava, talk), tmp_path / "again"), done, rtol=0, atol=0)
    other = tune_model(tiny(llava, talk, seed=7), tmp_path / "other")
    assert logged(other) != logged(done)


def test_activations_computed_again_change_nothing(
    done: Path, llava: Path, talk: Path, tmp_path: Path
) -> None:
    same(tune_model(tiny(llava, talk, gradient_checkpointing=True), tmp_path / "again"), done)


def test_a_finished_run_is_not_run_again_and_other_settings_are_refused(
    llava: Path, talk: Path, tmp_path: Path
) -> None:
    settings = tiny(llava, talk, max_steps=2)
    out = tune_model(settings, tmp_path / "out")
    log, model = (out / "log.jsonl").read_text(), weights(out)
    (out / "model.safetensors").unlink()  # killed before it was merged
    tune_model(settings, out)
    assert (out / "log.jsonl").read_text() == log
    assert all(torch.equal(weight, model[name]) for name, weight in weights(out).items())
    with pytest.raises(PosetalkError, match="run with other settings"):
        tune_model(tiny(llava, talk, max_steps=3), out)


def test_ctrl_c_leaves_a_checkpoint_to_go_on_from(llava: Path, talk: Path, tmp_path: Path) -> None:
    from posetalk.train import progress

    class Pressed(progress.StopCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
            if state.global_step == 2 and not state.log_history[2:]:
                os.kill(os.getpid(), signal.SIGINT)
            super().on_step_end(args, state, control, **more)

    settings = tiny(llava, talk, save_steps=100)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("posetalk.tune.run.StopCallback", Pressed)
        tune_model(settings, tmp_path / "out")
    out = tmp_path / "out"
    assert [path.name for path in (out / "checkpoints").iterdir()] == ["checkpoint-2"]
    assert not (out / "model.safetensors").exists()
    with (out / "log.jsonl").open("a") as log:
        log.write('{"step": 3')  # as if it had been killed: a line cut off,
    (out / "checkpoints" / "checkpoint-3").mkdir()  # and a checkpoint that was being written
    (out / "checkpoints" / "checkpoint-3" / "trainer_state.json").write_text('{"global_')
    tune_model(settings, out)
    assert logged(out, "step") == [float(step) for step in range(1, settings.max_steps + 1)]
    same(out, tune_model(settings, tmp_path / "whole"))


def test_replay_and_probe_are_on_the_card(llava: Path, talk: Path, general: Path, tmp_path: Path) -> None:
    other = {"file": str(general), "images": str(talk / "pictures")}
    more: dict[str, Any] = {"probe": Source(**other), "lora_dropout": 0.0, "max_steps": 10, "save_steps": 100}
    plain = tune_model(tiny(llava, talk, **more), tmp_path / "plain")
    mixed = tune_model(tiny(llava, talk, **more, replay=(Replay(**other, share=2.0),)), tmp_path / "mixed")
    probes = [json.loads((out / "probe.json").read_text()) for out in (plain, mixed)]
    assert probes[0]["before"] == probes[1]["before"] and probes[0]["samples"] == 6
    assert probes[1]["after"] < probes[0]["after"]  # what is replayed is not forgotten
    card = (mixed / "README.md").read_text()
    assert "2.0 samples for each" in card and f"{probes[1]['before']:.4f} before" in card
    assert "Samples: 10 from" in card and "Left out: 0" in card

    # the same number by other means: the model's own loss, one sample at a time
    for when, folder in (("before", llava), ("after", mixed)):
        model = AutoModelForImageTextToText.from_pretrained(folder)
        teacher, total, tokens = ChatCollator(AutoProcessor.from_pretrained(folder)), 0.0, 0
        for example in tuning_examples(Source(**other), teacher, 500, []):
            batch = teacher.batch([(example.conversation, example.image)])
            count = int((batch["labels"] != IGNORE).sum())
            with torch.no_grad():
                total, tokens = total + float(model(**batch).loss) * count, tokens + count
        assert probes[1][when] == pytest.approx(total / tokens, rel=1e-4)


def test_left_out_samples_are_told(
    llava: Path, talk: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="posetalk")
    out = tune_model(tiny(llava, talk, max_length=100, max_steps=1, save_format="adapters"), tmp_path / "out")
    lines = (out / "skipped.txt").read_text().splitlines()
    assert lines and all("more than 100" in line for line in lines)
    assert f"{len(lines)} samples left out, the first: {lines[0]}" in caplog.text
    assert f"Left out: {len(lines)}" in (out / "README.md").read_text()
    assert not (out / "model.safetensors").exists() and (out / "adapters/adapter_model.safetensors").exists()
    merge(out / "adapters", tmp_path / "later")
    AutoModelForImageTextToText.from_pretrained(tmp_path / "later")
    with pytest.raises(PosetalkError, match="holds no adapters"):
        merge(out, tmp_path / "never")


def test_pictures_padded_in_tuning_are_padded_in_use(llava: Path, talk: Path, tmp_path: Path) -> None:
    out = tune_model(tiny(llava, talk, pad_to_square=True, max_steps=1), tmp_path / "out")
    wide = ChatCollator(AutoProcessor.from_pretrained(out))
    lesson = wide.render([("Where?", "Here.")])
    [pixels] = wide.batch([(lesson, talk / "pictures" / "0.png")])["pixel_values"]  # 90 x 40
    assert pixels[:, 0].std(dim=1).max() < 0.02  # the first row is the mean colour, all of it
    [cut] = ChatCollator(AutoProcessor.from_pretrained(llava)).batch([(lesson, talk / "pictures" / "0.png")])[
        "pixel_values"
    ]
    assert cut[:, 0].std(dim=1).min() > 0.1


def test_all_weights_of_a_checkpoint_are_taken_up_again(llava: Path, talk: Path, tmp_path: Path) -> None:
    settings = tiny(llava, talk, method="full", max_steps=4, save_steps=2)
    out = tune_model(settings, tmp_path / "out")
    whole, losses = weights(out), logged(out)
    start = load_file(llava / "model.safetensors")
    assert any(not torch.equal(weight, start[name]) for name, weight in whole.items())
    tune_model(settings, out)  # finished: nothing to do
    assert all(torch.equal(weight, whole[name]) for name, weight in weights(out).items())
    shutil.rmtree(out / "checkpoints" / "checkpoint-4")
    tune_model(settings, out)  # two steps again
    assert logged(out) == pytest.approx(losses)
    assert all(torch.allclose(weight, whole[name], atol=1e-6) for name, weight in weights(out).items())
