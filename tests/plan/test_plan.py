"""The command and the function: what they say fits, what they say would, and what they refuse."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.plan.conftest import NO_DATA
from transformers import LlavaConfig

from posetalk.cli import main
from posetalk.errors import PosetalkError
from posetalk.model.names import PRESETS
from posetalk.model.posellm import PoseLLMConfig
from posetalk.plan.count import Count
from posetalk.plan.memory import CONTEXT, GB, memory_of
from posetalk.plan.network import for_training, posellm_config, shortened
from posetalk.plan.run import plan_run
from posetalk.resources import BUNDLED
from posetalk.settings import TrainSettings
from posetalk.tune.settings import TuneSettings


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, config: PoseLLMConfig) -> Path:
    """A model folder without weights, and of few layers, so that nothing is extrapolated."""
    made = tmp_path_factory.mktemp("posellm")
    shortened(config, 4, 1).save_pretrained(made)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(BUNDLED / name, made)
    return made


def settings(folder: Path, **more: Any) -> TrainSettings:
    return TrainSettings.check(NO_DATA | {"start": str(folder)} | more, "test")


def run(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as end:
        main(words)
    printed = capsys.readouterr()
    return int(end.value.code or 0), printed.out, printed.err


@pytest.mark.parametrize(("name", "connector"), [("posellm-7b", 20_979_712), ("locllm-7b", 4_198_400)])
def test_the_presets_have_the_papers_parameters(name: str, connector: int) -> None:
    chosen = TrainSettings.check(NO_DATA | {"model": PRESETS[name].model_dump(mode="json")}, name)
    network = for_training(chosen, posellm_config(chosen))
    trained = sum(p.numel() for p in network.parameters() if p.requires_grad)
    assert trained == 4_194_304 + 786_432 + connector  # adapters of the language model and of the encoder
    # the language model in bfloat16, the encoder, the connector, its spare copy and the adapters in float32
    assert sum(p.numel() * p.element_size() for p in network.parameters()) == (
        2 * 6_738_415_616 + 4 * (304_368_640 + 2 * connector + 4_194_304 + 786_432)
    )


def test_a_folder_is_planned_and_the_table_is_narrow(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(["plan", str(folder), "--memory", "24", "--set", "keypoints_per_view=2"], capsys)
    assert code == 0 and max(map(len, out.splitlines())) <= 80
    assert "train" in out and "evaluate" in out and "Counted, not run" in out and "does not fit" not in out


def test_json_holds_every_number(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(
        ["plan", str(folder), "--json", "--set", "keypoints_per_view=2", "--examples", "640"], capsys
    )
    train, locate, evaluate = json.loads(out)["jobs"]
    assert code == 0 and train["fits"] and train["examples"] == 12 * 640 and evaluate["examples"] == 6352
    memory = train["memory"]
    assert memory["total"] == sum(size for part, size in memory.items() if part != "total")
    assert memory["optimizer"] == 2 * memory["gradients"] == 2 * 4 * train["trained"]
    assert locate["trained"] == 0 and locate["memory"]["kv_cache"] > 0
    assert train["run_flops"] == train["step_flops"] // 64 * 12 * 640


def test_what_does_not_fit_is_told_with_what_would(folder: Path) -> None:
    many = settings(folder, per_device_batch_size=8, packing="chain", keypoints_per_view=1)
    one = plan_run(many.model_copy(update={"per_device_batch_size": 1})).jobs[0].memory.total
    eight = plan_run(many).jobs[0].memory.total
    between = plan_run(many, memory=(one + (eight - one) / 4) / GB).jobs[0]
    assert not between.fits and between.fits_with == {"per_device_batch_size": 1}
    least = {"per_device_batch_size": 1, "gradient_checkpointing": True}
    nothing = plan_run(many.model_copy(update=least), memory=CONTEXT / GB)
    assert not any(job.fits for job in nothing.jobs) and not nothing.jobs[0].fits_with


def test_gpus_share_the_work_and_with_shard_the_weights(folder: Path) -> None:
    chosen = settings(folder, keypoints_per_view=1)
    one, four = plan_run(chosen).jobs[0], plan_run(chosen, gpus=4).jobs[0]
    assert four.memory.gradients == 2 * one.memory.gradients and four.days == one.days / 4
    network = for_training(chosen, posellm_config(chosen))
    count = Count(0, 0, (0,), 0)
    whole, shared = memory_of(network, count), memory_of(network, count, gpus=4, shard=True)
    assert shared.optimizer == whole.optimizer // 4 and shared.gradients == whole.gradients // 4
    bits = {name: memory_of(network, count, quantization=name).weights for name in ("8bit", "4bit")}
    assert bits["4bit"] < bits["8bit"] < whole.weights


def test_a_talker_is_planned(
    llava_config: LlavaConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shortened(llava_config, 2, 2).save_pretrained(tmp_path)
    words = ["plan", str(tmp_path), "--tokens", "40", "--set", "lora_rank=4", "--set", "bf16=false", "--json"]
    code, out, _ = run([*words, "--set", "gradient_checkpointing=false"], capsys)
    [tune] = json.loads(out)["jobs"]
    assert code == 0 and tune["job"] == "tune" and tune["examples"] == 200_328
    kept = tune["memory"]["activations"]
    [again] = plan_run(
        TuneSettings.check(
            {
                "data": [{"file": "none", "images": "none"}],
                "model": str(tmp_path),
                "lora_rank": 4,
                "bf16": False,
            },
            "t",
        ),
        tokens=40,
    ).jobs
    assert again.memory.activations < kept and again.step_flops > tune["step_flops"]  # computed twice


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "plan needs a settings file"),
        (["--preset", "posellm-7b", "--set", "packing"], "names no value"),
        (["--preset", "posellm-7b", "--set", "packng=chain"], "packng"),
        (["--preset", "posellm-7b", "--gpus", "0"], "gpus is a number above 0"),
        (["--preset", "posellm-7b", "--gpus", "3"], "not a multiple"),
        (["--preset", "llava-1.5-7b", "--tokens", "500"], "more than the 576 tokens"),
        (["."], "holds no model that can be read"),
    ],
)
def test_bad_input_is_one_sentence(
    words: list[str],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, error = run(["plan", *words], capsys)
    assert code == 2 and sentence in error and len(error.splitlines()) == 1


def test_models_of_other_kinds_are_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "qwen2_vl"}))
    with pytest.raises(PosetalkError, match="built as LLaVA"):
        plan_run(TuneSettings.check({"data": [{"file": "n", "images": "n"}], "model": str(tmp_path)}, "t"))
