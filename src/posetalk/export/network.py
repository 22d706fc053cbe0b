"""A PoseLLM with its questions built in: crops in, keypoints out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from posetalk.formats.coco import AREA_OF_BOX
from posetalk.images.opening import CHANNEL_STATS
from posetalk.locate.decode import read, settle
from posetalk.model.posellm import PoseLLM, block_mask
from posetalk.prompt.conversation import Conversation
from posetalk.settings import CropSettings
from posetalk.skeleton import Keypoint, sigmas_of


class PoseNetwork(nn.Module):
    """What `Localizer` does with the readout `point`, for keypoints that stay the same.

    Only the number of people varies. Questions, mask and positions are constants, and all questions of a person are
    read in one pass with the image.

    Args:
        model: A PoseLLM with the readout `point`.
        conversation: Its prompts.
        crop: How it cuts people out.
        keypoints: The K keypoints.
    """

    before: Tensor
    questions: Tensor
    mask: Tensor
    positions: Tensor
    ends: Tensor
    sigmas: Tensor
    measured: Tensor
    mean: Tensor
    std: Tensor

    def __init__(
        self, model: PoseLLM, conversation: Conversation, crop: CropSettings, keypoints: Sequence[Keypoint]
    ) -> None:
        super().__init__()
        self.model, self.point, self.size = model.model, model.point, crop.size
        ids = torch.tensor(conversation.prefix)
        self.start = int((ids != model.config.image_token_id).sum())  # the image tokens are the last ones
        questions = read(model, conversation, keypoints)
        lengths = torch.tensor([len(question) for question in questions])
        with torch.no_grad():
            before = model.get_input_embeddings()(ids[: self.start])
        numbers = torch.repeat_interleave(torch.arange(1, len(questions) + 1), lengths)
        segments = torch.cat([torch.zeros_like(ids), numbers])
        positions = [torch.arange(len(ids)), *(len(ids) + torch.arange(int(n)) for n in lengths)]
        mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in CHANNEL_STATS[crop.pixels])
        constants = {
            "before": before[None],
            "questions": torch.cat(questions)[None],
            "mask": block_mask(segments[None], before.dtype),
            "positions": torch.cat(positions)[None],
            "ends": len(ids) + lengths.cumsum(0) - 1,
            "sigmas": torch.tensor(sigmas_of(keypoints)),
            "measured": torch.tensor([point.sigma is not None for point in keypoints]),
            "mean": mean,
            "std": std,
        }
        for name, values in constants.items():
            self.register_buffer(name, values)
        for module in self.model.vision_tower.modules():
            _fix_positions(module)

    def forward(self, image: Tensor, box: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Locate the keypoints of P people.

        Args:
            image: (P, size, size, 3) uint8 RGB crops.
            box: (P, 2) width and height of each person's box, in px of the crop.

        Returns:
            xy (P, K, 2) in px of the crop, score (P, K), std (P, K, 2) in px of the crop, visible (P, K) in 0..1.
        """
        pixels = (image.permute(0, 3, 1, 2).float() / 255 - self.mean) / self.std
        seen, people = self.model.get_image_features(pixels), image.shape[0]
        words = [
            self.before.expand(people, -1, -1),
            seen.pooler_output,
            self.questions.expand(people, -1, -1),
        ]
        hidden = self.model.language_model(
            inputs_embeds=torch.cat(words, 1),
            attention_mask=self.mask,
            position_ids=self.positions,
            use_cache=False,
        ).last_hidden_state
        keys = self.point.keys(hidden[:, self.start : self.start + seen.pooler_output.shape[1]], seen.fine)
        heat, visible = self.point(hidden[:, self.ends], keys)
        side = torch.where(self.measured, box.prod(1, keepdim=True).sqrt(), box.amax(1, keepdim=True))
        scale = 2 * self.sigmas * AREA_OF_BOX**0.5 * side  # as `oks_scale`
        found = settle(heat, visible, scale / self.size)
        assert found.std is not None and found.visible is not None
        return found.xy * self.size, found.score, found.std * self.size, found.visible


def _fix_positions(module: nn.Module) -> None:
    """Have a vision encoder interpolate its positions once: every crop has the same size, and ONNX cannot hold each way
    of interpolating."""
    interpolate = getattr(module, "interpolate_pos_encoding", None)
    if callable(interpolate):
        known: list[Tensor] = []

        def positions(*given: Any) -> Tensor:
            if not known:
                known.append(interpolate(*given).detach())
            return known[0]

        module.interpolate_pos_encoding = positions  # type: ignore[assignment]
