"""A text encoder that reads questions for the network, in place of its language model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

KNOWN = 50_000  # questions whose vectors are kept; 1.5 kB each at a width of 384
SIDES = ("left", "right")
# Of a question's vector, in training: so that what a word means counts, not the few numbers that tell the known words
# apart. Measured with and without by runs/text_places.py, see "Words that no text of the training has" in docs/results.
DROPOUT = 0.4


def side_tokens(tokenizer: Tokenizer) -> list[list[int]]:
    """The tokens of a vocabulary that are the word left, and those that are the word right."""
    words = {index: token.strip("\u0120\u2581 ").lower() for token, index in tokenizer.get_vocab().items()}
    return [sorted(index for index, word in words.items() if word == side) for side in SIDES]


class QuestionEncoder(nn.Module):
    """A frozen text encoder: a vector for each question, and which sides the question names.

    Its last hidden states are averaged over a question's tokens, as sentence encoders do (Sentence-BERT, arXiv
    1908.10084). In that mean the side is a faint trace, so the words left and right are told apart: two numbers behind
    the vector, 1 where the question has the word. As the encoder does not change, its vectors are kept: in training
    most questions come again.

    Args:
        encoder: As `AutoModel` makes it.
        sides: Of `side_tokens`.
    """

    def __init__(self, encoder: nn.Module, sides: Sequence[Sequence[int]]) -> None:
        super().__init__()
        self.encoder = encoder
        self.sides = tuple(map(tuple, sides))
        self._known: dict[tuple[int, ...], Tensor] = {}

    def train(self, mode: bool = True) -> Self:
        """As every module does; the encoder, which does not learn, leaves nothing out at random."""
        super().train(mode)
        self.encoder.eval()
        return self

    def forward(self, questions: Tensor, lengths: Tensor) -> Tensor:
        """Token ids (Q, L), padded on the right with any id, and how many count (Q,) -> (Q, width + 2)."""
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
        vectors = (hidden * counts[..., None]).sum(1) / lengths[:, None]
        named = []
        for tokens in self.sides:
            is_side = torch.zeros_like(counts)
            for token in tokens:
                is_side = is_side | (questions == token)
            named.append((is_side & counts).any(1).to(vectors.dtype))
        return torch.cat([vectors, torch.stack(named, 1)], 1)


class QuestionProjector(nn.Module):
    """Makes words of what a text encoder gives.

    Args:
        size: The text encoder's width.
        width: The language model's.
        dropout: The share of a vector that is left out in training.
    """

    def __init__(self, size: int, width: int, dropout: float = DROPOUT) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(size)
        self.dropout = nn.Dropout(dropout)
        self.hidden = nn.Linear(size, 2 * width)
        self.sides = nn.Linear(len(SIDES), 2 * width, bias=False)
        self.gelu = nn.GELU()
        self.out = nn.Linear(2 * width, width)
        self.out_norm = nn.LayerNorm(width)

    def forward(self, encoded: Tensor) -> Tensor:
        """(Q, size + 2), see `QuestionEncoder` -> (Q, width)."""
        vectors, sides = encoded[:, : -len(SIDES)], encoded[:, -len(SIDES) :]
        hidden = self.hidden(self.dropout(self.norm(vectors))) + self.sides(sides)
        out: Tensor = self.out_norm(self.out(self.gelu(hidden)))
        return out
