#!/usr/bin/env bash
# Proves the 7B paths on one GPU of 80 GB in about ten minutes, without a network: runs/gpu_check.py says how.
#
#   runs/gpu_check.sh           a GPU, 35 GB of disk under $TMPDIR, 40 GB of memory
#   runs/gpu_check.sh --tiny    the same code at tiny size, on a CPU
set -euo pipefail
cd "$(dirname "$0")/.."
exec "${PYTHON:-python3}" runs/gpu_check.py "$@"
