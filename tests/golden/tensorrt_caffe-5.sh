#!/usr/bin/env bash
# run 20260101T000000-pytorch-resnet50-abc123
# model vgg16, inference, float16, batch 8 per device, 1 x gpu
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

export PYTHONPATH=/opt/benchdock"${PYTHONPATH:+:$PYTHONPATH}"
export PYTHONUNBUFFERED=1 PYTHONFAULTHANDLER=1 PYTHONIOENCODING=utf-8:backslashreplace
export NVIDIA_TF32_OVERRIDE=0

# From here on all output belongs to the program.
exec >>/benchdock/run/log.txt 2>&1

name=trtexec
# Images of 2018 and some later ones only have its source, in a folder of root: it is built in a
# copy, beside links to the rest.
program="$(command -v "$name" || true)"
if [[ -z $program ]]; then
  home=/workspace/tensorrt
  if [[ ! -x $home/bin/$name ]]; then
    if [[ ! -d $home/samples/$name ]]; then
      echo "this image has no $name: give one of NVIDIA's TensorRT images with --image" >&2
      exit 1
    fi
    built="$(mktemp -d)"
    for part in "$home"/*; do
      case "$part" in
        */bin | */samples) ;;
        *) ln -s -- "$part" "$built" ;;
      esac
    done
    cp -r -- "$home/samples" "$built"
    mkdir -- "$built/bin"
    make -C "$built/samples/$name"
    home=$built
  fi
  program=$home/bin/$name
fi

folder="$(mktemp -d)"
python3 -m backends.caffe deploy --reader=tensorrt --data=input --batch=8 -- vgg16 >"$folder/network.prototxt"
python3 -m backends.caffe output --reader=tensorrt --data=input -- vgg16 >"$folder/output"
output="$(<"$folder/output")"
exec "$program" --deploy="$folder/network.prototxt" --output="$output" --batch=8 --device=0 \
  --fp16 \
  --iterations=1 --avgRuns=20 \
  --workspace=1024
