#!/usr/bin/env bash
# run 20260101T000000-pytorch-resnet50-abc123
# model alexnet_owt, training, float16, batch 8 per device, 4 x gpu
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

export PYTHONUNBUFFERED=1 PYTHONFAULTHANDLER=1 PYTHONIOENCODING=utf-8:backslashreplace
export NVIDIA_TF32_OVERRIDE=0

# From here on all output belongs to the program.
exec >>/benchdock/run/log.txt 2>&1

# NVIDIA's alexnet is the one without LRN. HPE's copy calls it alexnet_owt, and another one alexnet.
network=alexnet
if grep -qs -e "'alexnet_owt'" -- /workspace/nvidia-examples/cnn/nvcnn.py; then
  network=alexnet_owt
fi
# HPE's copy has a flag for the number of steps to leave out.
set --
if grep -qs -e '--nstep_burnin' -- /workspace/nvidia-examples/cnn/nvcnn.py; then
  set -- --nstep_burnin=20
fi
exec python3 /workspace/nvidia-examples/cnn/nvcnn.py \
  --model="$network" --num_gpus=4 \
  --batch_size=8 --num_batches=120 \
  --fp16 \
  --display_every=10 "$@"
