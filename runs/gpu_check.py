"""Trains, locates and tunes networks of the true 7B shapes and random weights, and holds the plan against them.

    runs/gpu_check.sh [--tiny] [--json FILE]

Weights are drawn on the device, in the dtypes that published ones have, and saved; from there on everything goes
through the package's own functions, as a user calls them:

1. train_model: PoseLLM-7B (with the readout `point` beside the digits), LocLLM's packing, held to 24 GB.
2. Localizer: 64 people, `digits` and `point`.
3. train_model on a small network in float32 and in mixed precision: how far the losses are apart.
4. tune_model: LLaVA-1.5-7B, LoRA by the preset, five steps.

Times, peak memory and operations stand beside what `posetalk plan` counts. Exit code 1 where a check fails.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import torch
from PIL import Image
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.utils import flop_counter
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    CLIPImageProcessorPil,
    CLIPVisionConfig,
    Dinov2Config,
    LlamaConfig,
    LlavaConfig,
    LlavaProcessor,
    PreTrainedConfig,
    PreTrainedTokenizerFast,
)

from posetalk.locate.localizer import Localizer
from posetalk.model.names import PRESETS
from posetalk.model.parts import part_config
from posetalk.plan import jobs
from posetalk.plan.memory import GB, memory_of
from posetalk.plan.network import (
    LLAVA,
    for_locating,
    for_training,
    for_tuning,
    llava_config,
    posellm_config,
    words_of,
)
from posetalk.process import quiet
from posetalk.prompt.wording import Wording
from posetalk.settings import TrainSettings
from posetalk.skeleton import load_skeleton
from posetalk.train.run import train_model
from posetalk.tune.presets import preset
from posetalk.tune.run import tune_model
from posetalk.tune.settings import TuneSettings
from posetalk.types import Box

POINTS = load_skeleton("coco17").keypoints
CARD_GB = 24  # what training may take
BYTES, FLOPS, LOSSES = 0.10, 0.05, 0.05  # how far from the plan, and from float32, it may be
PEOPLE_AT_ONCE = 8
TEMPLATE = (
    "{% for message in messages %}{{ message.role.upper() }}: "
    "{% for part in message.content if part.type == 'image' %}<image>\n{% endfor %}"
    "{% for part in message.content if part.type == 'text' %}{{ part.text }}{% endfor %} {% endfor %}"
    "{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)
_aten = torch.ops.aten
_counter: Any = flop_counter


@dataclass(frozen=True)
class Shapes:
    """The networks, and how much is done with them."""

    vision: PreTrainedConfig
    text: PreTrainedConfig
    talker: LlavaConfig
    crop: int
    people: int
    steps: int
    batch: int
    tune_steps: int
    tune_at_once: int


def full() -> Shapes:
    recipe = PRESETS["posellm-7b"]
    vision, text = part_config(recipe.vision_encoder), part_config(recipe.language_model)
    talker = llava_config(TuneSettings.check(preset("llava-1.5-7b") | _no_samples(), LLAVA))
    return Shapes(vision, text, talker, crop=224, people=64, steps=20, batch=4, tune_steps=5, tune_at_once=4)


def tiny() -> Shapes:
    text: dict[str, Any] = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "max_position_embeddings": 4096,
        "initializer_range": 0.1,  # so wide that ten steps learn something
    }
    vision = Dinov2Config(
        hidden_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=56, patch_size=14, mlp_ratio=2
    )
    clip = CLIPVisionConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=28,
        patch_size=14,
        projection_dim=32,
    )
    talker = LlavaConfig(
        vision_config=clip, text_config=LlamaConfig(vocab_size=1064, **text), image_seq_length=4
    )
    return Shapes(
        vision, LlamaConfig(vocab_size=1000, **text), talker, crop=56, people=8, steps=4, batch=2, tune_steps=2,
        tune_at_once=2,
    )  # fmt: skip


@dataclass
class Row:
    """One measured piece of work beside its plan. A measurement that a CPU does not give is None."""

    name: str
    seconds: float
    peak_bytes: int | None = None
    planned_bytes: int | None = None
    flops: int | None = None
    planned_flops: int | None = None
    checks: dict[str, bool] = field(default_factory=dict)

    def compare(self) -> Row:
        if self.peak_bytes and self.planned_bytes:
            self.checks["bytes"] = abs(self.peak_bytes / self.planned_bytes - 1) <= BYTES
        if self.flops and self.planned_flops:
            self.checks["operations"] = abs(self.flops / self.planned_flops - 1) <= FLOPS
        return self


class Machine:
    def __init__(self) -> None:
        self.gpu = torch.cuda.is_available()
        self.device = torch.device("cuda" if self.gpu else "cpu")
        self.name = torch.cuda.get_device_name() if self.gpu else "CPU"

    @contextmanager
    def watched(self, row: Row, limit: float | None = None) -> Iterator[None]:
        """Seconds and peak memory of what runs inside. limit: GB that it may take; it fails where more is needed."""
        gc.collect()
        if self.gpu:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
            whole = torch.cuda.get_device_properties(0).total_memory
            torch.cuda.set_per_process_memory_fraction(min(1.0, limit * GB / whole) if limit else 1.0)
        begun = time.perf_counter()
        yield
        if self.gpu:
            torch.cuda.synchronize()
            row.peak_bytes = torch.cuda.max_memory_allocated()
            torch.cuda.set_per_process_memory_fraction(1.0)
            if limit:
                row.checks[f"within {limit:g} GB"] = torch.cuda.max_memory_reserved() <= limit * GB
        row.seconds = row.seconds or time.perf_counter() - begun


def flops_of(step: Callable[[], object]) -> int:
    """torch's counter, with formulas for the attention kernel of CPUs, which has none."""
    forward, backward = _counter.sdpa_flop_count, _counter.sdpa_backward_flop_count
    mapping = {
        _aten._scaled_dot_product_flash_attention_for_cpu: lambda *shapes, **_: forward(*shapes[:3]),
        _aten._scaled_dot_product_flash_attention_for_cpu_backward: lambda *shapes, **_: backward(
            *shapes[:4]
        ),
    }
    with flop_counter.FlopCounterMode(display=False, custom_mapping=mapping) as found:
        step()
    return int(found.get_total_flops())


