#!/usr/bin/env bash
# run 20260101T000000-pytorch-resnet50-abc123
# model resnet50_v2, inference, float32, batch 8 per device, 1 x cpu
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
export PYTHONUNBUFFERED=1 PYTHONFAULTHANDLER=1 PYTHONIOENCODING=utf-8:backslashreplace

# From here on all output belongs to the program.
exec >>/benchdock/run/log.txt 2>&1

program=/benchdock/source/benchmark_score.py
if ! grep -q -e "'--network'" -- "$program"; then
  echo "$program takes no --network: it is older than MXNet 1.4, whose script runs there too (--source)" >&2
  exit 1
fi
exec python3 "$program" --network=resnet-50 --batch-size=8
