#!/usr/bin/env bash
# run RUN
# model vgg19, training, float32, batch 32 per device, 8 x gpu
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
export PYTHONPATH=/opt/benchdock"${PYTHONPATH:+:$PYTHONPATH}"
export PYTHONUNBUFFERED=1 PYTHONFAULTHANDLER=1 PYTHONIOENCODING=utf-8:backslashreplace
export NVIDIA_TF32_OVERRIDE=0

# From here on all output belongs to the program.
exec >>/benchdock/run/log.txt 2>&1

folder="$(mktemp -d)"
python3 -m backends.caffe train --fork=nvidia_caffe --dtype=float32 --batch=32 --devices=8 \
  --data=dummy \
  --round-mode=auto -- vgg19 >"$folder/train.prototxt"
python3 -m backends.caffe solver --fork=nvidia_caffe --dtype=float32 --device=gpu \
  --steps=104 --display=3 --seed=0 \
  --net="$folder/train.prototxt" -- vgg19 >"$folder/solver.prototxt"
exec caffe train -logtostderr -solver="$folder/solver.prototxt" -gpu=0,1,2,3,4,5,6,7
