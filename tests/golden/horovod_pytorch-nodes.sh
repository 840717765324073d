#!/usr/bin/env bash
# run 20260101T000000-pytorch-resnet50-abc123
# model resnet18, training, float32, batch 8 per device, 4 x cpu
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

start=(python3 -m backends.harness.ranks 4 backends.harness.horovod_rank)
exec srun --nodes=2 --export=ALL,BENCHDOCK_NODES=2 "${start[@]}" /benchdock/source/pytorch/pytorch_synthetic_benchmark.py \
  --no-cuda \
  --num-warmup-batches=3 --num-batches-per-iter=10 --num-iters=2 \
  --model=resnet18 --batch-size=8
