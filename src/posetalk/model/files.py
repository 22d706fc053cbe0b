"""Build a network from its parts, save it, load it: folders in the form of transformers and peft."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from peft import PeftModel
from tokenizers import Tokenizer
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModel,
    AutoModelForCausalLM,
    AutoProcessor,
    AutoTokenizer,
    PreTrainedConfig,
)
from transformers.utils import cached_file, logging

from posetalk.atomic_files import write_text
from posetalk.errors import PosetalkError
from posetalk.model import movenet as _movenet  # noqa: F401  (makes AutoModel know the bundled model's encoder)
from posetalk.model.adapters import new_modules
from posetalk.model.fingerprint import weights_fingerprint, write_sums
from posetalk.model.folders import ADAPTERS, adapters_of, check_config, check_weights, limit_size, load_errors
from posetalk.model.graphs import GRAPHS
from posetalk.model.parts import check_language_model, encoder_config
from posetalk.model.posellm import IN_FLOAT32, PoseLLM, PoseLLMConfig, encode
from posetalk.model.quantization import Bits, quantized
from posetalk.model.question_encoder import side_tokens
from posetalk.prompt.conversation import Conversation
from posetalk.prompt.file_tokenizer import QUESTION_TOKENIZER, question_tokenizer
from posetalk.prompt.wording import Wording, wording
from posetalk.resources import model_path
from posetalk.settings import CropSettings, ModelSettings


def image_tokens(vision: PreTrainedConfig, size: int) -> int:
    """How many tokens a vision encoder gives for a square of `size` px, without class and register tokens.

    Asked of the vision encoder itself, on the meta device, where it costs nothing.
    """
    with torch.device("meta"):
        out = encode(AutoModel.from_config(vision), torch.zeros(1, 3, size, size)).last_hidden_state
    if out.ndim == 4:
        return int(out.shape[2] * out.shape[3])
    patch = getattr(vision, "patch_size", None)
    # a square of them; DINOv3's ConvNeXt puts one for the whole image before its 7 x 7
    side = size // patch if isinstance(patch, int) else math.isqrt(out.shape[1])
    tokens = side**2
    if tokens > out.shape[1]:
        raise PosetalkError(
            f"the vision encoder gives {out.shape[1]} tokens at {size} px, fewer than its patches"
        )
    return tokens


def make_config(settings: ModelSettings, vision: PreTrainedConfig, text: PreTrainedConfig) -> PoseLLMConfig:
    """The network's configuration from its settings and the configurations of its parts."""
    vision = encoder_config(vision)
    tokens = image_tokens(vision, settings.crop.size)
    check_language_model(text, tokens)
    return PoseLLMConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=text.vocab_size,
        image_seq_length=tokens,
        connector=settings.connector,
        crop=settings.crop.model_dump(mode="json"),
        wording=wording(settings.wording).model_dump(mode="json"),
        vision=settings.vision_encoder,
        text=settings.language_model,
        readout=settings.readout,
        reading=settings.reading,
        cells=settings.cells if settings.readout == "point" else 0,
    )


def build(
    settings: ModelSettings,
    dtype: torch.dtype = torch.float32,
    quantization: Bits | None = None,
    **options: Any,
) -> tuple[PoseLLM, Any]:
    """Build a network from a pre-trained vision encoder and language model, with a new connector.

    Weights are read once, in the dtype that they are held in.

    Args:
        settings: the parts (folders or hub ids) and how they are joined.
        dtype: of the language model's weights; the others are in float32.
        quantization: bits of the language model's weights.
        **options: of the language model's `from_pretrained`, such as `device_map`.

    Returns:
        The network, and its tokenizer.

    Raises:
        PosetalkError: a part is not named, cannot be loaded or does not fit.
    """
    if not (settings.vision_encoder and settings.language_model):
        raise PosetalkError(
            "a network is built from a vision encoder and a language model; name both, vision_encoder and "
            "language_model"
        )
    with load_errors("vision encoder", settings.vision_encoder):
        wanted = encoder_config(load_part(AutoConfig, settings.vision_encoder, "vision encoder"))
    vision = load_part(
        AutoModel, settings.vision_encoder, "vision encoder", config=wanted, dtype=torch.float32
    )
    options |= quantized(quantization, dtype, ["lm_head"]) if quantization else {"dtype": dtype}
    text = load_part(AutoModelForCausalLM, settings.language_model, "language model", **options)
    tokenizer = load_part(AutoTokenizer, settings.language_model, "tokenizer")
    with load_errors("vision encoder", settings.vision_encoder):
        config = make_config(settings, vision.config, text.config)
    with torch.device("meta"):  # where the parts, which have weights already, cost nothing
        model = PoseLLM(config)
    model.model.vision_tower = vision
    model.model.language_model = text.base_model
    model.lm_head = text.get_output_embeddings()
    if model.lm_head.bias is not None:
        raise PosetalkError(
            f"the head of the language model {settings.language_model} has a bias, which a PoseLLM does not save; "
            "choose another language model"
        )
    for name in new_modules(model):
        for module in model.get_submodule(name).to_empty(device="cpu").modules():
            model._init_weights(module)
    model.tie_weights()
    _mark_quantized(model, quantization)
    if settings.reading == "once":  # what is read becomes as long as a word
        words = model.get_input_embeddings().weight
        with torch.no_grad():
            model.model.question_reader[1].weight.mul_(3**0.5 * words.float().std())
    if settings.question_encoder:
        set_question_encoder(model, settings.question_encoder)
    return model, tokenizer


