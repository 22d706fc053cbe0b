"""A converted LocLLM checkpoint is asked as LocLLM asks it: its token ids, its crops, its places; its files are read.

The ids are those that transformers 4.31 gave, see locllm/record.py.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from tests.model.reference import PATCH, SIDE, answer, checkpoint, image_words, write, write_tokenizer
from transformers import AutoTokenizer

from posetalk.errors import PosetalkError
from posetalk.locate.localizer import Localizer
from posetalk.model.convert import convert
from posetalk.model.files import conversation, load, load_part, save
from posetalk.prompt.conversation import Conversation
from posetalk.prompt.locllm import read_wording
from posetalk.prompt.wording import Wording
from posetalk.skeleton import Keypoint
from posetalk.types import Box

RECORDED = json.loads((Path(__file__).parent / "locllm" / "ids.json").read_text())
POINTS = [Keypoint(name, sentence) for name, sentence in RECORDED["points"]]
ROUNDS = 5  # of the last recorded prompt, a chain
PATCHES, SIZE = SIDE**2, PATCH * SIDE
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 9976570304\n"


def constants(folder: Path) -> Path:
    """A file like LocLLM's datasets/constants.py, with the descriptions of the recorded prompts."""
    table = {point.name: point.sentence for point in POINTS if point.sentence}
    file = folder / "constants.py"
    file.write_text(
        f"COCO = ['nose']\nKeypointLocationDescription = {table!r}\nopen({str(folder / 'ran')!r}, 'w')\n"
    )
    return file


def prompts(talk: Conversation) -> list[list[int]]:
    """The ids of the prompts that were recorded."""
    alone = [[*talk.prefix, *talk.question(point)] for point in POINTS]
    chain = list(talk.prefix)
    for number, point in enumerate(POINTS[:ROUNDS]):
        chain += talk.question(point, first=number == 0)
        chain += talk.answer.ids(0.111 * (number + 1), number / 10 + 0.005)
    return [*alone, chain]


@pytest.mark.parametrize("legacy", [True, False, None])
def test_a_converted_model_reads_prompts_as_locllm_does(
    legacy: bool | None, parts: dict[str, str], tmp_path: Path
) -> None:
    source = write(tmp_path / "locllm", checkpoint(), legacy=legacy)
    convert(source, tmp_path / "ours", **parts, wording=str(constants(tmp_path)))
    model, tokenizer = load(tmp_path / "ours")
    save(model, tokenizer, tmp_path / "again")  # as training further does
    model, tokenizer = load(tmp_path / "again")
    assert len(tokenizer) == model.config.image_token_id == 480
    expected = RECORDED["false" if legacy is False else "true"]
    assert prompts(conversation(model.config, tokenizer)) == expected
    assert RECORDED["true"] != RECORDED["false"]
    assert not (tmp_path / "ran").exists()


def test_a_new_model_keeps_the_white_space(tmp_path: Path) -> None:
    write_tokenizer(tmp_path)
    tokenizer = load_part(AutoTokenizer, str(tmp_path), "tokenizer")
    talk = Conversation(tokenizer, Wording(), 480, PATCHES)
    assert tokenizer.convert_ids_to_tokens(talk.prefix[:5]) == ["<s>", "▁Image", ":", "▁", None]
    assert tokenizer.convert_ids_to_tokens(talk.question(POINTS[0])[:3]) == ["▁", "<0x0A>", "Keypoint"]


def test_a_first_token_is_looked_up_without_its_blank(tmp_path: Path) -> None:
    """What transformers 4.31 does with `legacy: false` is no new split: a piece that is not there is unknown."""
    write_tokenizer(tmp_path)
    tokenizer = load_part(AutoTokenizer, str(tmp_path), "tokenizer")
    words = Wording(whitespace="strip_prefix", question="?{name}", answer="Answer:")
    first = tokenizer.convert_ids_to_tokens(
        Conversation(tokenizer, words, 480, 4).question(Keypoint("nose"))
    )[0]
    assert first == "?"  # its "▁" was a token of its own, which goes
    words = Wording(whitespace="strip_prefix", question="Answer {name}")
    assert "Answer" not in tokenizer.get_vocab()
    ids = Conversation(tokenizer, words, 480, 4).question(Keypoint("nose"))
    assert ids[0] == tokenizer.unk_token_id


