"""Commands of a model that talks about poses: tune, chat."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from posetalk.cli.app import app, keep_memory, quiet
from posetalk.errors import PosetalkError, need


@app.command
def tune(
    data: Path | None = None,
    *,
    out: Path,
    images: Path | None = None,
    model: str | None = None,
    preset: Literal["llava-1.5-7b", "bundled", "tiny"] | None = None,
    settings: Path | None = None,
    method: Literal["lora", "qlora", "full"] | None = None,
    max_steps: int | None = None,
    seed: int | None = None,
    feature_cache: Path | None = None,
    replay: Annotated[list[str] | None, Parameter(negative=())] = None,
    replay_images: Path | None = None,
    probe: Path | None = None,
    probe_images: Path | None = None,
) -> None:
    """Tune a vision-language model on conversations about poses, or go on with a run that was stopped.

    Args:
        data: a folder of `posetalk write`, a samples.jsonl, or LLaVA's JSON.
        out: the folder of the run; afterwards it holds the model.
        images: the folder of the pictures.
        model: a folder or hub id of an image-text-to-text model, where the preset's is not meant.
        preset: LLaVA-1.5's second stage, or one of the two small models on a CPU.
        settings: a TOML file of TuneSettings; what is given beside it takes the place of what it says.
        method: adapters, adapters on 4 bits, or all weights of the language model.
        max_steps: gradient steps; by default one pass.
        seed: of order and weights.
        feature_cache: a folder that keeps what the frozen tower sees in each picture, for later epochs and other runs.
        replay: "other.json:0.5" mixes in half as many samples of other data, against forgetting; may be given several
            times.
        replay_images: the folder of those pictures, where it is another.
        probe: conversations on which the loss is measured before and after.
        probe_images: the folder of those pictures, where it is another.
    """
    need("trl", "tune")
    from posetalk.tune.presets import preset as recipe
    from posetalk.tune.settings import TuneSettings

    given: dict[str, Any] = TuneSettings.read(settings) if settings else {}
    if preset:
        given = recipe(preset, method or given.get("method")) | given
    if not data and "data" not in given:
        raise PosetalkError(
            "tune needs conversations: give them with --images, or a settings file; see docs/tune.md"
        )
    if (data or replay or probe) and not images:
        raise PosetalkError("the conversations name pictures; give their folder as --images")
    if "model" not in given and not model:
        raise PosetalkError("tune needs a model; give --model or --preset")
    if data:
        given["data"] = [{"file": str(data), "images": str(images)}]
    if replay:
        given["replay"] = [_replay(text, replay_images or images) for text in replay]
    if probe:
        given["probe"] = {"file": str(probe), "images": str(probe_images or images)}
    kept = str(feature_cache) if feature_cache else None
    flags = (
        ("model", model),
        ("method", method),
        ("max_steps", max_steps),
        ("seed", seed),
        ("feature_cache", kept),
    )
    given |= {key: value for key, value in flags if value is not None}
    chosen = TuneSettings.check(given, str(settings or "the options"))
    quiet()
    keep_memory()
    from posetalk.tune.run import tune as run

    print(f"the model is in {run(chosen, out)}")


@app.command
def chat(image: Path, question: str, *, model: str = "small") -> None:
    """Ask a model about a photo.

    Args:
        image: a picture.
        question: what to ask about it.
        model: a folder of `posetalk tune`, a hub id, `small`, or `tiny`.
    """
    quiet()
    keep_memory()
    from posetalk.tune.chat import Chat

    print(Chat.from_pretrained(model).ask(image, question))


def _replay(text: str, images: Path | None) -> dict[str, Any]:
    file, colon, share = text.rpartition(":")
    try:
        return {"file": file, "images": str(images), "share": float(share if colon else "")}
    except ValueError:
        raise PosetalkError(f"--replay {text} names no share; write it as other.json:0.5") from None