def tokenizer_for(vocabulary: int) -> PreTrainedTokenizerFast:
    """Made of our own questions: a token a word, and one a digit."""
    texts = [Wording().ask(point) for name in ("coco17", "mpii16") for point in load_skeleton(name).keypoints]
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=["<s>", "</s>"], initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>", eos_token="</s>")


def make_parts(shapes: Shapes, folder: Path, device: torch.device) -> None:
    """A vision encoder and a language model with random weights."""
    torch.manual_seed(0)
    with device:
        AutoModel.from_config(shapes.vision, dtype=torch.float32).save_pretrained(folder / "vision")
        AutoModelForCausalLM.from_config(shapes.text, dtype=torch.bfloat16).save_pretrained(folder / "text")
    tokenizer_for(shapes.text.vocab_size).save_pretrained(folder / "text")


def make_talker(shapes: Shapes, folder: Path, device: torch.device) -> None:
    """A LLaVA with random weights, and its processor."""
    tokenizer = tokenizer_for(shapes.text.vocab_size)
    tokenizer.add_special_tokens({"pad_token": "<pad>", "additional_special_tokens": ["<image>"]})
    config = shapes.talker
    config.image_token_id = tokenizer.convert_tokens_to_ids("<image>")
    torch.manual_seed(0)
    with device:
        model = AutoModelForImageTextToText.from_config(config, dtype=torch.bfloat16)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.save_pretrained(folder)
    side = config.vision_config.image_size
    images = CLIPImageProcessorPil(size={"shortest_edge": side}, crop_size={"height": side, "width": side})
    LlavaProcessor(
        images,
        tokenizer,
        patch_size=config.vision_config.patch_size,
        vision_feature_select_strategy="default",
        chat_template=TEMPLATE,
        num_additional_image_tokens=1,
    ).save_pretrained(folder)