def set_question_encoder(model: PoseLLM, name: str) -> None:
    """Have a text encoder read the questions of a network, whose reader begins anew.

    Args:
        model: a network whose `reading` is `once`.
        name: a folder or hub id.

    Raises:
        PosetalkError: the encoder cannot be loaded, or the network reads questions behind the image.
    """
    if model.config.reading != "once":
        raise PosetalkError(
            "a question encoder reads questions apart from the image; set reading to 'once', or leave "
            "question_encoder out"
        )
    encoder = load_part(AutoModel, name, "question encoder", dtype=torch.float32)
    model.config.question, model.config.question_config = name, encoder.config
    network: Any = model.model
    model.question_tokenizer = _question_tokenizer(name, "tokenizer.json")
    model.config.side_tokens = side_tokens(model.question_tokenizer)
    network.read_with(encoder)
    for module in network.question_reader.modules():
        model._init_weights(module)
    with torch.no_grad():  # what is read is as long as a word
        network.question_reader.out_norm.weight.fill_(model.get_input_embeddings().weight.float().std())


def _mark_quantized(model: PoseLLM, quantization: Bits | None) -> None:
    """Have peft know which layers it puts adapters on: it asks the whole model, not the part that was loaded."""
    if quantization:
        setattr(model, f"is_loaded_in_{quantization}", True)


def _question_tokenizer(name: str, file: str) -> Tokenizer:
    with load_errors("question encoder's tokenizer", name):
        path = Path(name) / file if Path(name).is_dir() else cached_file(name, file)
        return question_tokenizer(path)


def conversation(
    config: PoseLLMConfig, tokenizer: Any, question_tokenizer: Tokenizer | None = None
) -> Conversation:
    """The prompts of this network: how it writes questions and answers as token ids.

    question_tokenizer: the network's `question_tokenizer`.
    """
    words = Wording.check(config.wording or {}, "the model's wording")
    once = config.question_token_id if config.reading == "once" else None
    return Conversation(
        tokenizer, words, config.image_token_id, config.image_seq_length, once, question_tokenizer
    )


def crop_settings(config: PoseLLMConfig) -> CropSettings:
    """How people are cut out of images for this network."""
    return CropSettings.check(config.crop or {}, "the model's crop")


