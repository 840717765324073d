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
export BENCHDOCK_NEAR_CPUS='0-19,40-59 0-19,40-59 0-19,40-59 0-19,40-59 20-39,60-79 20-39,60-79 20-39,60-79 20-39,60-79'
export PYTHONPATH=/opt/benchdock"${PYTHONPATH:+:$PYTHONPATH}"
export PYTHONUNBUFFERED=1 PYTHONFAULTHANDLER=1 PYTHONIOENCODING=utf-8:backslashreplace

# From here on all output belongs to the program.
exec >>/benchdock/run/log.txt 2>&1

exec mpirun --allow-run-as-root --tag-output --bind-to none -np 8 python3 -m backends.tensorflow \
  --model=resnet50 \
  --phase=training \
  --dtype=float32 \
  --batch=32 \
  --device=gpu \
  --devices=8 \
  --steps=100 \
  --warmup=20 \
  --warmup-seconds=2.0 \
  --threads=10 \
  --seed=0