def crop(image: np.ndarray, box: tuple[float, ...]) -> tuple[torch.Tensor, np.ndarray]:
    """LocLLM's crop of a COCO box, normalised (1, 3, S, S), and the matrix from its pixels back to the image."""
    height, width = image.shape[:2]
    left, top = max(0, box[0]), max(0, box[1])
    right, bottom = min(width - 1, left + box[2] - 1), min(height - 1, top + box[3] - 1)
    half = max(right - left, bottom - top) / 2
    x, y = (left + right) / 2, (top + bottom) / 2
    there = np.array([(x, y), (x, y - half), (x - half, y - half)], np.float32)
    here = np.array([(SIZE / 2, SIZE / 2), (SIZE / 2, 0), (0, 0)], np.float32)
    pixels = (
        cv2.warpAffine(image, cv2.getAffineTransform(there, here), (SIZE, SIZE), flags=cv2.INTER_LINEAR) / 255
    )
    mean, std = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
    tensor = torch.from_numpy((pixels - mean) / std).float().permute(2, 0, 1)[None]
    return tensor, cv2.getAffineTransform(here, there)


# Of the nose, the left eye and the right eye in two boxes, of which the second leaves the image: x and y px, and score.
PLACES = [
    [(55.86, 62.61), (51.79, 58.54), (51.79, 62.61)],
    [(106.18, 35.43), (102.78, 32.04), (102.78, 35.43)],
]
CONFIDENCES = [(0.47084, 0.47018, 0.4703), (0.47179, 0.47083, 0.47079)]
BOXES = [(12, 9, 50.5, 70), (61.5, -8, 80, 40)]


@torch.no_grad()
def test_places_are_locllms(parts: dict[str, str], tmp_path: Path) -> None:
    """Digits, one by one, of the whole prompt with the checkpoint's own tensors; then back to the image."""
    state = checkpoint()
    for key in state:
        if key.endswith(("self_attn.q_proj.weight", "self_attn.k_proj.weight")):
            state[key] *= 4  # so that answers differ
    convert(write(tmp_path / "locllm", state), tmp_path / "ours", **parts, wording=str(constants(tmp_path)))
    y, x = np.mgrid[:90, :120]
    image = np.stack([(x * 7 + y * 3) % 256, (x * y) % 256, (y * 5 - x) % 256], 2).astype(np.uint8)
    model, tokenizer = load(tmp_path / "ours")
    digits = tokenizer.convert_tokens_to_ids(list("0123456789"))
    opening, comma = (
        tokenizer.convert_tokens_to_ids(["▁[", "0", "."]),
        tokenizer.convert_tokens_to_ids([",", "0", "."]),
    )
    expected, confidence = [], []
    for box in BOXES:
        pixels, back = crop(image, box)
        words = image_words(state, pixels)
        for prompt in RECORDED["true"][:3]:
            after, found, likely = prompt[3 + PATCHES :] + opening, [], []
            for number in range(6):
                if number == 3:
                    after += comma
                chances = answer(state, words, prompt[:3], after)[0, -1, digits].softmax(0)
                found.append(int(chances.argmax()))
                likely.append(float(chances.max()))
                after.append(digits[found[-1]])
            u, v = (int("".join(map(str, found[half : half + 3]))) / 1000 for half in (0, 3))
            expected.append(back @ (u * SIZE, v * SIZE, 1))
            confidence.append((4 + sum(likely)) / 10)  # 0 and . of both are certain
    boxes = [Box(*box) for box in BOXES]
    localizer = Localizer(model, tokenizer, decoding="greedy", score="locllm")
    poses = localizer.set_image(image).locate(boxes, POINTS[:3])
    np.testing.assert_allclose(poses.xy.reshape(-1, 2), expected, atol=1e-3)
    np.testing.assert_allclose(poses.score.reshape(-1), confidence, atol=1e-5)
    np.testing.assert_allclose(poses.xy, PLACES, atol=0.01)
    np.testing.assert_allclose(poses.score, CONFIDENCES, atol=2e-5)


def stale_single(folder: Path) -> None:
    torch.save({}, write(folder, checkpoint()) / "pytorch_model.bin")


def single_of_another_kind(folder: Path) -> None:
    (write(folder, checkpoint()) / "model.safetensors").write_bytes(b"")


def lost_shard_without_index(folder: Path) -> None:
    for name in ("pytorch_model-00001-of-00002.bin", "pytorch_model.bin.index.json"):
        (write(folder, checkpoint()) if not folder.exists() else folder).joinpath(name).unlink()


def index_leads_out(folder: Path) -> None:
    write(folder, checkpoint())
    file = folder / "pytorch_model.bin.index.json"
    file.write_text(json.dumps({"weight_map": {"a": "../pytorch_model-00001-of-00002.bin"}}))


def pointer(name: str, form: str = "bin") -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        (write(folder, checkpoint(), form) / name).write_text(POINTER)

    return spoil


def no_tokenizer_config(folder: Path) -> None:
    (write(folder, checkpoint()) / "tokenizer_config.json").unlink()


def damaged_tokenizer(folder: Path) -> None:
    file = write(folder, checkpoint()) / "tokenizer.model"
    file.write_bytes(file.read_bytes()[:3000])


