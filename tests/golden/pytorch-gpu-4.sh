#!/usr/bin/env bash
# run 20260101T000000-pytorch-resnet50-abc123
# model resnet50, inference, bfloat16, batch 8 per device, 4 x gpu
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
export NCCL_DEBUG=WARN

# From here on all output belongs to the program.
exec >>/benchdock/run/log.txt 2>&1

exec python3 -m backends.harness.ranks 4 backends.pytorch \
  --model=resnet50 \
  --phase=inference \
  --dtype=bfloat16 \
  --batch=8 \
  --device=gpu \
  --devices=4 \
  --steps=20 \
  --warmup=3 \
  --warmup-seconds=2.5 \
  --data=/benchdock/data \
  --option=compile=yes \
  --option=layout=channels_last \
  --seed=7
