"""Teach a new connector the language model's words before the language model is trained.

LLaVA's first stage trains the connector alone, on captions, through the frozen language model. Keypoints do not need
that: the image token under a labelled keypoint should lie near the keypoint's name among the word
embeddings, and nearer than the other image tokens. A minute of it replaces the hours in which the language model would
learn to tell image tokens apart.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from posetalk.messages import track
from posetalk.model.posellm import PoseLLM
from posetalk.train.examples import Views
from posetalk.train.losses import token_targets
from posetalk.train.target import Target, labelled_targets

BATCH = 16
LEARNING_RATE = 1e-3
WARMUP_STEPS = 20
TEMPERATURE = 0.05


def align(model: PoseLLM, tokenizer: object, views: Views, steps: int) -> float:
    """Train the connector for `steps` steps of 16 people; returns the last loss.

    The tokens are then scaled to the mean length of a word, which the language model reads best.
    """
    connector = model.model.multi_modal_projector
    directions = WordDirections(model, tokenizer)
    optimizer = torch.optim.AdamW(connector.parameters(), lr=LEARNING_RATE)
    requires = {name: p.requires_grad for name, p in connector.named_parameters()}
    connector.requires_grad_(True)
    loss = torch.zeros(())
    for step in track(range(steps), "aligning"):
        for group in optimizer.param_groups:
            group["lr"] = (
                LEARNING_RATE
                * min(1, (step + 1) / WARMUP_STEPS)
                * (0.5 + 0.5 * math.cos(math.pi * step / steps))
            )
        samples = [views.pixels_and_targets((step * BATCH + i) % len(views)) for i in range(BATCH)]
        with torch.no_grad():
            pixels = torch.from_numpy(np.stack([pixels for pixels, _ in samples])).to(model.device)
            features = model.model.get_image_features(pixels).last_hidden_state
        tokens = connector(features)
        terms = [
            _loss(directions, t, labelled_targets(targets))
            for t, (_, targets) in zip(tokens, samples, strict=True)
        ]
        loss = torch.cat(terms).mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    last = [m for m in connector.modules() if isinstance(m, torch.nn.Linear)][-1]
    with torch.no_grad():
        factor = directions.length / tokens.norm(dim=-1).mean()
        for parameter in last.parameters():
            parameter.mul_(factor)
    for name, parameter in connector.named_parameters():
        parameter.requires_grad_(requires[name])
        parameter.grad = None
    return float(loss.detach())


class WordDirections:
    """Names of keypoints as directions among the word embeddings, whose mean is taken away."""

    def __init__(self, model: PoseLLM, tokenizer: object) -> None:
        self.table = model.get_input_embeddings().weight.detach().float()
        self.mean = self.table.mean(0)
        self.length = self.table.norm(dim=1).mean()
        self.tokenizer = tokenizer
        self.directions: dict[str, Tensor] = {}

    def __getitem__(self, name: str) -> Tensor:
        if name not in self.directions:
            ids = self.tokenizer(" " + name, add_special_tokens=False)["input_ids"]  # type: ignore[operator]
            self.directions[name] = F.normalize((self.table[ids] - self.mean).sum(0), dim=0)
        return self.directions[name]


def _loss(directions: WordDirections, tokens: Tensor, targets: list[Target]) -> Tensor:
    """One person: (n, width) image tokens and K labelled keypoints -> (K,) cross-entropies."""
    names = torch.stack([directions[t.keypoint.name] for t in targets])
    xy = torch.tensor([t.xy for t in targets], dtype=torch.float32, device=tokens.device)
    scores = names @ F.normalize(tokens.float(), dim=1).T / TEMPERATURE
    return -(token_targets(xy, len(tokens)) * scores.log_softmax(1)).sum(1)
