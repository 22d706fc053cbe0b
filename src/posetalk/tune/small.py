"""LLaVAs that two cores can train: the bundled localiser's vision encoder and connector before a language model.

Ordinary `LlavaForConditionalGeneration` folders, but for their vision encoder, which transformers knows once
`posetalk.model.movenet` is imported. Neither has learned to talk about images.

`small` has SmolLM2-135M. The bundled connector writes into the words of the bundled language model, which are SmolLM2's
own turned to 256 directions. So its last layer can be carried over to SmolLM2's 576: the direction of "left
wrist" there becomes that of "left wrist" here.

`tiny` is the bundled localiser as it is (13.7 million parameters): its language model has read people's images from the
start, and no text but names and descriptions of keypoints.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaImageProcessorPil,
    LlavaProcessor,
)

from posetalk.errors import PosetalkError
from posetalk.model.files import load as load_localizer
from posetalk.model.files import load_part
from posetalk.model.fingerprint import weights_fingerprint
from posetalk.resources import BUNDLED
from posetalk.tune.smollm2 import once, smollm2

IMAGE = "<image>"
# ChatML as SmolLM2 was trained on it, without its system message; what stands between the generation marks is learned.
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message.role + '\n' }}"
    "{% if message.content is string %}{% set parts = [{'type': 'text', 'text': message.content}] %}"
    "{% else %}{% set parts = message.content %}{% endif %}"
    "{% for part in parts if part.type == 'image' %}{{ '<image>\n' }}{% endfor %}"
    "{% if message.role == 'assistant' %}{% generation %}"
    "{% for part in parts if part.type == 'text' %}{{ part.text }}{% endfor %}{{ '<|im_end|>' }}{% endgeneration %}"
    "{% else %}{% for part in parts if part.type == 'text' %}{{ part.text }}{% endfor %}{{ '<|im_end|>' }}{% endif %}"
    "{{ '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def made(name: str) -> Path:
    """The folder of `small` or `tiny`, made the first time (`smollm2.once`). Raises PosetalkError: as `smollm2`."""

    def make(folder: Path) -> None:
        model, processor = make_small(smollm2()) if name == "small" else make_tiny()
        processor.save_pretrained(folder)
        model.save_pretrained(folder)

    return once(f"{name}-llava-{weights_fingerprint(BUNDLED)}", make)  # another release has other weights


def make_small(text: str | Path) -> tuple[LlavaForConditionalGeneration, LlavaProcessor]:
    """The network in float32 and its processor. text: a folder or hub id of SmolLM2, or of one with its words.

    Raises PosetalkError: a language model that cannot be loaded or has other words.
    """
    localizer, known = load_localizer("bundled")
    language = load_part(AutoModelForCausalLM, str(text), "language model", dtype=torch.float32)
    tokenizer = load_part(AutoTokenizer, str(text), "tokenizer")
    words = language.get_input_embeddings().weight.detach()
    lift, middle = _lift(localizer.get_input_embeddings().weight.detach(), known, words, tokenizer)
    tokenizer.add_special_tokens({"additional_special_tokens": [IMAGE]})
    language.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    model, processor = _llava(localizer, language, tokenizer)
    _carry(localizer.model.multi_modal_projector, model.model.multi_modal_projector, lift, middle)
    return model, processor


def make_tiny() -> tuple[LlavaForConditionalGeneration, LlavaProcessor]:
    """The bundled localiser in float32 as a LLaVA, and its processor."""
    localizer, tokenizer = load_localizer("bundled")
    settings = localizer.config.text_config.to_dict()
    language = LlamaForCausalLM(LlamaConfig.from_dict(settings)).float()
    language.model.load_state_dict(localizer.model.language_model.state_dict())
    language.generation_config = localizer.generation_config
    model, processor = _llava(localizer, language, tokenizer)
    model.model.multi_modal_projector.load_state_dict(localizer.model.multi_modal_projector.state_dict())
    return model, processor


def _llava(localizer: Any, language: Any, tokenizer: Any) -> tuple[Any, LlavaProcessor]:
    """The localiser's vision encoder, an untrained connector, and a language model."""
    config = LlavaConfig(
        vision_config=localizer.config.vision_config,
        text_config=language.config,
        image_token_index=tokenizer.convert_tokens_to_ids(IMAGE),
        image_seq_length=localizer.config.image_seq_length,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(0)
    model: Any = LlavaForConditionalGeneration(config).float()
    model.model.vision_tower.load_state_dict(localizer.model.vision_tower.state_dict())
    model.model.language_model = language.model
    model.tie_weights()
    model.generation_config = language.generation_config
    return model.eval(), _processor(tokenizer, localizer.config)


def _lift(narrow: Tensor, known: Any, wide: Tensor, tokenizer: Any) -> tuple[Tensor, Tensor]:
    """The linear map from the bundled model's words to the same words here: (576, 256) and what is added, (576,)."""
    vocabulary, localizer_words = tokenizer.get_vocab(), known.get_vocab()
    shared = [
        (localizer_words[word], vocabulary[word]) for word in sorted(localizer_words) if word in vocabulary
    ]
    if len(shared) < len(localizer_words) // 2:
        raise PosetalkError(
            f"the language model shares {len(shared)} of the bundled model's {len(localizer_words)} words; give SmolLM2"
        )
    source = narrow[[known_id for known_id, _ in shared]]
    target = wide[[word_id for _, word_id in shared]]
    ones = torch.ones(len(source), 1)
    solution = torch.linalg.lstsq(torch.cat([source, ones], 1), target).solution
    return solution[:-1].T.contiguous(), solution[-1]


@torch.no_grad()
def _carry(old: Any, new: Any, lift: Tensor, middle: Tensor) -> None:
    """The bundled connector inside LLaVA's wider one; units that it does not need start with no effect."""
    units = old.linear_1.out_features
    new.linear_1.weight[:units] = old.linear_1.weight
    new.linear_1.bias[:units] = old.linear_1.bias
    new.linear_2.weight.zero_()
    new.linear_2.weight[:, :units] = lift @ old.linear_2.weight
    new.linear_2.bias[:] = lift @ old.linear_2.bias + middle


def _processor(tokenizer: Any, config: Any) -> LlavaProcessor:
    size = config.crop["size"]
    images = LlavaImageProcessorPil(
        do_pad=True,  # to a square, as LLaVA-1.5 does
        size={"shortest_edge": size},
        crop_size={"height": size, "width": size},
        image_mean=[0.5, 0.5, 0.5],
        image_std=[0.5, 0.5, 0.5],
    )
    return LlavaProcessor(
        images,
        tokenizer,
        patch_size=config.vision_config.patch_size,
        vision_feature_select_strategy="full",
        chat_template=TEMPLATE,
    )
