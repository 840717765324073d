#!/usr/bin/env bash
# run 20260101T000000-pytorch-resnet50-abc123
# model inception_resnet_v2, training, float32, batch 8 per device, 1 x cpu
# benchdock quotes the values, so a $ in single quotes is meant literally.
# shellcheck disable=SC2016
set -euo pipefail

cd -- /benchdock/run

# A user id that the image does not have has no home and no name; some frameworks need both.
if [[ ! -d "${HOME:-}" || ! -w "${HOME:-}" ]]; then
  HOME="$(mktemp -d 2>/dev/null || pwd)"
  export HOME
fi
if ! id -un >/dev/null 2>&1; then
  export USER=benchdock LOGNAME=benchdock
fi

export OMP_NUM_THREADS=4 MKL_NUM_THREADS=4 OPENBLAS_NUM_THREADS=4
export PYTHONUNBUFFERED=1 PYTHONFAULTHANDLER=1 PYTHONIOENCODING=utf-8:backslashreplace

# From here on all output belongs to the program.
exec >>/benchdock/run/log.txt 2>&1

# It would go through all data, whatever --num-examples says.
folder="$(mktemp -d)"
export BENCHDOCK_STEPS=24
cat >"$folder/benchdock_steps.py" <<'PYTHON'
"""Starts a program that reads BENCHDOCK_STEPS batches of real data."""
import os
import runpy
import sys

sys.argv = sys.argv[1:]
sys.path.insert(0, os.path.dirname(sys.argv[0]))
import mxnet
from common import data

STEPS = int(os.environ["BENCHDOCK_STEPS"])
whole = data.get_rec_iter


def get_rec_iter(args, kv=None):
    train, validation = whole(args, kv)
    return mxnet.io.ResizeIter(train, STEPS), validation


data.get_rec_iter = get_rec_iter
runpy.run_path(sys.argv[0], run_name="__main__")
PYTHON
exec python3 "$folder/benchdock_steps.py" /benchdock/source/train_imagenet.py \
  --network=inception-resnet-v2 \
  --image-shape=3,299,299 \
  --benchmark=0 --data-train=/benchdock/data/train.rec \
  --batch-size=8 --num-examples=192 --num-epochs=1 \
  --disp-batches=3 \
  --dtype=float32 \
  --optimizer=sgd --mom=0.9 --lr=0.1 --wd=0.0001 \
  --data-nthreads=8 \
  --kv-store=device
