"""A tiny network, built offline once a run: DINOv2 and Llama of width 32, a byte-level tokenizer."""

from __future__ import annotations

import gc
import os
from pathlib import Path

# of the processes that tests start, too: each core has a worker
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import Dinov2Config, Dinov2Model, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from posetalk.model.files import build, save
from posetalk.settings import CropSettings, LoraSettings, ModelSettings

torch.set_num_threads(1)
TESTS = Path(__file__).parent
# Half a minute and more: the others then fill the time until both workers are done (`--no-loadscope-reorder`).
LONG = (
    "scale/test_scale.py",
    "train/test_distributed.py",
    "tune/test_tune_run.py",
    "serve/test_studio.py",
    "llm/test_smollm2.py",
    "train/test_memory.py",
    "plan/test_plan.py",
    "plan/test_count.py",
    "test_labels_that_do_not_fit.py",
    "test_gpu_check.py",
    "tune/test_two_processes.py",
    "export/test_export_onnx.py",
    "locate/test_onnx_engine.py",
    "train/test_train_kill.py",
    "tune/test_tune_kill.py",
    "tune/test_tiny.py",
    "locate/test_kill_locate.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long come first; tests marked `realdata` are skipped where there are no data."""
    items.sort(key=lambda item: item.path.relative_to(TESTS).as_posix() not in LONG)
    if not Path(os.environ.get("POSETALK_DATA", "absent")).is_dir():
        skip = pytest.mark.skip(reason="POSETALK_DATA is not set to the folder of real data")
        for item in items:
            if "realdata" in item.keywords:
                item.add_marker(skip)


@pytest.fixture(scope="module", autouse=True)
def frozen() -> None:
    """What is alive between modules is not looked through again: each training run collects garbage several times."""
    gc.collect()
    gc.freeze()


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """One token a byte."""
    vocab = {"<s>": 0, "</s>": 1}
    for byte in sorted(pre_tokenizers.ByteLevel.alphabet()):
        vocab[byte] = len(vocab)
    tokenizer = Tokenizer(models.BPE(vocab, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")


@pytest.fixture(scope="session")
def tiny_parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folders of a vision tower and a language model."""
    folder = tmp_path_factory.mktemp("parts")
    torch.manual_seed(0)
    vision = Dinov2Config(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=56, patch_size=14, mlp_ratio=2
    )
    Dinov2Model(vision).save_pretrained(folder / "vision")
    tokenizer = byte_tokenizer()
    text = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        bos_token_id=0,
        eos_token_id=1,
    )
    LlamaForCausalLM(text).save_pretrained(folder / "text")
    tokenizer.save_pretrained(folder / "text")
    return folder / "vision", folder / "text"


@pytest.fixture(scope="session")
def tiny_settings(tiny_parts: tuple[Path, Path]) -> ModelSettings:
    vision, text = tiny_parts
    return ModelSettings(
        vision_encoder=str(vision),
        language_model=str(text),
        crop=CropSettings(size=56),
        lora=LoraSettings(dropout=0.0),
    )


@pytest.fixture(scope="session")
def tiny_model(tiny_settings: ModelSettings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved PoseLLM with random weights."""
    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp("tiny")
    save(*build(tiny_settings), folder)
    return folder
