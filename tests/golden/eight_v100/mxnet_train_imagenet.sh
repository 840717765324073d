#!/usr/bin/env bash
# run RUN
# model resnet50, training, float32, batch 32 per device, 8 x gpu
# benchdock quotes the values, so a $ in single quotes is meant literally.
# shellcheck disable=SC2016
set -euo pipefail

cd -- /benchdock/run/out

# A user id that the image does not have has no home and no name; some frameworks need both.
if [[ ! -d "${HOME:-}" || ! -w "${HOME:-}" ]]; then
  HOME="$(mktemp -d 2>/dev/null || pwd)"
  export HOME
fi
if ! id -un >/dev/null 2>&1; then
  export USER=benchdock LOGNAME=benchdock
fi

export OMP_NUM_THREADS=80 MKL_NUM_THREADS=80 OPENBLAS_NUM_THREADS=80
export PYTHONUNBUFFERED=1 PYTHONFAULTHANDLER=1 PYTHONIOENCODING=utf-8:backslashreplace
export NVIDIA_TF32_OVERRIDE=0

# From here on all output belongs to the program.
exec >>/benchdock/run/log.txt 2>&1

# Before MXNet 1.2 it always generates 500 batches of data.
set --
if grep -qs -e 'data_shape, 500,' -- /benchdock/source/common/data.py; then
  folder="$(mktemp -d)"
  export BENCHDOCK_STEPS=121
  cat >"$folder/benchdock_steps.py" <<'PYTHON'
"""Starts a program whose made data end after BENCHDOCK_STEPS batches."""
import os
import runpy
import sys

sys.argv = sys.argv[1:]
sys.path.insert(0, os.path.dirname(sys.argv[0]))
from common import data

STEPS = int(os.environ["BENCHDOCK_STEPS"])


class SyntheticDataIter(data.SyntheticDataIter):
    def __init__(self, num_classes, data_shape, max_iter, dtype):
        super(SyntheticDataIter, self).__init__(num_classes, data_shape, STEPS, dtype)


data.SyntheticDataIter = SyntheticDataIter
runpy.run_path(sys.argv[0], run_name="__main__")
PYTHON
  set -- "$folder/benchdock_steps.py"
fi
exec python3 "$@" /benchdock/source/train_imagenet.py \
  --network=resnet-v1 \
  --num-layers=50 \
  --image-shape=3,224,224 \
  --benchmark=1 \
  --batch-size=256 --num-examples=30976 --num-epochs=1 \
  --disp-batches=20 \
  --dtype=float32 \
  --optimizer=sgd --mom=0.9 --lr=0.1 --wd=0.0001 \
  --gpus=0,1,2,3,4,5,6,7 \
  --kv-store=device
