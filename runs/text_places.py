"""What a reader makes of words alone: the place of a point on a body, told from a text about it. Minutes on one core.

    PYTHONPATH=TOOLS python -m runs.text_places parts/question        # TOOLS holds anny, see bundled.sh

A reader of questions (`posetalk.model.question_encoder`) learns from the texts of the body atlas where each point lies
on anny's body at rest, m. It is asked for points that no text of its training names (all texts with a word such as
`knee` are left out), and for texts that were left out at random. The table has shares within 0.17 m, a tenth of the
body's height, as means over the seeds; behind the slash, of the questions that have a name and its description.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from runs.atlas.body import Anatomy
from runs.atlas.points import holds, read_points
from runs.left_out import FOOT
from torch import nn
from transformers import AutoModel

from posetalk.model.question_encoder import QuestionEncoder, QuestionProjector, side_tokens
from posetalk.prompt.file_tokenizer import question_tokenizer

GROUPS = {
    **{word: (word,) for word in ("knee", "elbow", "ankle", "wrist", "hip", "chin")},
    "foot": FOOT,
    "neck": ("neck", "nape"),
    "finger": ("finger", "thumb", "knuckle"),
}
ARMS = {
    "neither": (False, 0.0),
    "dropout": (False, 0.4),
    "sides": (True, 0.0),
    "sides and dropout": (True, 0.4),
}
WIDTH, STEPS, BATCH, RATE = 256, 400, 256, 1e-3
NEAR = 0.17
HELD_OUT = 0.2


class Places(nn.Module):
    """A reader, and behind it the place."""

    def __init__(self, size: int, dropout: float) -> None:
        super().__init__()
        self.reader = QuestionProjector(size, WIDTH, dropout)
        self.place = nn.Linear(WIDTH, 3)

    def forward(self, encoded: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.place(self.reader(encoded))
        return out


def errors(
    vectors: torch.Tensor, places: torch.Tensor, learn: np.ndarray, ask: np.ndarray, dropout: float, seed: int
) -> np.ndarray:
    """Distances (m) of what is asked for, after learning from the other texts."""
    torch.manual_seed(seed)
    network, rows = Places(vectors.shape[1] - 2, dropout), torch.from_numpy(np.flatnonzero(learn))
    optimizer = torch.optim.AdamW(network.parameters(), RATE)
    for _ in range(STEPS):
        batch = rows[torch.randint(len(rows), (BATCH,))]
        loss = (network(vectors[batch]) - places[batch]).norm(dim=1).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        found: np.ndarray = (network.eval()(vectors[ask]) - places[ask]).norm(dim=1).numpy()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("question_encoder", type=Path)
    parser.add_argument("--seeds", default="1,2,3")
    given = parser.parse_args()
    seeds = [int(seed) for seed in given.seeds.split(",")]
    points, anatomy = read_points(), Anatomy()
    rest = anatomy.locate(points).places(anatomy.rest.vertices[0], anatomy.rest.heads[0])
    tokenizer = question_tokenizer(given.question_encoder / "tokenizer.json")
    encoder = QuestionEncoder(
        AutoModel.from_pretrained(given.question_encoder), side_tokens(tokenizer)
    ).eval()
    texts, owners = [], []
    for number, point in enumerate(points):
        keypoint = point.keypoint
        sentences = [text for text in (keypoint.sentence, *keypoint.paraphrases) if text]
        told = [f"{keypoint.name}: {text}" for text in sentences[:1]]
        said = [*told, keypoint.name, *keypoint.synonyms, *sentences]
        texts += said
        owners += [number] * len(said)
    rows = [tokenizer.encode(text).ids for text in texts]
    vectors = torch.cat([encoder(torch.tensor([row]), torch.tensor([len(row)])) for row in rows])
    owner, told_too = np.array(owners), np.array([": " in text for text in texts])
    places = torch.from_numpy(rest[owner]).float()
    chosen = np.random.default_rng(0).random(len(texts)) < HELD_OUT
    tests = {"other texts": (~chosen, chosen)}
    for group, words in GROUPS.items():
        said_in = np.array([holds(text, words) for text in texts])
        named = np.array([holds(points[number].keypoint.name, words) for number in owner])
        tests[group] = (~said_in & ~named, said_in & named)
    print("| reader | " + " | ".join(tests) + " |\n" + "|---" * (len(tests) + 1) + "|")
    for arm, (sides, dropout) in ARMS.items():
        known, cells = vectors.clone(), []
        known[:, -2:] *= sides
        for learn, ask in tests.values():
            near = np.mean([errors(known, places, learn, ask, dropout, s) <= NEAR for s in seeds], 0)
            cells.append(f"{near.mean():.2f} / {near[told_too[ask]].mean():.2f}")
        print(f"| {arm} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
