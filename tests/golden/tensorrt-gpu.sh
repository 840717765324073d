#!/usr/bin/env bash
# run 20260101T000000-pytorch-resnet50-abc123
# model resnet50, inference, float16, batch 8 per device, 1 x gpu
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

# From here on all output belongs to the program.
exec >>/benchdock/run/log.txt 2>&1

model="$(mktemp -d)/model.onnx"
python3 -m backends.onnx write --batch=8 --seed=0 --dtype=float16 -- resnet50 "$model"
printf -v warm_up_ms '%.0f' 2.0e3
exec trtexec --onnx="$model" --device=0 \
  --fp16 \
  --warmUp="$warm_up_ms" \
  --builderOptimizationLevel=5 \
  --useCudaGraph \
  --noDataTransfers \
  --iterations=20 --duration=0