def make_people(folder: Path, people: int) -> None:
    """A person in each picture of noise, COCO's labels of them, and a conversation about each."""
    rng = np.random.default_rng(0)
    images, labels, talks = [], [], []
    for number in range(1, people + 1):
        Image.fromarray(rng.integers(0, 255, (256, 256, 3), np.uint8)).save(folder / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": 256, "height": 256})
        points = np.concatenate([rng.uniform(60, 200, (17, 2)).round(), np.full((17, 1), 2)], 1)
        person = {
            "id": number,
            "image_id": number,
            "category_id": 1,
            "bbox": [16, 16, 224, 224],
            "area": 50176,
        }
        labels.append(person | {"iscrowd": 0, "num_keypoints": 17, "keypoints": points.reshape(-1).tolist()})
        said = [{"from": "human", "value": "<image>\nWhere are the hands?"}]
        said.append({"from": "gpt", "value": " ".join(point.sentence for point in POINTS[:8])})
        talks.append({"id": str(number), "image": f"{number}.png", "conversations": said})
    rows = {"images": images, "annotations": labels, "categories": [{"id": 1, "name": "person"}]}
    (folder / "people.json").write_text(json.dumps(rows))
    (folder / "talks.json").write_text(json.dumps(talks))


def train_settings(shapes: Shapes, parts: Path, data: Path, **more: Any) -> TrainSettings:
    model = {
        "vision_encoder": str(parts / "vision"),
        "language_model": str(parts / "text"),
        "readout": "point",
        "crop": {"size": shapes.crop},
    }
    given: dict[str, Any] = {
        "data": [{"annotations": str(data / "people.json"), "images": str(data)}],
        "model": model,
        "learn_digits": True,
        "packing": "chain",
        "max_steps": shapes.steps,
        "batch_size": shapes.batch,
        "num_workers": 0,
        "log_steps": 1,
    }
    return TrainSettings.check(given | more, "gpu_check")


def step_seconds(folder: Path) -> float:
    """Seconds a step by the run's own log, the first one left out."""
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return float((rows[-1]["seconds"] - rows[0]["seconds"]) / (rows[-1]["step"] - rows[0]["step"]))


def losses(folder: Path) -> np.ndarray:
    return np.array([json.loads(line)["loss"] for line in (folder / "log.jsonl").read_text().splitlines()])


def check_training(machine: Machine, shapes: Shapes, parts: Path, data: Path, out: Path) -> Row:
    settings = train_settings(shapes, parts, data, bf16=machine.gpu)
    row = Row(f"train, {shapes.batch} people a step", 0)
    with machine.watched(row, limit=CARD_GB):
        train_model(settings, out)
        row.seconds = step_seconds(out)
    config = posellm_config(settings)
    batch = jobs.training_batch(settings, config, words_of(config, str(parts / "text")), POINTS)
    count = jobs.training_count(settings, config, batch)
    planned = memory_of(for_training(settings, config), count)
    row.planned_bytes = planned.total - planned.allowance
    row.planned_flops = count.flops * shapes.batch
    return row.compare()


def check_locating(machine: Machine, shapes: Shapes, model: Path, data: Path) -> list[Row]:
    dtype = torch.bfloat16 if machine.gpu else torch.float32
    people = [(data / f"{n + 1}.png", [Box(16, 16, 224, 224)]) for n in range(shapes.people)]
    rows = []
    for readout in ("digits", "point"):
        row = Row(f"locate {shapes.people} people, {readout}", 0)
        localizer = Localizer.from_pretrained(model, dtype=dtype, readout=readout, batch_size=PEOPLE_AT_ONCE)
        list(localizer.locate_all(people[:PEOPLE_AT_ONCE]))  # warm
        with machine.watched(row):
            found = list(localizer.locate_all(people))
        row.checks["places"] = all(np.isfinite(getattr(poses, "xy", np.nan)).all() for poses in found)
        localizer._questions.clear()
        row.flops = flops_of(lambda asked=localizer: list(asked.locate_all(people[:PEOPLE_AT_ONCE])))
        config, talk = localizer.model.config, localizer.conversation
        count = jobs.locating_count(config, talk, POINTS, PEOPLE_AT_ONCE, dtype, readout, 3)
        planned = memory_of(for_locating(config, dtype), count)
        row.planned_bytes, row.planned_flops = planned.total - planned.allowance, count.flops
        rows.append(row.compare())
        del localizer
    return rows


def check_precision(machine: Machine, data: Path, work: Path) -> Row:
    """A small network in float32 and in mixed precision, with its language model held in bfloat16."""
    shapes, steps = tiny(), 10
    make_parts(shapes, work / "small", machine.device)
    row, curves = Row("", 0), []
    with machine.watched(row):
        for bf16 in (False, True):
            more: dict[str, Any] = {"bf16": bf16, "max_steps": steps, "learning_rate": 1e-2}
            more["language_model_dtype"] = "bfloat16" if bf16 else "float32"
            settings, out = train_settings(shapes, work / "small", data, **more), work / f"small-{bf16}"
            if bf16:
                train_model(settings, out)
            else:
                row.flops = flops_of(partial(train_model, settings, out))
            curves.append(losses(out))
    row.peak_bytes = None  # small networks are small beside what the libraries take
    config = posellm_config(settings)
    batch = jobs.training_batch(settings, config, words_of(config, str(work / "small" / "text")), POINTS)
    row.planned_flops = jobs.training_count(settings, config, batch).flops * shapes.batch * steps
    apart = float(np.abs(curves[1] / curves[0] - 1).max())
    row.name = f"small, bf16 {apart:.2g} of loss off float32"
    row.checks["losses"] = apart <= LOSSES
    return row.compare()


def _no_samples() -> dict[str, Any]:
    return {"data": [{"file": "none", "images": "none"}]}


def check_tuning(machine: Machine, shapes: Shapes, data: Path, work: Path) -> Row:
    make_talker(shapes, work / "talker", machine.device)
    given = preset("llava-1.5-7b") | {
        "model": str(work / "talker"),
        "data": [{"file": str(data / "talks.json"), "images": str(data)}],
        "batch_size": 2 * shapes.tune_at_once,
        "per_device_batch_size": shapes.tune_at_once,
        "max_steps": shapes.tune_steps,
        "bf16": machine.gpu,
        "save_format": "adapters",
        "num_workers": 0,
        "log_steps": 1,
    }
    settings = TuneSettings.check(given, "gpu_check")
    row = Row(f"tune with LoRA, {settings.batch_size} samples a step", 0)
    with machine.watched(row):
        tune_model(settings, work / "tuned")
        row.seconds = step_seconds(work / "tuned")
    config = llava_config(settings)
    tokens = _sample_tokens(work / "talker", data, config)
    count = jobs.tuning_count(settings, config, tokens)
    planned = memory_of(for_tuning(settings, config), count)
    row.planned_bytes = planned.total - planned.allowance
    row.planned_flops = 2 * count.flops
    return row.compare()


def _sample_tokens(talker: Path, data: Path, config: Any) -> int:
    """Tokens of a conversation; all of them say the same."""
    from posetalk.tune.collator import ChatCollator
    from posetalk.tune.files import processor_of

    collator = ChatCollator(processor_of(str(talker)))
    [first, *_] = json.loads((data / "talks.json").read_text())
    question, answer = (turn["value"].removeprefix("<image>\n") for turn in first["conversations"])
    return collator.length(collator.render([(question, answer)]), (256, 256))


def table(rows: list[Row]) -> str:
    """What was measured beside what was planned."""

    def of(value: float | None) -> str:
        return "-" if value is None else f"{value:.2f}" if value > 0.1 else f"{value:.2g}"

    lines = [
        f"{'':44} {'seconds':>9} {'GB':>7} {'planned':>8} {'TFLOP':>9} {'planned':>9} {'TFLOP/s':>8}  checks"
    ]
    for row in rows:
        gb = [None if size is None else size / GB for size in (row.peak_bytes, row.planned_bytes)]
        tera = [None if count is None else count / 1e12 for count in (row.flops, row.planned_flops)]
        speed = None if tera[1] is None or row.flops else tera[1] / row.seconds
        said = ", ".join(f"{name} {'yes' if good else 'NO'}" for name, good in row.checks.items())
        lines.append(
            f"{row.name:44} {row.seconds:9.3f} {of(gb[0]):>7} {of(gb[1]):>8} {of(tera[0]):>9} "
            f"{of(tera[1]):>9} {of(speed):>8}  {said}"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tiny", action="store_true", help="tiny networks, also on a CPU")
    parser.add_argument("--json", type=Path, help="a file for every number")
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    quiet()
    machine, begun = Machine(), time.perf_counter()
    if not given.tiny and not machine.gpu:
        sys.exit("gpu_check needs a CUDA GPU of 80 GB; --tiny runs the same code on a CPU")
    shapes = tiny() if given.tiny else full()
    with tempfile.TemporaryDirectory(prefix="gpu_check-") as made:
        work = Path(made)
        data = work / "data"
        data.mkdir()
        make_people(data, shapes.people)
        make_parts(shapes, work / "parts", machine.device)
        rows = [check_training(machine, shapes, work / "parts", data, work / "trained")]
        rows += check_locating(machine, shapes, work / "trained", data)
        rows.append(check_precision(machine, data, work))
        for folder in ("parts", "trained"):
            shutil.rmtree(work / folder)
        rows.append(check_tuning(machine, shapes, data, work))
    print(f"\n{machine.name}, torch {torch.__version__}, {time.perf_counter() - begun:.0f} s\n{table(rows)}")
    if given.json:
        found = {
            "card": machine.name,
            "torch": torch.__version__,
            "tiny": given.tiny,
            "rows": list(map(asdict, rows)),
        }
        given.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    sys.exit(0 if all(good for row in rows for good in row.checks.values()) else 1)


if __name__ == "__main__":
    main()
