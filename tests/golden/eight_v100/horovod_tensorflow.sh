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

export OMP_NUM_THREADS=10 MKL_NUM_THREADS=10 OPENBLAS_NUM_THREADS=10
export PYTHONUNBUFFERED=1 PYTHONFAULTHANDLER=1 PYTHONIOENCODING=utf-8:backslashreplace
export NVIDIA_TF32_OVERRIDE=0

# From here on all output belongs to the program.
exec >>/benchdock/run/log.txt 2>&1

if python3 -c 'import importlib.util, sys; sys.exit(importlib.util.find_spec("tf_keras") is None)'; then
  export TF_USE_LEGACY_KERAS=1
fi
if command -v mpirun >/dev/null; then
  start=(mpirun --allow-run-as-root --tag-output --bind-to none -np 8 python3)
else
  start=(horovodrun --gloo --network-interface lo -np 8 -H localhost:8 python3)
fi
exec "${start[@]}" /benchdock/source/tensorflow2/tensorflow2_synthetic_benchmark.py \
  --num-warmup-batches=20 --num-batches-per-iter=10 --num-iters=10 \
  --model=ResNet50 --batch-size=32
