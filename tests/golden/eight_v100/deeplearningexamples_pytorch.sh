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

export OMP_NUM_THREADS=10 MKL_NUM_THREADS=10 OPENBLAS_NUM_THREADS=10
export PYTHONPATH=/opt/benchdock"${PYTHONPATH:+:$PYTHONPATH}"
export PYTHONUNBUFFERED=1 PYTHONFAULTHANDLER=1 PYTHONIOENCODING=utf-8:backslashreplace
export NVIDIA_TF32_OVERRIDE=0

# From here on all output belongs to the program.
exec >>/benchdock/run/log.txt 2>&1

if ! python3 -c 'import dllogger' 2>/dev/null; then
  echo "dllogger is not installed: benchdock's stand-in prints its lines"
  export PYTHONPATH=/opt/benchdock/backends/stand_ins"${PYTHONPATH:+:$PYTHONPATH}"
fi

# Releases before June 2022 misspell the name of their generated data.
made=synthetic
if grep -qs -e syntetic -- /benchdock/source/image_classification/dataloaders.py; then
  made=syntetic
fi

exec python3 /benchdock/source/multiproc.py --nproc_per_node 8 /benchdock/source/main.py \
  --arch resnet50 \
  --batch-size 32 --epochs 1 --prof 100 --print-freq 1 \
  --no-checkpoints --training-only \
  --memory-format nchw \
  --label-smoothing 0.1 --momentum 0.875 --weight-decay 3.0517578125e-05 \
  --seed 0 \
  --workspace /benchdock/run/out --raport-file raport.json \
  --data-backend "$made" /benchdock/run/out
