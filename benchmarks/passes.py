"""What a way of asking computes, pass by pass, counted on the meta device: nothing is computed, no memory is used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from benchmarks.measure import counted
from benchmarks.sides import tokens
from torch import Tensor
from transformers import DynamicCache

from posetalk.model.posellm import PoseLLM, additive
from posetalk.prompt.conversation import Conversation
from posetalk.skeleton import Keypoint


@dataclass(frozen=True, slots=True)
class Pass:
    """One call of the language model. pictures: that the tower sees before it; rows of `new` tokens behind `before`
    others; scored: positions for which the head gives the whole vocabulary."""

    pictures: int
    rows: int
    new: int
    before: int
    scored: int = 0


@dataclass(frozen=True, slots=True)
class Cost:
    """flops: of all passes; kv_bytes: of keys and values when it ends, in the network's precision."""

    flops: int
    kv_bytes: int
    passes: int


def passes(side: str, talk: Conversation, keypoints: Sequence[Keypoint]) -> list[Pass]:
    """The passes for one person by one of `benchmarks.sides`."""
    sizes = [len(talk.question(keypoint)) for keypoint in keypoints]
    asked, prefix = len(keypoints), len(talk.prefix)
    full = prefix + max(sizes)
    after = range(tokens(talk) - 1)
    match side:
        case "reference":
            steps = [Pass(asked, asked, 1, full + i, asked) for i in after]
            return [Pass(asked, asked, full, 0, asked * full), *steps]
        case "careful":
            steps = [Pass(0, asked, 1, full + i, asked) for i in after]
            return [Pass(1, asked, full, 0, asked), *steps]
        case "digits":
            found = [Pass(1, 1, prefix, 0)]
            opened = [Pass(0, 1, sum(sizes) + asked * len(talk.answer.open), prefix)]
            for new in (1, 1, 1 + len(talk.answer.middle), 1, 1):
                last = opened[-1]
                opened.append(Pass(0, 1, asked * new, last.before + last.new))
            return found + opened
        case "point":
            return [Pass(1, 1, prefix, 0), Pass(0, 1, asked, prefix)]
    raise ValueError(side)


@torch.no_grad()
def cost(model: PoseLLM, plan: Sequence[Pass]) -> Cost:
    """What the passes cost a network like this one on the meta device."""
    config = model.config
    text, crop = config.text_config, config.crop["size"]
    with torch.device("meta"):
        shadow = PoseLLM._from_config(config)
    weight = shadow.get_input_embeddings().weight

    def run() -> None:
        for one in plan:
            if one.pictures:
                shadow.model.get_image_features(torch.empty(one.pictures, 3, crop, crop, device="meta"))
            cache = DynamicCache()
            width = text.hidden_size // text.num_attention_heads
            for layer in range(text.num_hidden_layers if one.before else 0):
                past = torch.empty(one.rows, text.num_key_value_heads, one.before, width, device="meta")
                cache.update(past, past, layer)
            words = torch.empty(one.rows, one.new, text.hidden_size, device="meta")
            seen = torch.ones(one.rows, 1, one.new, one.before + one.new, dtype=torch.bool, device="meta")
            hidden: Tensor = shadow.model.language_model(
                inputs_embeds=words,
                attention_mask=additive(seen, weight.dtype),
                position_ids=torch.zeros(one.rows, one.new, dtype=torch.long, device="meta"),
                past_key_values=cache,
                use_cache=True,
            ).last_hidden_state
            if one.scored:
                shadow.lm_head(hidden.flatten(0, 1)[:1].expand(one.scored, -1))

    kept = max(one.rows * (one.before + one.new) for one in plan)
    kv = (
        2 * text.num_hidden_layers * text.num_key_value_heads * (text.hidden_size // text.num_attention_heads)
    )
    return Cost(counted(run)[0], kv * kept * weight.element_size(), len(plan))
