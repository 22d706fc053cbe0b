"""The network of PoseLLM (arXiv 2507.09139) and LocLLM (2406.04659) on transformers' LLaVA."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import AutoConfig, AutoModel, LlavaConfig, LlavaForConditionalGeneration
from transformers.models.llava.modeling_llava import (
    LlavaCausalLMOutputWithPast,
    LlavaModel,
    LlavaModelOutputWithPast,
)

from posetalk.errors import PosetalkError
from posetalk.model.block import NAME, blocks_of
from posetalk.model.connector import LinearConnector
from posetalk.model.movenet import TowerOutput
from posetalk.model.point import PointHead, gaussian, point_loss

IGNORE = -100
READ = 32  # questions at a time
GUIDED, EVERY = 2, 3  # the last layers whose attention `guide` draws, and every which of their heads


class PoseLLMConfig(LlavaConfig):
    """LLaVA's configuration, and with it all that a saved model needs to be asked.

    connector:    `linear` or `mlp`.
    crop:         CropSettings as a dict: how a person was cut out in training.
    wording:      Wording as a dict: how it was asked.
    vision, text: where the towers came from, for models that are saved as adapters alone.
    keypoints:    names of the keypoints it was trained on.
    readout:      `digits` or `point`, how it answers unless told otherwise.
    reading:      `inline`: a question's words stand behind the picture; `once`: they are read without it, and the
                  mean of their last hidden states stands behind the picture as one word.
    cells:        each image token is cut into cells x cells for `point`; 0 for a model that has only `digits`.
    """

    model_type = "posellm"
    connector: str = "mlp"
    crop: dict[str, Any] | None = None
    wording: dict[str, Any] | None = None
    vision: str | None = None
    text: str | None = None
    keypoints: list[str] | None = None
    readout: str = "digits"
    reading: str = "inline"
    cells: int = 0

    @property
    def question_token_id(self) -> int:
        """Stands in `input_ids` for a question that was read once; like the image token's it is never looked up."""
        return int(self.image_token_id) + 1


