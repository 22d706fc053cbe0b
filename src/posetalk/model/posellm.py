"""The network of PoseLLM (arXiv 2507.09139) and LocLLM (2406.04659) on transformers' LLaVA."""

from __future__ import annotations

from dataclasses import dataclass, field
from inspect import signature
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModel,
    LlavaConfig,
    LlavaForConditionalGeneration,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers.models.llava.modeling_llava import (
    LlavaCausalLMOutputWithPast,
    LlavaModel,
    LlavaModelOutputWithPast,
)

from posetalk.errors import PosetalkError
from posetalk.model.block import NAME, blocks_of
from posetalk.model.connector import LinearConnector
from posetalk.model.movenet import VisionOutput
from posetalk.model.point import PointHead
from posetalk.model.question_encoder import QuestionEncoder, QuestionProjector

QUESTIONS_AT_ONCE = 32
CONNECTOR = "multi_modal_projector"
NEW_MODULES = (CONNECTOR, "question_reader", "point")  # not pre-trained, so always trained in full
IN_FLOAT32 = ("vision_tower", "question_encoder", *NEW_MODULES)  # whatever the language model's dtype is


class PoseLLMConfig(LlavaConfig):
    """LLaVA's configuration, and with it all that a saved model needs to be asked.

    connector:    `linear` or `mlp`.
    crop:         CropSettings as a dict: how a person was cut out in training.
    wording:      Wording as a dict: how it was asked.
    vision, text, question: where vision encoder, language model and text encoder came from, for models that are saved
                  as adapters alone.
    keypoints:    names of the keypoints it was trained on; synonyms: their other names in training.
    readout:      `digits` or `point`, how it answers unless told otherwise.
    reading:      `inline`: a question's words stand behind the image; `once`: they are read without it, and the
                  mean of their last hidden states stands behind the image as one word.
    question_config: the configuration of the text encoder that reads questions once; None: the language model does.
    side_tokens:  the text encoder's tokens for the words left and right, see `QuestionEncoder`.
    cells:        each image token is cut into cells x cells for `point`; 0 for a model that has only `digits`.
    """

    model_type = "posellm"
    connector: str = "mlp"
    crop: dict[str, Any] | None = None
    wording: dict[str, Any] | None = None
    vision: str | None = None
    text: str | None = None
    question: str | None = None
    question_config: dict[str, Any] | PreTrainedConfig | None = None
    side_tokens: list[list[int]] = field(default_factory=lambda: [[], []])
    keypoints: list[str] | None = None
    synonyms: list[str] | None = None
    readout: str = "digits"
    reading: str = "inline"
    cells: int = 0

    def __post_init__(self, **kwargs: Any) -> None:
        super().__post_init__(**kwargs)
        if isinstance(self.question_config, dict):
            self.question_config = AutoConfig.for_model(**self.question_config)

    @property
    def question_token_id(self) -> int:
        """Stands in `input_ids` for a question that was read once; like the image token's it is never looked up."""
        return int(self.image_token_id) + 1