def save(
    model: PoseLLM | PeftModel,
    tokenizer: Any,
    folder: str | Path,
    save_format: Literal["adapters", "merged"] = "merged",
) -> None:
    """Write a model folder: safetensors and their SHA256SUMS, config.json, tokenizer.

    Args:
        model: the network, perhaps wrapped by peft.
        tokenizer: its tokenizer.
        folder: made where it is missing.
        save_format: `merged` holds the whole network with LoRA added into its weights; `adapters` the LoRA and the
            connector alone (52 MB instead of 14 GB at 7B), for which the other parts are loaded again from where they
            came.

    Raises:
        PosetalkError: `adapters` of a model without LoRA.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    questions = (model.get_base_model() if isinstance(model, PeftModel) else model).question_tokenizer
    if isinstance(model, PeftModel):
        config = model.get_base_model().config
        if save_format == "adapters":
            model.save_pretrained(folder, save_embedding_layers=False)
        else:
            model = model.merge_and_unload()
    elif save_format == "adapters":
        raise PosetalkError("this model has no LoRA adapters; save it with save_format='merged'")
    if isinstance(model, PoseLLM):
        config = model.config
        model.save_pretrained(folder)
    config.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    if questions is not None:
        write_text(folder / QUESTION_TOKENIZER, questions.to_str())
    for graph in GRAPHS:  # of other weights
        (folder / graph).unlink(missing_ok=True)
    write_sums(folder)


def load(
    name: str | Path,
    dtype: torch.dtype = torch.float32,
    quantization: Bits | None = None,
    device_map: Any = None,
) -> tuple[PoseLLM, Any]:
    """Load a saved network, LoRA merged, in evaluation mode.

    Weights are read once, in the dtype that they are held in.

    Args:
        name: `bundled`, a folder, or a hub id; whole models and adapters alone both load.
        dtype: of the language model's weights; the others are in float32.
        quantization: bits of the language model's weights, for training adapters beside them.
        device_map: accelerate's, which spreads the layers over devices; None: all are on the CPU.

    Returns:
        The network, and its tokenizer.

    Raises:
        PosetalkError: not a PoseLLM folder, damaged files, parts that cannot be found.
    """
    folder = model_path(name)
    config = load_part(AutoConfig, folder, "model")
    if not isinstance(config, PoseLLMConfig):
        raise PosetalkError(
            f"{name} is a {config.model_type} model, not a PoseLLM; build one with posetalk train"
        )
    settings = _check_settings(config, str(name))
    tokenizer = load_part(AutoTokenizer, folder, "tokenizer")
    options: dict[str, Any] = {} if device_map is None else {"device_map": device_map}
    if not _has_file(folder, ADAPTERS):
        options |= (
            quantized(quantization, dtype, [*IN_FLOAT32, "lm_head"]) if quantization else {"dtype": dtype}
        )
        model = load_part(PoseLLM, folder, "model", **options)
    else:
        adapters_of(folder)
        if quantization:
            raise PosetalkError(
                f"{name} holds adapters, which are not added into quantised weights; train it without quantization, "
                "or give a merged model"
            )
        if not (settings.vision_encoder and settings.language_model):
            raise PosetalkError(
                f"{name} holds adapters and does not name the vision encoder and the language model they belong to "
                "(vision, text in config.json); give a merged model"
            )
        model = with_adapters(build(settings, dtype, **options)[0], folder)
        model.config = config
    if config.question_config is not None:
        model.question_tokenizer = _question_tokenizer(folder, QUESTION_TOKENIZER)
    if any(parameter.is_meta for parameter in model.parameters()):
        raise PosetalkError(
            f"{name} does not fit on the devices that are here; give a smaller dtype, more of them, or the CPU"
        )
    return model.eval(), tokenizer


def named_weights(name: str | Path, folder: str | None = None) -> str:
    """A model's name and the fingerprint of its weights, which tells it from another in the same place. folder: where
    they lie."""
    fingerprint = weights_fingerprint(Path(folder or model_path(name)))
    return f"{name} (weights {fingerprint})" if fingerprint else str(name)


def _check_settings(config: PoseLLMConfig, name: str) -> ModelSettings:
    """The settings of a saved network.

    Raises:
        PosetalkError: its configuration is not what `make_config` writes.
    """
    keys = {"connector": "connector", "readout": "readout", "reading": "reading", "crop": "crop"}
    keys |= {"vision_encoder": "vision", "language_model": "text", "question_encoder": "question"}
    values = {name: value for name, key in keys.items() if (value := getattr(config, key)) is not None}
    if config.cells:
        values["cells"] = config.cells
    for key in ("keypoints", "synonyms"):
        names: Any = getattr(config, key)
        if names is not None and not all(isinstance(point, str) for point in names):
            raise PosetalkError(f"{name}: config.json: {key} are names or nothing; get the model again")
    settings = ModelSettings.check(values, f"{name}: config.json")
    vision, tokens = config.vision_config, config.image_seq_length
    patch, expected = getattr(vision, "patch_size", None), tokens
    # encoders of several widths make patches of patches
    if isinstance(patch, int) and patch > 0 and not hasattr(vision, "hidden_sizes"):
        expected = (settings.crop.size // patch) ** 2
    if tokens != expected or not 0 < tokens <= settings.crop.size**2:
        raise PosetalkError(
            f"{name}: config.json: an image has {tokens:,} tokens, which its vision encoder does not give; get the "
            "model again"
        )
    return settings


def with_adapters(model: Any, folder: str) -> Any:
    """The model with the LoRA adapters of `folder` in its weights.

    Raises:
        PosetalkError: damaged files, another model's adapters.
    """
    with load_errors("adapters", folder), limit_size(folder, "adapters"):
        return PeftModel.from_pretrained(model, folder).merge_and_unload()


def _has_file(folder: str, file: str) -> bool:
    if Path(folder).is_dir():
        return (Path(folder) / file).is_file()
    return cached_file(folder, file, _raise_exceptions_for_missing_entries=False) is not None


def load_part(kind: Any, name: str, what: str, **options: Any) -> Any:
    """`kind.from_pretrained(name)` of safetensors and without code of the model's own.

    Raises:
        PosetalkError: whatever goes wrong there, as one sentence about `what`.
    """
    if Path(name).is_absolute() and not Path(name).exists():
        raise PosetalkError(f"no {what} at {name}: the folder does not exist")
    check_config(name, what)
    if kind in (AutoConfig, AutoTokenizer, AutoProcessor, AutoImageProcessor):
        with load_errors(what, name):
            return kind.from_pretrained(name, trust_remote_code=False, **options)
    check_weights(name, what)
    with load_errors(what, name), limit_size(name, what), _without_bar():
        return kind.from_pretrained(name, trust_remote_code=False, use_safetensors=True, **options)


@contextmanager
def _without_bar() -> Iterator[None]:
    """Keep transformers' bar of loading weights off standard error; a download still shows its own."""
    before = logging.set_tqdm_hook(
        lambda factory, args, options: factory(*args, **{**options, "disable": True})
    )
    try:
        yield
    finally:
        logging.set_tqdm_hook(before)
