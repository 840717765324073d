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

export OMP_NUM_THREADS=80 MKL_NUM_THREADS=80 OPENBLAS_NUM_THREADS=80
export PYTHONUNBUFFERED=1 PYTHONFAULTHANDLER=1 PYTHONIOENCODING=utf-8:backslashreplace
export NVIDIA_TF32_OVERRIDE=0

# From here on all output belongs to the program.
exec >>/benchdock/run/log.txt 2>&1

# HPE's copy has a flag for the number of steps to leave out.
set --
if grep -qs -e '--nstep_burnin' -- /benchdock/source/nvcnn.py; then
  set -- --nstep_burnin=20
fi
exec python3 /benchdock/source/nvcnn.py \
  --model=resnet50 --num_gpus=8 \
  --batch_size=32 --num_batches=120 \
  --fp16 \
  --display_every=10 "$@"
