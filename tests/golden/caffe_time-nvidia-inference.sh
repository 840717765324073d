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
export NVIDIA_TF32_OVERRIDE=0

# From here on all output belongs to the program.
exec >>/benchdock/run/log.txt 2>&1

network="$(mktemp -d)/network.prototxt"
python3 -m backends.caffe deploy --fork=nvidia_caffe --dtype=float16 \
  --batch=8 --data=dummy --round-mode=auto -- resnet50 >"$network"

# NVIDIA's before 0.17, and others of its age, have no -phase: their `time` always trains.
set -- -phase=TEST
flags="$(caffe --help 2>&1 || true)"
if [[ $flags == *" -iterations "* && $flags != *" -phase "* ]]; then
  echo "this Caffe has no -phase, so its time always trains: use --phase training or a later image" >&2
  exit 1
fi
exec caffe time -logtostderr -model="$network" -iterations=20 \
  -gpu=0 \
  "$@"
