#!/usr/bin/env bash
# PoseLLM-7B on COCO train2017 by LocLLM's recipe; CONNECTOR=linear trains LocLLM. Not run here: see docs/guides/train.md.
#
#   COCO=/path/to/coco runs/coco_7b.sh        COCO holds annotations/ and train2017/
#
# Four GPUs with bfloat16 and 24 GB each, by the count of `posetalk plan`; batch 64 = 4 processes x 1 person x 16 accumulated steps. Stopped
# and started again it goes on from its last checkpoint.
set -euo pipefail
: "${COCO:?set COCO to the folder that holds annotations/ and train2017/}"
COCO=$(cd "$COCO" && pwd)
cd "$(dirname "$0")/.."
CONNECTOR=${CONNECTOR:-mlp}
OUT=${OUT:-runs/out/coco_7b_$CONNECTOR}
mkdir -p "$OUT"
cat > "$OUT/settings.toml" <<TOML
epochs = 12
batch_size = 64
per_device_batch_size = 1
learning_rate = 5e-4
weight_decay = 0.05
warmup_ratio = 0.03
bf16 = true
packing = "chain"
num_workers = 4
save_format = "adapters"

[[data]]
annotations = "$COCO/annotations/person_keypoints_train2017.json"
images = "$COCO/train2017"

[model]
vision_encoder = "facebook/dinov2-large"
language_model = "lmsys/vicuna-7b-v1.5"
connector = "$CONNECTOR"

[model.crop]
clip_box = true
TOML
torchrun --nproc-per-node "${PROCESSES:-4}" -m posetalk train "$OUT/settings.toml" --out "$OUT"
