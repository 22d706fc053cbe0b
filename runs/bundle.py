"""Copy a finished run's model into the package, in half precision and without paths.

python runs/bundle.py RUN src/posetalk/bundled
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from posetalk.model.files import load, save

model, tokenizer = load(Path(sys.argv[1]).resolve())
out = Path(sys.argv[2])
model.config.vision = model.config.text = model.config.question = None  # the folders it was made from
parts = (model.config.vision_config, model.config.text_config, model.config.question_config)
for config in (model.config, *filter(None, parts)):
    config._name_or_path = ""
save(model.to(torch.float16), tokenizer, out)
(out / "model.safetensors").chmod(0o644)
size = sum(file.stat().st_size for file in out.iterdir())
print(f"{out}: {model.num_parameters():,} parameters, {size / 1e6:.1f} MB")
