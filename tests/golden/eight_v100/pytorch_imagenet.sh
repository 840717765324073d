#!/usr/bin/env bash
# run RUN
# model resnet18, training, float32, batch 32 per device, 8 x gpu
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

# It saves the trained model in its working directory.
folder="$(mktemp -d)"
cd -- "$folder"
# Before 2022 it had no --dummy and only accepted folders of images.
set -- --dummy
if ! grep -qs -e '--dummy' -- /benchdock/source/main.py; then
  export BENCHDOCK_FAKE_DATA=1
  set -- "$folder"
fi
export BENCHDOCK_STEPS=100
cat >"$folder/benchdock_steps.py" <<'PYTHON'
"""Starts a program whose passes over its data end after BENCHDOCK_STEPS batches.

With BENCHDOCK_FAKE_DATA its folders of images hold random ones, as many as ImageNet has.
"""
import itertools
import os
import sys

import torch.utils.data

STEPS = int(os.environ["BENCHDOCK_STEPS"])


class DataLoader(torch.utils.data.DataLoader):
    def __len__(self):
        return min(STEPS, super().__len__())

    def __iter__(self):
        return itertools.islice(super().__iter__(), STEPS)


torch.utils.data.DataLoader = DataLoader
if os.environ.get("BENCHDOCK_FAKE_DATA"):
    from torchvision import datasets, transforms

    def folder(root, transform=None):
        size = 50000 if os.path.basename(root) == "val" else 1281167
        return datasets.FakeData(size, (3, 224, 224), 1000, transforms.ToTensor())

    datasets.ImageFolder = folder
if __name__ == "__main__":
    sys.argv = sys.argv[1:]
    sys.path.insert(0, os.path.dirname(sys.argv[0]))
    import main

    main.main()
PYTHON
exec python3 "$folder/benchdock_steps.py" /benchdock/source/main.py \
  --arch resnet18 --batch-size 256 --epochs 1 --workers 4 \
  --multiprocessing-distributed --world-size 1 --rank 0 \
  --dist-url tcp://127.0.0.1:23456 --dist-backend nccl \
  --lr 0.1 --momentum 0.9 --weight-decay 0.0001 \
  --print-freq 1 \
  "$@"
