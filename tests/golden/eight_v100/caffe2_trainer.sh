#!/usr/bin/env bash
# run RUN
# model resnet50_v1.5, training, float32, batch 32 per device, 8 x gpu
# benchdock quotes the values, so a $ in single quotes is meant literally.
# shellcheck disable=SC2016
set -euo pipefail

cd -- /benchdock/run/out

# A user id that the image does not have has no home and no name; some frameworks need both.
if [[ ! -d "${HOME:-}" || ! -w "${HOME:-}" ]]; then
  HOME="$(mktemp -d 2>/dev/null || pwd)"
  export HOME
fi
if ! id -un >/dev/null 2>&1; then
  export USER=benchdock LOGNAME=benchdock
fi

export OMP_NUM_THREADS=80 MKL_NUM_THREADS=80 OPENBLAS_NUM_THREADS=80
export PYTHONUNBUFFERED=1 PYTHONFAULTHANDLER=1 PYTHONIOENCODING=utf-8:backslashreplace
export NVIDIA_TF32_OVERRIDE=0

# From here on all output belongs to the program.
exec >>/benchdock/run/log.txt 2>&1

folder="$(mktemp -d)"
cd -- "$folder"
exec python3 -m caffe2.python.examples.resnet50_trainer \
  --train_data=null \
  --batch_size=256 --epoch_size=26112 --num_epochs=1 --image_size=224 \
  --num_gpus=8 --cudnn_workspace_limit_mb=64 \
  --file_store_path="$folder"
