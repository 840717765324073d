#!/usr/bin/env bash
# run RUN
# model resnet50, training, float16, batch 32 per device, 8 x gpu
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

if ! grep -qs -e '--layers' -- /workspace/nvidia-examples/cnn/resnet.py; then
  echo "this nvidia-examples/cnn is not of TensorFlow 1: name one of NVIDIA's images of TensorFlow 1" >&2
  exit 1
fi

# Releases from 2020 on compile with XLA by default; older ones never do and have no flag.
set --
if grep -qs -e '--no_xla' -- /workspace/nvidia-examples/cnn/nvutils/cmdline.py; then
  set -- --no_xla
fi
exec mpirun --allow-run-as-root --tag-output --bind-to none -np 8 python3 /workspace/nvidia-examples/cnn/resnet.py --layers=50 \
  --batch_size=32 --num_iter=120 --iter_unit=batch \
  --precision=fp16 \
  --display_every=10 "$@"
