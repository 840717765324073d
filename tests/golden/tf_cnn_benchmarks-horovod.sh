#!/usr/bin/env bash
# run 20260101T000000-pytorch-resnet50-abc123
# model resnet50_v1.5, training, tf32, batch 8 per device, 4 x gpu
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
export NVIDIA_TF32_OVERRIDE=1 TORCH_ALLOW_TF32_CUBLAS_OVERRIDE=1

# From here on all output belongs to the program.
exec >>/benchdock/run/log.txt 2>&1

exec mpirun --allow-run-as-root --tag-output --bind-to none -np 4 python3 /benchdock/source/tf_cnn_benchmarks.py \
  --model=resnet50_v1.5 \
  --batch_size=8 --num_batches=100 --num_warmup_batches=20 \
  --device=gpu \
  --num_gpus=1 --variable_update=horovod --horovod_device=gpu \
  --local_parameter_device=cpu \
  --data_format=NCHW \
  --noforward_only \
  --nouse_fp16 \
  --noxla \
  --optimizer=sgd --momentum=0.9 --weight_decay=0.00004 \
  --nodistortions --tf_random_seed=0 \
  --display_every=10
