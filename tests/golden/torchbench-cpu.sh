#!/usr/bin/env bash
# run 20260101T000000-pytorch-resnet50-abc123
# model resnet18, inference, float32, batch 8 per device, 1 x cpu
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

export OMP_NUM_THREADS=4 MKL_NUM_THREADS=4 OPENBLAS_NUM_THREADS=4
export PYTHONUNBUFFERED=1 PYTHONFAULTHANDLER=1 PYTHONIOENCODING=utf-8:backslashreplace

# From here on all output belongs to the program.
exec >>/benchdock/run/log.txt 2>&1

folder="$(mktemp -d)"
cat >"$folder/benchdock_weights.py" <<'PYTHON'
"""Starts a program that builds torchvision's networks, without the weights that it asks for."""
import functools
import os
import sys

import torchvision


def without_weights(build, *words, **options):
    options.pop("pretrained", None)
    return build(*words, **dict(options, weights=None))


for name in torchvision.models.list_models(module=torchvision.models):
    build = getattr(torchvision.models, name)
    setattr(torchvision.models, name, functools.partial(without_weights, build))
if __name__ == "__main__":
    sys.argv = sys.argv[1:]
    sys.path.insert(0, os.path.dirname(sys.argv[0]))
    import run

    run.main()
PYTHON
exec python3 "$folder/benchdock_weights.py" /benchdock/source/run.py \
  resnet18 --device cpu --test eval --bs 8 --metrics none \
  --precision fp32
