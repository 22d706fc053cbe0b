"""Commands of a model that talks about poses: tune, chat."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from posetalk.cli.app import app
from posetalk.errors import PosetalkError, need
from posetalk.process import prepare_for_models


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
    """Tune a vision-language model on conversations about images, or continue a run that was stopped.

    The folder gets the model, run.toml, log.jsonl and checkpoints. Options take the place of what --settings says,
    and that file of what --preset says. Needs the extra `tune`.

    Example: `posetalk tune written --images train2017 --preset tiny --max-steps 250 --out talk`

    Args:
        data: The conversations: a folder of `posetalk write`, a samples.jsonl, or LLaVA's JSON. It may be left
            out where the settings name them.
        out: The folder of the run, which holds the model afterwards. Run again with the same settings, the
            command continues from the last checkpoint.
        images: The folder of the images that the conversations name.
        model: The model to tune: a folder or hub id of an image-text-to-text model, `small` or `tiny`. The
            default is the preset's.
        preset: A recipe: `llava-1.5-7b` (LLaVA-1.5's second stage, for a GPU), or one of two for a CPU,
            `bundled` (the model `small`; hours) and `tiny` (minutes).
        settings: A TOML file of tuning settings.
        method: What is trained beside the connector: adapters on the language model (`lora`), the same on 4
            bits (`qlora`, needs the extra `quantize`), or the whole language model (`full`). The default is the
            preset's, or `lora`.
        max_steps: The number of gradient steps. The default is one pass over the data.
        seed: The seed of order and weights. The default is 42.
        feature_cache: A folder that keeps the vision encoder's output for each image, for later epochs and other
            runs. By default it is computed at each step.
        replay: Other conversations to mix in against forgetting, as "other.json:0.5": half as many samples as
            there are of one's own. Repeat the option for more.
        replay_images: The folder of the images of --replay. The default is --images.
        probe: Conversations on which the loss is measured before and after the run.
        probe_images: The folder of the images of --probe. The default is --images.
    """
    need("trl", "tune")
    from posetalk.tune.presets import preset as recipe
    from posetalk.tune.settings import TuneSettings

    given: dict[str, Any] = TuneSettings.read(settings) if settings else {}
    if preset:
        given = recipe(preset, method or given.get("method")) | given
    if not data and "data" not in given:
        raise PosetalkError(
            "tune needs conversations: give them with --images, or a settings file; see posetalk tune --help"
        )
    if (data or replay or probe) and not images:
        raise PosetalkError("the conversations name images; give their folder as --images")
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
    prepare_for_models()
    from posetalk.tune.run import tune_model

    print(f"the model is in {tune_model(chosen, out)}")


@app.command
def chat(
    image: Path,
    question: str,
    *,
    model: str = "small",
    device: str | None = None,
    dtype: Literal["float32", "bfloat16", "float16"] | None = None,
) -> None:
    """Ask a vision-language model a question about an image.

    Needs the extra `tune`.

    Example: `posetalk chat photo.jpg "Are both arms of the person raised?" --model talk`

    Args:
        image: An image.
        question: The question about it.
        model: A folder of `posetalk tune`, a hub id, `small` or `tiny`. As they come, `small` and `tiny` have
            not learned to talk about images.
        device: Where the model runs: `cpu`, `cuda`, `cuda:1`, `mps`, or `auto` to spread its layers over all GPUs.
            The default is a GPU where there is one.
        dtype: The number format of the weights. The default is float32 on a CPU and bfloat16
            elsewhere.
    """
    prepare_for_models()
    from posetalk.tune.chat import Chat

    print(Chat.from_pretrained(model, device=device, dtype=dtype).ask(image, question))


def _replay(text: str, images: Path | None) -> dict[str, Any]:
    file, colon, share = text.rpartition(":")
    try:
        return {"file": file, "images": str(images), "share": float(share if colon else "")}
    except ValueError:
        raise PosetalkError(f"--replay {text} names no share; write it as other.json:0.5") from None
