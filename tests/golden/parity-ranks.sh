#!/usr/bin/env bash
# run 20260101T000000-pytorch-resnet50-abc123
# parity of resnet50 vgg11 alexnet, float32, cpu
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

export OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
export PYTHONPATH=/opt/benchdock"${PYTHONPATH:+:$PYTHONPATH}"
export PYTHONUNBUFFERED=1 PYTHONFAULTHANDLER=1 PYTHONIOENCODING=utf-8:backslashreplace

# From here on all output belongs to the program.
exec >>/benchdock/run/log.txt 2>&1

status=0
for model in resnet50 vgg11 alexnet; do
  code=0
  python3 -m backends.harness.ranks 2 backends.pytorch parity \
    --level=P4 \
    --dtype=float32 --device=cpu --devices=2 \
    "$model" || code=$?
  # 1: a comparison does not hold; more: the program failed.
  if ((code > status)); then status=$code; fi
done
exit "$status"