class PoseLLMModel(LlavaModel):
    """Tower, connector and language model without its head."""

    config_class = PoseLLMConfig

    def __init__(self, config: PoseLLMConfig) -> None:
        super().__init__(config)
        if config.connector == "linear":
            self.multi_modal_projector = LinearConnector(
                config.vision_config.hidden_size, config.text_config.hidden_size
            )
        if config.reading == "once":
            width = config.text_config.hidden_size
            self.question_reader = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width))
        self.post_init()

    def look(self, pixel_values: Tensor) -> TowerOutput:
        """(B, 3, S, S) -> what the tower sees: `last_hidden_state` (B, n, vision width), and its `fine` maps.

        The tower's last hidden state *after* its final norm (LocLLM's `x_norm_patchtokens`; LLaVA takes the one before)
        without class and register tokens.
        """
        seen = self.vision_tower(pixel_values.to(self.vision_tower.dtype))
        features = seen.last_hidden_state
        if features.ndim == 4:  # convolutional towers: (B, C, h, w)
            features = features.flatten(2).transpose(1, 2)
        features = features[:, features.shape[1] - self.config.image_seq_length :]
        return TowerOutput(last_hidden_state=features, fine=getattr(seen, "fine", None))

    def connect(self, seen: TowerOutput) -> TowerOutput:
        """What the tower sees, and with it the image tokens as words: `pooler_output` (B, n, text width)."""
        features = seen.last_hidden_state
        words = self.multi_modal_projector(features.to(next(self.multi_modal_projector.parameters()).dtype))
        return TowerOutput(last_hidden_state=features, pooler_output=words, fine=seen.fine)

    def get_image_features(self, pixel_values: Tensor, **_: Any) -> TowerOutput:
        """(B, 3, S, S) -> `look` and `connect`, under the name by which LLaVA's own code calls it."""
        return self.connect(self.look(pixel_values))

    def embed(
        self, input_ids: Tensor, image: TowerOutput | None = None, readings: Tensor | None = None
    ) -> Tensor:
        """(B, T) ids -> (B, T, width); image and question tokens, past the vocabulary, are never looked up.

        image: of `get_image_features`; readings: (n, width) of `read`, one for each question token, in order.
        """
        is_image = input_ids == self.config.image_token_id
        is_question = input_ids == self.config.question_token_id
        words: Tensor = self.get_input_embeddings()(input_ids.masked_fill(is_image | is_question, 0))
        if image is not None and is_image.any():  # `generate` passes the picture at every step
            features = image.pooler_output.to(words.dtype)
            if int(is_image.sum()) != features.shape[0] * features.shape[1]:
                raise PosetalkError(
                    f"the model's configuration gives pictures {int(is_image.sum())} tokens, and its tower gives them "
                    f"{features.shape[0] * features.shape[1]}; get the model again"
                )
            words = words.masked_scatter(is_image.unsqueeze(-1), features)
        if readings is not None:
            words = words.masked_scatter(is_question.unsqueeze(-1), readings.to(words.dtype))
        return words

    def read(self, questions: Tensor, lengths: Tensor) -> Tensor:
        """Read questions without the picture: (Q, L) ids, padded on the right, and their lengths (Q,) -> (Q, width).

        They stand in one row, and words with which all of them begin stand there once, as the picture does elsewhere.
        """
        order, means = lengths.argsort(), []
        for rows in torch.split(order, READ):  # of like length, so that little is padded
            ids, sizes = questions[rows], lengths[rows]
            alike = (ids == ids[0]).all(0).cumprod(0)
            start = min(int(alike.sum()), int(sizes.min()) - 1)
            places = torch.arange(start, int(sizes.max()), device=ids.device)
            owner, column = (places < sizes[:, None]).nonzero().unbind(1)
            first = torch.arange(start, device=ids.device)
            hidden = self.language_model(
                input_ids=torch.cat([ids[0, :start], ids[owner, places[column]]])[None],
                position_ids=torch.cat([first, places[column]])[None],
                use_cache=False,
                **self.sight(torch.cat([torch.zeros_like(first), owner + 1])[None]),
            ).last_hidden_state[0]
            own = hidden.new_zeros(len(rows), hidden.shape[1]).index_add(0, owner, hidden[start:])
            means.append((own + hidden[:start].sum(0)) / sizes[:, None])
        out: Tensor = self.question_reader(torch.cat(means)[order.argsort()])
        return out

    def sight(self, segments: Tensor) -> dict[str, Any]:
        """What tells the language model which tokens of (B, T) segments, see `block_mask`, see each other."""
        if self.language_model.config._attn_implementation == NAME:
            blocks = blocks_of(segments)
            if blocks is not None:
                return {"blocks": blocks}
        return {"attention_mask": block_mask(segments, self.get_input_embeddings().weight.dtype)}

    def forward(
        self,
        input_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        **kwargs: Any,
    ) -> LlavaModelOutputWithPast:
        if inputs_embeds is None:
            assert input_ids is not None
            image = None if pixel_values is None else self.get_image_features(pixel_values)
            inputs_embeds = self.embed(input_ids, image)
        out = self.language_model(inputs_embeds=inputs_embeds, **kwargs)
        return LlavaModelOutputWithPast(
            last_hidden_state=out.last_hidden_state,
            past_key_values=out.past_key_values,
            attentions=out.attentions,
        )


