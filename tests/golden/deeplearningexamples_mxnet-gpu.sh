#!/usr/bin/env bash
# run 20260101T000000-pytorch-resnet50-abc123
# model resnet50_v1.5, inference, float32, batch 8 per device, 1 x gpu
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

export PYTHONPATH=/opt/benchdock"${PYTHONPATH:+:$PYTHONPATH}"
export PYTHONUNBUFFERED=1 PYTHONFAULTHANDLER=1 PYTHONIOENCODING=utf-8:backslashreplace
export NVIDIA_TF32_OVERRIDE=0

# From here on all output belongs to the program.
exec >>/benchdock/run/log.txt 2>&1

if ! python3 -c 'import dllogger' 2>/dev/null; then
  echo "dllogger is not installed: benchdock's stand-in prints its lines"
  export PYTHONPATH=/opt/benchdock/backends/stand_ins"${PYTHONPATH:+:$PYTHONPATH}"
fi

exec python3 /benchdock/source/runner \
  --ngpus 1 --batch-size 8 --num-epochs 1 --benchmark-iters 120 \
  --arch resnetv15 --num-layers 50 \
  --mode val \
  --dtype float32 \
  --data-root /benchdock/data \
  --no-metrics --seed 0 --workspace /benchdock/run \
  --disp-batches 20
