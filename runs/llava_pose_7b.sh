#!/usr/bin/env bash
# LLaVA-1.5-7B taught to talk about poses: write, tune, test. Never run: the commands are tested on tiny models and small
# files, the 7B network by its shapes.
#
#   COCO=/path/to/coco GENERAL=/path/to/mix.json GENERAL_IMAGES=/path/to/its/pictures runs/llava_pose_7b.sh
#
# COCO holds annotations/, train2017/ and val2017/; GENERAL is a LLaVA JSON of other data, mixed in against forgetting.
# Eight GPUs of 80 GB are what the recipe was published with. Stopped and started again each command goes on. JUDGE names a
# judge of the open answers at OpenAI, MONEY what it may cost in dollars; without it they are not judged.
set -euo pipefail
: "${COCO:?set COCO to the folder of COCO}" "${GENERAL:?set GENERAL}" "${GENERAL_IMAGES:?set GENERAL_IMAGES}"
COCO=$(cd "$COCO" && pwd)
GENERAL=$(realpath "$GENERAL")
GENERAL_IMAGES=$(cd "$GENERAL_IMAGES" && pwd)
cd "$(dirname "$0")/.."
OUT=${OUT:-runs/out/llava_pose_7b}
LABELS=$COCO/annotations

# The facts writer needs no model; with --writer openai, --model and --base-url a language model writes.
posetalk write "$LABELS/person_keypoints_train2017.json" --captions "$LABELS/captions_train2017.json" \
  --objects "$LABELS/instances_train2017.json" --preset llava-pose --out "$OUT/written"
[ -d "$OUT/llava" ] || posetalk export "$OUT/written" "$OUT/llava" --validation 0.01 --test 0

# batch 128 = 8 processes x 16
accelerate launch --config_file runs/fsdp.yaml -m posetalk tune "$OUT/llava" --images "$COCO/train2017" \
  --preset llava-1.5-7b --method "${METHOD:-lora}" --replay "$GENERAL:0.5" --replay-images "$GENERAL_IMAGES" \
  --probe "$OUT/llava/validation.json" --out "$OUT/tuned"

[ -d "$OUT/bench" ] || posetalk bench build "$LABELS/person_keypoints_val2017.json" \
  --captions "$LABELS/captions_val2017.json" --images "$COCO/val2017" --training-data "$OUT/llava/train.json" \
  --out "$OUT/bench"
for MODEL in llava-hf/llava-1.5-7b-hf "$OUT/tuned"; do
  posetalk bench answer "$OUT/bench" --images "$COCO/val2017" --model "$MODEL"
done
[ -z "${JUDGE:-}" ] || posetalk bench judge "$OUT/bench" --model "$JUDGE" --max-cost-usd "${MONEY:?set MONEY}"
posetalk bench report "$OUT/bench" --images "$COCO/val2017"