class PoseLLM(LlavaForConditionalGeneration):
    """`generate` works as in every LLaVA; `forward` with `labels` gives the training loss."""

    config_class = PoseLLMConfig

    def __init__(self, config: PoseLLMConfig) -> None:
        super(LlavaForConditionalGeneration, self).__init__(config)
        self.model = PoseLLMModel(config)
        self.lm_head = nn.Linear(config.text_config.hidden_size, config.text_config.vocab_size, bias=False)
        if config.cells:
            fine = getattr(config.vision_config, "fine_channels", 0)
            self.point = PointHead(config.text_config.hidden_size, config.cells, fine)
        self.post_init()
        reader = self.model.language_model.config
        if reader._attn_implementation == "sdpa":
            reader._attn_implementation = NAME

    def forward(
        self,
        input_ids: Tensor | None = None,
        labels: Tensor | None = None,
        segments: Tensor | None = None,
        truth: Tensor | None = None,
        questions: Tensor | None = None,
        lengths: Tensor | None = None,
        asked: Tensor | None = None,
        ends: Tensor | None = None,
        points: Tensor | None = None,
        num_items_in_batch: Tensor | int | None = None,
        logits_to_keep: int | Tensor = 0,
        pixel_values: Tensor | None = None,
        features: Tensor | None = None,
        fine: Tensor | None = None,
        **kwargs: Any,
    ) -> LlavaCausalLMOutputWithPast:
        """Next-token prediction; with `labels` (B, T; -100 where nothing is asked) the loss of the answers alone.

        segments: (B, T) of packed sequences, see `block_mask`; None for plain causal attention.
        truth:    (B, T, 5) of digit tokens: place, prefix and true value (see `digit_targets`), and x, y of the
                  keypoint in 0..1; NaN elsewhere. Only read where `digit_sigma` or `guide` is set.
        questions, lengths, asked: where questions are read once: (Q, L) ids of the different ones, their lengths (Q,),
                  and for each question token of the batch, in order, which it is (n,).
        ends, points: for the readout `point`: (B, K) where questions end, and (B, K, 3) x, y in 0..1 and visible (0 or
                  1), NaN where nothing is known. Where points are given the loss is theirs; `digits_too` adds that of
                  the answers.
        features, fine: what `look` gave for the pictures, in place of `pixel_values`.
        num_items_in_batch: divides the summed loss (all labels of a gradient step, over all processes); the labels of
                  this call are counted where it is None.
        """
        if segments is not None:
            kwargs |= self.model.sight(segments)
        if labels is None:
            out = self.model(input_ids=input_ids, pixel_values=pixel_values, **kwargs)
            hidden = out.last_hidden_state
            if isinstance(logits_to_keep, int):
                hidden = hidden[:, -logits_to_keep:] if logits_to_keep else hidden
            else:
                hidden = hidden[:, logits_to_keep]
            return LlavaCausalLMOutputWithPast(
                logits=self.lm_head(hidden), past_key_values=out.past_key_values
            )
        assert input_ids is not None
        if features is None:
            assert pixel_values is not None
            image = self.model.get_image_features(pixel_values)
        else:
            image = self.model.connect(TowerOutput(last_hidden_state=features, fine=fine))
        readings = None
        if questions is not None:
            assert lengths is not None
            readings = self.model.read(questions, lengths)[asked]
        guided = self.guide > 0 and truth is not None
        out = self.model(
            inputs_embeds=self.model.embed(input_ids, image, readings), output_attentions=guided, **kwargs
        )
        hidden = out.last_hidden_state
        is_image = (input_ids[0] == self.config.image_token_id).nonzero().flatten()
        answers = labels[:, 1:] != IGNORE
        counted = answers.sum() if num_items_in_batch is None else num_items_in_batch
        loss = hidden.new_zeros(())
        if points is not None:
            assert ends is not None
            keys = self.point.keys(hidden[:, is_image], image.fine)
            at_ends = hidden.gather(1, ends[..., None].expand(-1, -1, hidden.shape[2]))
            heat, visible = self.point(at_ends, keys)
            loss = loss + point_loss(heat, visible, points, self.point_sigma)
            if not self.digits_too:
                return LlavaCausalLMOutputWithPast(loss=loss / counted)
            # `counted` are tokens of answers here: a place weighs as much as an answer
            loss = loss * answers.sum() / (~points[..., 0].isnan()).sum().clamp_min(1)
        # The head is as wide as the vocabulary: it runs where an answer stands, and nowhere else.
        logits = self.lm_head(hidden[:, :-1][answers]).float()
        each = F.cross_entropy(logits, labels[:, 1:][answers], reduction="none")
        if self.digit_sigma > 0 and truth is not None:
            each = _soften(each, logits, truth[:, 1:][answers], self.digit_ids, self.digit_sigma)
        loss = loss + each.sum()
        if guided:
            assert truth is not None
            loss = loss + self.guide * guide_loss(out.attentions[-GUIDED:], is_image, truth)
        return LlavaCausalLMOutputWithPast(loss=loss / counted, logits=logits)

    # Set by training; not part of the model.
    digit_ids: tuple[int, ...] = ()
    digit_sigma: float = 0.0
    guide: float = 0.0
    point_sigma: float = 0.02
    digits_too: bool = False


