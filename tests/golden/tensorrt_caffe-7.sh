#!/usr/bin/env bash
# run 20260101T000000-pytorch-resnet50-abc123
# model googlenet, inference, int8, batch 8 per device, 1 x gpu
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
python3 -m backends.caffe deploy --reader=tensorrt --data=input --batch=8 -- googlenet >"$folder/network.prototxt"
python3 -m backends.caffe output --reader=tensorrt --data=input -- googlenet >"$folder/output"
output="$(<"$folder/output")"
printf -v warm_up_ms '%.0f' 2.0e3
exec "$program" --deploy="$folder/network.prototxt" --output="$output" --batch=8 --device=0 \
  --int8 \
  --iterations=20 --duration=0 --avgRuns=10 \
  --warmUp="$warm_up_ms" \
  --useSpinWait \
  --workspace=1024
