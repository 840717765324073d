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

folder="$(mktemp -d)"
export BENCHDOCK_SAMPLES=30720 BENCHDOCK_IMAGE_SIZE=224
cat >"$folder/benchdock_images.py" <<'PYTHON'
"""Starts a program whose folders of images hold BENCHDOCK_SAMPLES images; made ones without data."""
import os
import sys

import torch
import torchvision

SAMPLES, SIDE = (int(os.environ["BENCHDOCK_" + name]) for name in ("SAMPLES", "IMAGE_SIZE"))


class ImageFolder(torch.utils.data.Dataset):
    """One image for all, as a tensor: nothing is read, decoded or transformed."""

    def __init__(self, root, transform=None, **_):
        self.classes = [str(number) for number in range(1000)]
        self.image = torch.rand(3, SIDE, SIDE)

    def __len__(self):
        return SAMPLES

    def __getitem__(self, index):
        return self.image, index % len(self.classes)


torchvision.datasets.ImageFolder = ImageFolder
if __name__ == "__main__":
    sys.argv = sys.argv[1:]
    sys.path.insert(0, os.path.dirname(sys.argv[0]))
    import train

    # Releases before 2021 only have parse_args.
    parser = getattr(train, "get_args_parser", None)
    train.main(parser().parse_args() if parser else train.parse_args())
PYTHON
exec python3 -m torch.distributed.run --nnodes=1 --nproc-per-node=8 --max-restarts=0 \
  --rdzv-backend=c10d --rdzv-endpoint=127.0.0.1:0 --local-addr=127.0.0.1 "$folder/benchdock_images.py" /benchdock/source/train.py \
  --model resnet18 --device cuda --batch-size 32 --epochs 1 \
  --workers 4 --lr 0.1 --momentum 0.9 --wd 0.0001 --print-freq 1 --output-dir '' \
  --data-path "$folder"