REFUSED = {
    "a single file beside shards": (
        stale_single,
        r"holds pytorch_model\.bin beside the shards of another save",
    ),
    "of another kind": (
        single_of_another_kind,
        r"holds model\.safetensors beside the shards of another save",
    ),
    "lost shard without index": (
        lost_shard_without_index,
        r"a shard is missing in .*locllm, or one is left over",
    ),
    "index leads out": (index_leads_out, r"index\.json names no files of this folder"),
    "pointer": (
        pointer("pytorch_model-00002-of-00002.bin"),
        "is a Git LFS pointer, not the weights: run git lfs pull",
    ),
    "safetensors pointer": (
        pointer("model.safetensors", "one safetensors"),
        "is a Git LFS pointer, not the weights",
    ),
    "tokenizer's pointer": (pointer("tokenizer.model"), "model is a Git LFS pointer, not the tokenizer"),
    "tokenizer cut off": (
        damaged_tokenizer,
        r"the tokenizer\.model of .*locllm is damaged or of another kind",
    ),
    "no tokenizer_config.json": (no_tokenizer_config, "tokenizer_config|vicuna"),
}


@pytest.mark.parametrize(("make", "words"), REFUSED.values(), ids=REFUSED)
def test_files_that_are_not_the_checkpoint_are_refused(
    make: Callable[[Path], None], words: str, parts: dict[str, str], tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr("posetalk.model.names.get_session", no_network)
    make(tmp_path / "locllm")
    with pytest.raises(PosetalkError, match=words) as error:
        convert(tmp_path / "locllm", tmp_path / "ours", **parts)
    assert "\n" not in str(error.value) and "tiktoken" not in str(error.value)
    assert not (tmp_path / "ours").exists()


def no_network() -> None:
    raise OSError


def test_shards_without_an_index_are_read_and_other_words_are_told(
    parts: dict[str, str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (write(tmp_path / "locllm", checkpoint()) / "pytorch_model.bin.index.json").unlink()
    assert convert(tmp_path / "locllm", tmp_path / "ours", **parts, wording=str(constants(tmp_path)))
    assert not caplog.messages
    assert convert(tmp_path / "locllm", tmp_path / "plain", **parts)
    assert [message for message in caplog.messages if "trained with LocLLM's words" in message]


@pytest.mark.parametrize(
    ("name", "dimensions", "words"),
    [
        ("h36m", None, r"is called as LocLLM calls its 3-D checkpoints \(h36m\).* or say dimensions 2"),
        ("h36m/checkpoint-9", None, "is called as LocLLM calls its 3-D checkpoints"),
        ("coco", 3, "3-D checkpoints of LocLLM are not supported"),
        ("h36m", 2, None),
        ("coco", None, None),
    ],
)
def test_three_dimensions_are_refused(
    name: str, dimensions: Any, words: str | None, parts: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    source = write(tmp_path / name, checkpoint())
    if words is None:
        assert convert(source, tmp_path / "ours", **parts, dimensions=dimensions)
        return
    with pytest.raises(PosetalkError, match=words):
        convert(source, tmp_path / "ours", **parts, dimensions=dimensions)


def test_without_sentencepiece_the_extra_is_named(tmp_path: Path, monkeypatch: Any) -> None:
    def missing(module: str) -> None:
        raise ModuleNotFoundError(name=module)

    write_tokenizer(tmp_path)
    (tmp_path / "tokenizer.model").write_bytes(b"what transformers cannot read either way")
    monkeypatch.setattr("posetalk.model.folders.import_module", missing)
    words = r"is a tokenizer\.model, which is read with sentencepiece and protobuf: pip install 'posetalk\[model\]'$"
    with pytest.raises(PosetalkError, match=words):
        load_part(AutoTokenizer, str(tmp_path), "tokenizer")


def test_weights_of_a_model_may_be_a_pointer(tiny_model: Path, tmp_path: Path) -> None:
    for file in tiny_model.iterdir():
        if file.is_file() and file.suffix != ".safetensors":
            (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "model.safetensors").write_text(POINTER)
    with pytest.raises(PosetalkError, match=r"model\.safetensors is a Git LFS pointer, not the weights"):
        load(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "KeypointLocationDescription = dict(a='b')",
        "KeypointLocationDescription = {",
        "KeypointLocationDescription = {'nose': 3}",
    ],
)
def test_other_python_files_hold_no_wording(text: str, tmp_path: Path) -> None:
    (tmp_path / "constants.py").write_text(text)
    with pytest.raises(PosetalkError, match=r"constants\.py"):
        read_wording(tmp_path / "constants.py")
    with pytest.raises(PosetalkError, match=r"nothing\.py"):
        read_wording(tmp_path / "nothing.py")
