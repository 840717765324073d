#!/usr/bin/env bash
# run 20261130T003758-pytorch-deep_mnist-cdb7f3
# model deep_mnist, training, float32, batch 2 per device, 1 x cpu
# benchdock quotes the values, so a $ in single quotes is meant literally.
# shellcheck disable=SC2016
set -euo pipefail

cd -- /tmp/benchdock-home/runs/20261130T003758-pytorch-deep_mnist-cdb7f3/out

# A user id that the image does not have has no home and no name; some frameworks need both.
if [[ ! -d "${HOME:-}" || ! -w "${HOME:-}" ]]; then
  HOME="$(mktemp -d 2>/dev/null || pwd)"
  export HOME
fi
if ! id -un >/dev/null 2>&1; then
  export USER=benchdock LOGNAME=benchdock
fi

export OMP_NUM_THREADS=2 MKL_NUM_THREADS=2 OPENBLAS_NUM_THREADS=2
export PYTHONPATH=/tmp/benchdock"${PYTHONPATH:+:$PYTHONPATH}"
export PYTHONUNBUFFERED=1 PYTHONFAULTHANDLER=1 PYTHONIOENCODING=utf-8:backslashreplace

# From here on all output belongs to the program.
exec >>/tmp/benchdock-home/runs/20261130T003758-pytorch-deep_mnist-cdb7f3/log.txt 2>&1

exec /tmp/benchdock/tests/engine/misbehaving-python3 -m backends.pytorch \
  --model=deep_mnist \
  --phase=training \
  --dtype=float32 \
  --batch=2 \
  --device=cpu \
  --devices=1 \
  --steps=4 \
  --warmup=3 \
  --warmup-seconds=0.0 \
  --threads=2 \
  --option=behaviour=good \
  --seed=0