class PoseLLMModel(LlavaModel):
    """Vision encoder, connector and language model without its head."""

    config_class = PoseLLMConfig

    def __init__(self, config: PoseLLMConfig) -> None:
        super().__init__(config)
        if config.connector == "linear":
            self.multi_modal_projector = LinearConnector(
                config.vision_config.hidden_size, config.text_config.hidden_size
            )
        self.question_encoder: QuestionEncoder | None = None
        self.question_reader: nn.Module
        if config.question_config is not None:
            self.read_with(AutoModel.from_config(config.question_config))
        elif config.reading == "once":
            width = config.text_config.hidden_size
            self.question_reader = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width))
        self.post_init()

    def read_with(self, encoder: PreTrainedModel) -> None:
        """Have this text encoder read the questions, and a new reader make words of what it gives."""
        width, size = self.config.text_config.hidden_size, encoder.config.hidden_size
        self.question_encoder = QuestionEncoder(encoder, self.config.side_tokens)
        self.question_reader = QuestionProjector(size, width)

    def vision_output(self, pixel_values: Tensor) -> VisionOutput:
        """(B, 3, S, S) -> the vision encoder's `last_hidden_state` (B, n, vision width), and its `fine` maps.

        The vision encoder's last hidden state *after* its final norm (LocLLM's `x_norm_patchtokens`; LLaVA takes the
        one before), without class and register tokens.
        """
        output = encode(self.vision_tower, pixel_values.to(self.vision_tower.dtype))
        features = output.last_hidden_state
        if features.ndim == 4:  # convolutional encoders: (B, C, h, w)
            features = features.flatten(2).transpose(1, 2)
        features = features[:, features.shape[1] - self.config.image_seq_length :]
        return VisionOutput(last_hidden_state=features, fine=getattr(output, "fine", None))

    def project(self, output: VisionOutput) -> VisionOutput:
        """The vision encoder's output, and with it the image tokens as words: `pooler_output` (B, n, text width)."""
        features = output.last_hidden_state
        words = self.multi_modal_projector(features.to(next(self.multi_modal_projector.parameters()).dtype))
        return VisionOutput(last_hidden_state=features, pooler_output=words, fine=output.fine)

    def get_image_features(self, pixel_values: Tensor, **_: Any) -> VisionOutput:
        """(B, 3, S, S) -> `vision_output` and `project`, under the name by which LLaVA's own code calls it."""
        return self.project(self.vision_output(pixel_values))

    def embed(
        self, input_ids: Tensor, image: VisionOutput | None = None, readings: Tensor | None = None
    ) -> Tensor:
        """(B, T) ids -> (B, T, width); image and question tokens, past the vocabulary, are never looked up.

        image: of `get_image_features`; readings: (n, width) of `read`, one for each question token, in order.
        """
        is_image = input_ids == self.config.image_token_id
        is_question = input_ids == self.config.question_token_id
        words: Tensor = self.get_input_embeddings()(input_ids.masked_fill(is_image | is_question, 0))
        is_image, is_question = is_image.to(words.device), is_question.to(words.device)
        if image is not None:  # `generate` passes it at every step, also where no image token is left
            features = image.pooler_output.to(words.device, words.dtype)
            given, expected = features.shape[1], self.config.image_seq_length
            if given == expected and not is_image.is_cuda:  # on a GPU, counting would wait for it
                given, expected = features.shape[0] * given, int(is_image.sum()) or features.shape[0] * given
            if given != expected:
                raise PosetalkError(
                    f"the model's configuration gives images {expected} tokens, and its vision encoder gives them "
                    f"{given}; get the model again"
                )
            words = words.masked_scatter(is_image.unsqueeze(-1), features)
        if readings is not None:
            words = words.masked_scatter(is_question.unsqueeze(-1), readings.to(words.device, words.dtype))
        return words

    def read(self, questions: Tensor, lengths: Tensor) -> Tensor:
        """Read questions without the image: (Q, L) ids, padded on the right, and their lengths (Q,) -> (Q, width).

        In the language model they stand in one row, and words with which all of them begin stand there once, as the
        image does elsewhere.
        """
        if self.question_encoder is not None:
            reading: Tensor = self.question_reader(self.question_encoder(questions, lengths))
            return reading.to(self.get_input_embeddings().weight.dtype)
        order, means = lengths.argsort(), []
        for rows in torch.split(order, QUESTIONS_AT_ONCE):  # of like length, so that little is padded
            ids, sizes = questions[rows], lengths[rows]
            same = (ids == ids[0]).all(0).cumprod(0)
            start = min(int(same.sum()), int(sizes.min()) - 1)
            positions = torch.arange(start, int(sizes.max()), device=ids.device)
            owner, column = (positions < sizes[:, None]).nonzero().unbind(1)
            first = torch.arange(start, device=ids.device)
            hidden = self.language_model(
                input_ids=torch.cat([ids[0, :start], ids[owner, positions[column]]])[None],
                position_ids=torch.cat([first, positions[column]])[None],
                use_cache=False,
                **self.attention_arguments(torch.cat([torch.zeros_like(first), owner + 1])[None]),
            ).last_hidden_state[0]
            hidden = hidden.to(next(self.question_reader.parameters()))  # a mean of bfloat16 is a coarse one
            sums = hidden.new_zeros(len(rows), hidden.shape[1]).index_add(0, owner, hidden[start:])
            means.append((sums + hidden[:start].sum(0)) / sizes[:, None])
        out: Tensor = self.question_reader(torch.cat(means)[order.argsort()])
        return out.to(self.get_input_embeddings().weight.dtype)

    def attention_arguments(self, segments: Tensor) -> dict[str, Any]:
        """Arguments that tell the language model which tokens of (B, T) segments see each other, see `block_mask`."""
        if self.language_model.config._attn_implementation == NAME:
            blocks = blocks_of(segments.cpu())  # on a GPU, it would wait for it at every line
            if blocks is not None:
                return {"blocks": blocks.to(segments.device)}
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


@dataclass
class PoseLLMOutput(LlavaCausalLMOutputWithPast):
    """What `PoseLLM.forward` returns beside LLaVA's fields.

    heat, visible:   with `ends`: (B, K, S * S) and (B, K), the logits of the heat maps, row by row, and of `visible`.
    image_positions: with `logits_mask` or `ends`: (B, n), where the image tokens stand in a row.
    """

    heat: Tensor | None = None
    visible: Tensor | None = None
    image_positions: Tensor | None = None


