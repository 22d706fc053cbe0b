"""Give a model another reader of questions, which says of known keypoints what the old one said.

    python runs/change_reader.py bundled --question-encoder parts/question --skeleton people19.toml --out start

The new reader learns, by least squares, the old one's readings of the skeleton's keypoints, with and without their
descriptions, and of points between two of them (`posetalk.train.interpolated`). The rest of the model stays. It is a
start for training: of other words the new reader knows nothing yet.
"""

from __future__ import annotations

import argparse
from copy import deepcopy
from dataclasses import replace

import numpy as np
import torch
from torch.nn import functional as F

from posetalk.locate.decode import read
from posetalk.model.files import conversation, load, save, set_question_encoder
from posetalk.skeleton import Keypoint, load_skeleton
from posetalk.train.interpolated import interpolated_keypoints
from posetalk.train.target import Target

BETWEEN = 3000
STEPS, BATCH, RATE = 3000, 128, 2e-3


def known(skeleton: str) -> list[Keypoint]:
    """Keypoints as training asks for them."""
    keypoints = load_skeleton(skeleton).keypoints
    rng = np.random.default_rng(0)
    targets = [Target(keypoint, (0.5, 0.5), True) for keypoint in keypoints]
    between = [target.keypoint for _ in range(BETWEEN) for target in interpolated_keypoints(targets, 1, rng)]
    asked = [*keypoints, *(replace(keypoint, sentence="") for keypoint in keypoints), *between]
    return list({(keypoint.name, keypoint.sentence): keypoint for keypoint in asked}.values())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    for name in ("question-encoder", "skeleton", "out"):
        parser.add_argument(f"--{name}", required=True)
    given = parser.parse_args()
    torch.manual_seed(0)
    old, tokenizer = load(given.model)
    keypoints = known(given.skeleton)
    with torch.no_grad():
        wanted = torch.cat(read(old, conversation(old.config, tokenizer, old.question_tokenizer), keypoints))
    new = deepcopy(old)
    set_question_encoder(new, given.question_encoder)
    talk = conversation(new.config, tokenizer, new.question_tokenizer)
    rows = [torch.tensor(talk.question(keypoint)) for keypoint in keypoints]
    questions = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
    assert new.model.question_encoder is not None
    vectors = new.model.question_encoder(questions, torch.tensor([len(row) for row in rows]))
    reader = new.model.question_reader.train()
    with torch.no_grad():
        reader.out_norm.weight.fill_(wanted.std())
    optimizer = torch.optim.AdamW(reader.parameters(), RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, STEPS, pct_start=0.05)
    for step in range(STEPS):
        chosen = torch.randint(len(rows), (BATCH,))
        loss = F.mse_loss(reader(vectors[chosen]), wanted[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if (step + 1) % 500 == 0:
            print(
                f"step {step + 1}: {float(loss) / float(wanted.var()):.4f} of the readings' variance is left"
            )
    save(new.eval(), tokenizer, given.out)


if __name__ == "__main__":
    main()
