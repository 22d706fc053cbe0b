"""Make tokenizer.model and ids.json: how transformers 4.31 reads LocLLM's prompts.

Run where transformers==4.31.0, tokenizers==0.13.3, sentencepiece==0.1.99 and protobuf<5 are installed, without torch:

    python tests/model/locllm/record.py

The prompts have LocLLM's form, with this package's descriptions. The tokenizer is LLaMA's in small: byte-pair pieces
of SentencePiece with bytes for what is in no piece, digits alone, a blank in front of every text, no normalisation.
"""

from __future__ import annotations

import json
import tomllib
from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory

import sentencepiece
from transformers import LlamaTokenizer

HERE = Path(__file__).resolve().parent
SKELETON = HERE.parents[2] / "src/posetalk/skeletons/coco17.toml"
PATCH, PATCHES, ROUNDS = "<im_patch>", 16, 5
QUESTION = "Where is the {} of this person in this image? Please provide its coordinates."


def question(point: dict[str, str]) -> str:
    lines = [f"Keypoint: {point['sentence']}"] if point["sentence"] else []
    return "\n".join([*lines, f"Question: {QUESTION.format(point['name'])}", "Answer:"])


def train_tokenizer(points: list[dict[str, str]]) -> None:
    with TemporaryDirectory() as folder, chdir(folder):
        lines = ["Image:", "[0.123,0.456]", "[0.789,0.123]", "(Keypoint (Question (Image"]
        Path("text.txt").write_text("\n".join([question(point) for point in points] + lines * 9) + "\n")
        sentencepiece.SentencePieceTrainer.train(
            input="text.txt", model_prefix="tokenizer", model_type="bpe", vocab_size=480,
            byte_fallback=True, split_digits=True, normalization_rule_name="identity", add_dummy_prefix=True,
            remove_extra_whitespaces=False, allow_whitespace_only_pieces=True, character_coverage=1.0,
            unk_id=0, bos_id=1, eos_id=2, pad_id=-1, num_threads=1,
        )  # fmt: skip
        (HERE / "tokenizer.model").write_bytes(Path("tokenizer.model").read_bytes())


def ids(prompts: list[str], legacy: bool) -> list[list[int]]:
    """As LocLLM trains: Vicuna's tokenizer and an added image token; and as it evaluates: both saved and loaded."""
    with TemporaryDirectory() as folder:
        Path(folder, "tokenizer.model").write_bytes((HERE / "tokenizer.model").read_bytes())
        Path(folder, "tokenizer_config.json").write_text(json.dumps({"legacy": legacy}))
        trained = LlamaTokenizer.from_pretrained(folder)
        trained.add_tokens([PATCH], special_tokens=True)
        trained.save_pretrained(f"{folder}/saved")
        loaded = LlamaTokenizer.from_pretrained(f"{folder}/saved")
        rows = [trained(prompt).input_ids for prompt in prompts]
        assert rows == [loaded(prompt).input_ids for prompt in prompts]
        return rows


def main() -> None:
    points = tomllib.loads(SKELETON.read_text())["keypoint"]
    train_tokenizer(points)
    start = f"Image: {PATCH * PATCHES}\n"
    points.append({"name": "left heel", "sentence": ""})
    prompts = [start + question(point) for point in points]
    answers = [f" [0.{111 * (number + 1)},0.{number}05]</s>" for number in range(ROUNDS)]
    prompts.append(
        start + "".join(question(point) + answer for point, answer in zip(points, answers, strict=False))
    )
    asked = [[point["name"], point["sentence"]] for point in points]
    rows = {str(legacy).lower(): ids(prompts, legacy) for legacy in (True, False)}
    text = (
        json.dumps({"points": asked, **rows})
        .replace("], [", "],\n[")
        .replace(": [[", ":\n[[")
        .replace("]], ", "]],\n")
    )
    (HERE / "ids.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
