#!/usr/bin/env bash
# run 20260101T000000-pytorch-resnet50-abc123
# model resnet101_v1.5, training, float16, batch 32 per device, 4 x gpu
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

folder="$(mktemp -d)"
cd -- "$folder"
exec python3 -m caffe2.python.examples.resnet50_trainer \
  --train_data=/benchdock/data --db_type=lmdb \
  --batch_size=128 --epoch_size=15360 --num_epochs=1 --image_size=224 \
  --num_layers=101 \
  --num_gpus=4 --cudnn_workspace_limit_mb=64 \
  --dtype=float16 \
  --enable_tensor_core \
  --use_nccl \
  --file_store_path="$folder"
