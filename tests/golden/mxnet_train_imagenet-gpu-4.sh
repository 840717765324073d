#!/usr/bin/env bash
# run 20260101T000000-pytorch-resnet50-abc123
# model resnet50_v2, training, float16, batch 32 per device, 4 x gpu
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

export PYTHONUNBUFFERED=1 PYTHONFAULTHANDLER=1 PYTHONIOENCODING=utf-8:backslashreplace
export NVIDIA_TF32_OVERRIDE=0

# From here on everything that is printed belongs to the program, byte for byte.
exec >>/benchdock/run/log.txt 2>&1

exec python3 /opt/mxnet/example/image-classification/train_imagenet.py \
  --network=resnet \
  --num-layers=50 \
  --image-shape=3,224,224 \
  --benchmark=1 \
  --batch-size=128 --num-examples=15488 --num-epochs=1 \
  --disp-batches=20 \
  --dtype=float16 \
  --optimizer=sgd --mom=0.9 --lr=0.1 --wd=0.0001 \
  --gpus=0,1,2,3 \
  --kv-store=device
