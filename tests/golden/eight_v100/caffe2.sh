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

# From here on all output belongs to the program.
exec >>/benchdock/run/log.txt 2>&1

exec python3 -m backends.caffe2 \
  --model=vgg19 \
  --phase=training \
  --dtype=float32 \
  --batch=32 \
  --device=gpu \
  --devices=8 \
  --steps=100 \
  --warmup=20 \
  --warmup-seconds=2.0 \
  --threads=80 \
  --seed=0
