#!/usr/bin/env bash
# run 20260101T000000-pytorch-resnet50-abc123
# model vgg16, inference, float16, batch 8 per device, 4 x gpu
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

exec python3 /benchdock/source/tf_cnn_benchmarks.py \
  --model=vgg16 \
  --batch_size=8 --num_batches=100 --num_warmup_batches=20 \
  --device=gpu \
  --num_gpus=4 \
  --variable_update=replicated \
  --all_reduce_spec=nccl \
  --local_parameter_device=gpu \
  --data_format=NHWC \
  --forward_only \
  --use_fp16 \
  --xla \
  --optimizer=sgd --momentum=0.9 --weight_decay=0.00004 \
  --data_dir=/benchdock/data --data_name=imagenet \
  --nodistortions --tf_random_seed=0 \
  --sync_on_finish=true \
  --display_every=10
