#!/usr/bin/env bash
# run 20260101T000000-pytorch-resnet50-abc123
# model my_net, inference, float32, batch 8 per device, 1 x gpu
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
python3 -m backends.onnx write --batch=8 --seed=0 --model-file='/benchdock/model/my net'"'"'s.onnx' -- my_net "$model"
printf -v warm_up_ms '%.0f' 2.0e3
exec trtexec --onnx="$model" --device=0 \
  --noTF32 \
  --warmUp="$warm_up_ms" \
  --infStreams=4 \
  --iterations=20 --duration=0
