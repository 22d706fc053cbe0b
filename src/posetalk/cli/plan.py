"""The command that counts a run before it is run: plan."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from posetalk.cli.app import app
from posetalk.errors import PosetalkError, need
from posetalk.process import quiet

if TYPE_CHECKING:
    from posetalk.settings import TrainSettings
    from posetalk.tune.settings import TuneSettings


@app.command
def plan(
    settings: Path | None = None,
    *,
    preset: Literal["posellm-7b", "locllm-7b", "llava-1.5-7b"] | None = None,
    gpus: int = 1,
    memory: float = 80,
    tflops: float | None = None,
    shard: bool = False,
    examples: int | None = None,
    tokens: int | None = None,
    batch_size: int = 8,
    dtype: Literal["float32", "bfloat16"] = "bfloat16",
    change: Annotated[list[str] | None, Parameter(name="--set", negative=())] = None,
    json_out: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> None:
    """Count what a run needs before it is run: parameters, memory on each GPU, operations, days, and what does not fit.

    The network is built without weights and its own code is run on shapes, on the CPU and without a network
    connection. Needs the extra `tune`.

    Example: `posetalk plan --preset posellm-7b --gpus 4 --memory 24 --set packing=chain`

    Args:
        settings: A TOML file of training or tuning settings, or a model folder.
        preset: A recipe in place of it, or below what it says: `posellm-7b`, `locllm-7b` (train, locate,
            evaluate) or `llava-1.5-7b` (tune).
        gpus: The number of GPUs.
        memory: The memory of each GPU in GB of 2^30 bytes, as on the card.
        tflops: The operations a second that each GPU reaches, in 10^12. The default is 40 % of what the maker
            names for bfloat16: of an RTX 3090 (71) up to 24 GB, else of an A100 (312).
        shard: Share weights, gradients and optimiser among the GPUs (FSDP), in place of a copy on each (DDP).
        examples: The people or samples of one pass. The default is COCO train2017's 149,813 people, or
            LLaVA-Pose's 200,328 samples.
        tokens: The tokens of a sample in tuning, those of its image among them. The default is the longest that is
            allowed.
        batch_size: The number of people that are located at a time.
        dtype: The number format of the language model in locating.
        change: A setting in place of what the file or the preset says, as NAME=VALUE. Repeat the option for more.
        json_out: Print every number as JSON; memory is in bytes.
    """
    need("trl", "tune")
    quiet()
    from posetalk.plan.run import plan_run
    from posetalk.plan.show import as_json, rows_of, sentences

    chosen = _settings(settings, preset, dict(map(_pair, change or ())))
    found = plan_run(
        chosen,
        gpus=gpus,
        memory=memory,
        tflops=tflops,
        shard=shard,
        examples=examples,
        tokens=tokens,
        batch_size=batch_size,
        dtype=dtype,
    )
    if json_out:
        print(json.dumps(as_json(found), indent=1))
        return
    from rich.table import Table

    from posetalk.cli.terminal import show

    head, *rows = rows_of(found)
    table = Table()
    for name in head:
        table.add_column(name, justify="left" if not name else "right")
    for row in rows:
        table.add_row(*row)
    show(table)
    print("\n".join(fill(sentence, 80) for sentence in sentences(found)))


def _settings(file: Path | None, preset: str | None, changes: dict[str, Any]) -> TrainSettings | TuneSettings:
    from posetalk.model.names import PRESETS
    from posetalk.plan.network import kind_of
    from posetalk.settings import TrainSettings
    from posetalk.tune.presets import preset as recipe
    from posetalk.tune.settings import TuneSettings

    if file is None and preset is None:
        raise PosetalkError(
            "plan needs a settings file, a model folder or --preset; see posetalk plan --help"
        )
    given: dict[str, Any] = {}
    if file is not None and file.is_dir():
        given = {"start" if kind_of(file) == "posellm" else "model": str(file)}
    elif file is not None:
        given = TrainSettings.read(file)
    tuned = preset == "llava-1.5-7b" or isinstance(given.get("model"), str)
    if preset and tuned:
        given = recipe("llava-1.5-7b", changes.get("method") or given.get("method")) | given
    elif preset:
        given = {"model": PRESETS[preset].model_dump(mode="json")} | given
    for name, value in changes.items():
        *tables, key = name.split(".")
        place = given
        for table in tables:
            place = place.setdefault(table, {})
        place[key] = value
    source = str(file or "the options")
    if tuned:
        return TuneSettings.check({"data": [{"file": "none", "images": "none"}]} | given, source)
    return TrainSettings.check({"data": [{"annotations": "none", "images": "none"}]} | given, source)


def _pair(text: str) -> tuple[str, Any]:
    """`packing=chain` -> ("packing", "chain"); numbers and true, false as TOML has them."""
    name, equals, value = text.partition("=")
    if not (name.strip() and equals):
        raise PosetalkError(f"--set {text} names no value; write it as packing=chain")
    try:
        return name.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return name.strip(), value.strip()