class PoseLLM(LlavaForConditionalGeneration):
    """`generate` works as in every LLaVA; the losses that it is trained with are in `train.losses`.

    question_tokenizer: of the text encoder that reads questions; None where the language model does.
    """

    question_tokenizer: Tokenizer | None = None

    config_class = PoseLLMConfig
    # Of a model in bfloat16 the language model alone is, as in LocLLM's evaluation: the others are small, and places
    # are read off them.
    _keep_in_fp32_modules_strict = IN_FLOAT32

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

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, PointHead):
            module.forget_calibration()

    def forward(
        self,
        input_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        features: Tensor | None = None,
        fine: Tensor | None = None,
        segments: Tensor | None = None,
        questions: Tensor | None = None,
        lengths: Tensor | None = None,
        question_index: Tensor | None = None,
        ends: Tensor | None = None,
        logits_mask: Tensor | None = None,
        logits_to_keep: int | Tensor = 0,
        **kwargs: Any,
    ) -> PoseLLMOutput:
        """Next-token logits as every LLaVA gives them; with `logits_mask` or `ends`, what the losses need.

        Args:
            input_ids: (B, T) token ids.
            pixel_values: (B, 3, S, S) crops of people, normalised.
            features, fine: what `vision_output` gave for the images, in place of `pixel_values`.
            segments: (B, T) of packed sequences, see `block_mask`; None for plain causal attention.
            questions, lengths, question_index: where questions are read once: (Q, L) ids of the different ones, their
                lengths (Q,), and for each question token of the batch, in order, which question it stands for (n,).
            ends: (B, K) where questions end, for the readout `point`: heat maps are computed there.
            logits_mask: (B, T) bool, tokens for which logits are computed: (n, vocabulary) in float32, row by row.
            logits_to_keep: as in transformers, where neither `logits_mask` nor `ends` is given.
            **kwargs: the language model's own.
        """
        if segments is not None:
            kwargs |= self.model.attention_arguments(segments)
        if logits_mask is None and ends is None:
            out = self.model(input_ids=input_ids, pixel_values=pixel_values, **kwargs)
            hidden = out.last_hidden_state
            if isinstance(logits_to_keep, int):
                hidden = hidden[:, -logits_to_keep:] if logits_to_keep else hidden
            else:
                hidden = hidden[:, logits_to_keep]
            return PoseLLMOutput(logits=self.lm_head(hidden), past_key_values=out.past_key_values)
        assert input_ids is not None
        if features is None:
            assert pixel_values is not None
            image = self.model.get_image_features(pixel_values)
        else:
            image = self.model.project(VisionOutput(last_hidden_state=features, fine=fine))
        readings = None
        if questions is not None:
            assert lengths is not None
            readings = self.model.read(questions, lengths)[question_index]
        embeddings = self.model.embed(input_ids, image, readings)
        out = self.model(inputs_embeds=embeddings, **{"use_cache": False, **kwargs})
        hidden = out.last_hidden_state
        first = (input_ids[0] == self.config.image_token_id).int().argmax()
        image_positions = first + torch.arange(self.config.image_seq_length, device=first.device)
        heat = visible = logits = None
        if ends is not None:
            keys = self.point.keys(hidden[:, image_positions], image.fine)
            at_ends = hidden.gather(1, ends[..., None].expand(-1, -1, hidden.shape[2]))
            heat, visible = self.point(at_ends, keys)
        if logits_mask is not None:  # the head is as wide as the vocabulary: it runs here and nowhere else
            logits = self.lm_head(hidden[logits_mask]).float()
        return PoseLLMOutput(
            logits=logits,
            attentions=out.attentions,
            heat=heat,
            visible=visible,
            image_positions=image_positions.expand(len(input_ids), -1),
        )


def encode(vision_encoder: nn.Module, pixel_values: Tensor) -> Any:
    """What a vision encoder gives for images of any size: SigLIP and ViT are told to interpolate their positions."""
    told = "interpolate_pos_encoding" in signature(vision_encoder.forward).parameters
    return vision_encoder(pixel_values, **({"interpolate_pos_encoding": True} if told else {}))


def block_mask(segments: Tensor, dtype: torch.dtype) -> Tensor:
    """(B, T) segments -> (B, 1, T, T) additive mask.

    Segment 0 is what everyone sees (the image), 1, 2, ... are questions with their answers: a token sees the tokens
    before it of segment 0 and of its own. -1 is padding, which nobody sees but itself.
    """
    length = segments.shape[1]
    same = segments.unsqueeze(2) == segments.unsqueeze(1)
    causal = torch.ones(length, length, dtype=torch.bool, device=segments.device).tril()
    visible = causal & (same | (segments == 0).unsqueeze(1)) & (segments >= 0).unsqueeze(2)
    visible = visible | torch.eye(length, dtype=torch.bool, device=segments.device)
    return additive(visible.unsqueeze(1), dtype)


def additive(visible: Tensor, dtype: torch.dtype) -> Tensor:
    """A boolean mask as numbers to add to attention scores: 0 where seen, the lowest number elsewhere."""
    # bfloat16's lowest is a little nearer zero than float32's: autocast may turn one into the other, never into -inf.
    low = max(torch.finfo(dtype).min, torch.finfo(torch.bfloat16).min)
    return torch.zeros(visible.shape, dtype=dtype, device=visible.device).masked_fill(~visible, low)


AutoConfig.register("posellm", PoseLLMConfig)
AutoModel.register(PoseLLMConfig, PoseLLMModel)