def block_mask(segments: Tensor, dtype: torch.dtype) -> Tensor:
    """(B, T) segments -> (B, 1, T, T) additive mask.

    Segment 0 is what everyone sees (the picture), 1, 2, ... are questions with their answers: a token sees the tokens
    before it of segment 0 and of its own. -1 is padding, which nobody sees but itself.
    """
    length = segments.shape[1]
    same = segments.unsqueeze(2) == segments.unsqueeze(1)
    causal = torch.ones(length, length, dtype=torch.bool, device=segments.device).tril()
    seen = causal & (same | (segments == 0).unsqueeze(1)) & (segments >= 0).unsqueeze(2)
    seen = seen | torch.eye(length, dtype=torch.bool, device=segments.device)
    return additive(seen.unsqueeze(1), dtype)


def additive(seen: Tensor, dtype: torch.dtype) -> Tensor:
    """A boolean mask as numbers to add to attention scores: 0 where seen, the lowest number elsewhere."""
    # bfloat16's lowest is a little nearer zero than float32's: autocast may turn one into the other, never into -inf.
    low = max(torch.finfo(dtype).min, torch.finfo(torch.bfloat16).min)
    return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill(~seen, low)


def digit_targets(place: Tensor, prefix: Tensor, value: Tensor, sigma: float) -> Tensor:
    """What each of the ten digits should be given when the coordinate is Gaussian around its label.

    place: (n,) 0, 1, 2 for tenths, hundredths, thousandths; prefix: (n,) the number the digits before it spell;
    value: (n,) the true coordinate in 0..1. Returns (n, 10), rows sum to 1.
    """
    width = 0.1 ** (place + 1)
    edges = prefix[:, None] + width[:, None] * torch.arange(11, device=place.device)
    below = torch.special.ndtr((edges - value[:, None]) / sigma)
    mass = below.diff(dim=1).clamp_min(1e-9)
    share: Tensor = mass / mass.sum(1, keepdim=True)
    return share


def guide_loss(attentions: Sequence[Tensor], image: Tensor, truth: Tensor) -> Tensor:
    """Summed over the digits asked for: how far heads look from the image token under the keypoint.

    attentions: per layer (B, heads, T, T); every third head is drawn, the others stay free. image: (n,) positions of
    the image tokens, a square grid row by row; truth: (B, T, 5). Cross-entropy between a head's attention and a
    Gaussian around the keypoint, half a token wide.
    """
    batch, row = (~truth[:, 1:, 0].isnan()).nonzero().unbind(1)
    target = near(truth[batch, row + 1, 3:], len(image))
    losses = [
        -(target[:, None] * layer[batch, ::EVERY, row][..., image].float().clamp_min(1e-9).log()).sum(-1)
        for layer in attentions
    ]
    return torch.stack(losses).mean((0, 2)).sum()


def near(places: Tensor, tokens: int) -> Tensor:
    """(n, 2) x, y in 0..1 -> (n, tokens): a Gaussian half a token wide over a square grid of tokens, rows sum to 1."""
    side = math.isqrt(tokens)
    return gaussian(places, side, 0.5 / side)


def _soften(loss: Tensor, logits: Tensor, truth: Tensor, digit_ids: tuple[int, ...], sigma: float) -> Tensor:
    rows = ~truth[:, 0].isnan()
    place, prefix, value = truth[rows, :3].double().unbind(1)
    target = digit_targets(place, prefix, value, sigma).to(logits.dtype)
    ten = logits.log_softmax(1)[rows][:, list(digit_ids)]
    return loss.masked_scatter(rows, -(target * ten).sum(1))


AutoConfig.register("posellm", PoseLLMConfig)
AutoModel.register(PoseLLMConfig, PoseLLMModel)
