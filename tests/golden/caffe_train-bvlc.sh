#!/usr/bin/env bash
# run 20260101T000000-pytorch-resnet50-abc123
# model alexnet, training, float32, batch 8 per device, 1 x cpu
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
export PYTHONPATH=/opt/benchdock"${PYTHONPATH:+:$PYTHONPATH}"
export PYTHONUNBUFFERED=1 PYTHONFAULTHANDLER=1 PYTHONIOENCODING=utf-8:backslashreplace

# From here on all output belongs to the program.
exec >>/benchdock/run/log.txt 2>&1

folder="$(mktemp -d)"
python3 -m backends.caffe train --fork=bvlc_caffe --dtype=float32 --batch=8 --devices=1 \
  --data=dummy \
  --round-mode=auto -- alexnet >"$folder/train.prototxt"
python3 -m backends.caffe solver --fork=bvlc_caffe --dtype=float32 --device=cpu \
  --steps=24 --display=3 --seed=0 \
  --net="$folder/train.prototxt" -- alexnet >"$folder/solver.prototxt"
exec python3 -m backends.caffe.launch --kernel=auto -- caffe train -logtostderr -solver="$folder/solver.prototxt"
