#!/usr/bin/env bash
# run RUN
# model resnet50, training, float32, batch 32 per device, 8 x gpu
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

export OMP_NUM_THREADS=10 MKL_NUM_THREADS=10 OPENBLAS_NUM_THREADS=10
export PYTHONUNBUFFERED=1 PYTHONFAULTHANDLER=1 PYTHONIOENCODING=utf-8:backslashreplace
export NVIDIA_TF32_OVERRIDE=0

# From here on all output belongs to the program.
exec >>/benchdock/run/log.txt 2>&1

exec mpirun --allow-run-as-root --tag-output --bind-to none -np 8 python3 /benchdock/source/tf_cnn_benchmarks.py \
  --model=resnet50 \
  --batch_size=32 --num_batches=100 --num_warmup_batches=20 \
  --device=gpu \
  --num_gpus=1 --variable_update=horovod --horovod_device=gpu \
  --local_parameter_device=gpu \
  --data_format=NCHW \
  --noforward_only \
  --nouse_fp16 \
  --noxla \
  --optimizer=sgd --momentum=0.9 --weight_decay=0.00004 \
  --nodistortions --tf_random_seed=0 \
  --display_every=10
