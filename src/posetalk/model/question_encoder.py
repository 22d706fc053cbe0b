"""A text encoder that reads questions for the network, in place of its language model."""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor, nn

KNOWN = 50_000  # questions whose vectors are kept; 1.5 kB each at a width of 384


class QuestionEncoder(nn.Module):
    """A frozen text encoder: a vector for each question.

    Its last hidden states are averaged over a question's tokens, as sentence encoders do (Sentence-BERT, arXiv
    1908.10084). As it does not change, its vectors are kept: in training most questions come again.

    Args:
        encoder: As `AutoModel` makes it.
    """

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self._known: dict[tuple[int, ...], Tensor] = {}

    def train(self, mode: bool = True) -> Self:
        """As every module does; the encoder, which does not learn, leaves nothing out at random."""
        super().train(mode)
        self.encoder.eval()
        return self

    def forward(self, questions: Tensor, lengths: Tensor) -> Tensor:
        """Token ids (Q, L), padded on the right with any id, and how many count (Q,) -> (Q, width)."""
        if questions.is_meta:  # counted, not computed
            return self.encode(questions, lengths)
        rows = [tuple(row[:n]) for row, n in zip(questions.tolist(), lengths.tolist(), strict=True)]
        if len(self._known) + len(rows) > KNOWN:
            self._known.clear()
        new = [number for number, row in enumerate(rows) if row not in self._known]
        if new:
            index = torch.tensor(new, device=questions.device)
            vectors = self.encode(questions[index], lengths[index])
            self._known.update({rows[number]: vector for number, vector in zip(new, vectors, strict=True)})
        return torch.stack([self._known[row] for row in rows])

    @torch.no_grad()
    def encode(self, questions: Tensor, lengths: Tensor) -> Tensor:
        """As `forward`, without looking whether a question is known."""
        counts = torch.arange(questions.shape[1], device=questions.device)[None] < lengths[:, None]
        hidden = self.encoder(input_ids=questions, attention_mask=counts.long()).last_hidden_state
        out: Tensor = (hidden * counts[..., None]).sum(1) / lengths[:, None]
        return out
