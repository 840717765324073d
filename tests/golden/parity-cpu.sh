#!/usr/bin/env bash
# run 20260101T000000-pytorch-resnet50-abc123
# parity of resnet50 vgg11 alexnet, float32, cpu
# Values are quoted by benchdock, so a $ in single quotes is meant as it is.
# shellcheck disable=SC2016
set -euo pipefail

cd -- /benchdock/run

# A user id that the image does not know has no home of its own and no name; some frameworks need both.
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

# From here on everything that is printed belongs to the program, byte for byte.
exec >>/benchdock/run/log.txt 2>&1

status=0
for model in resnet50 vgg11 alexnet; do
  code=0
  python3 -m backends.mxnet parity \
    --level=P1 \
    --level=P3 \
    --dtype=float32 --device=cpu \
    "$model" || code=$?
  # 1: a comparison does not hold; more: the program broke off.
  if ((code > status)); then status=$code; fi
done
exit "$status"
