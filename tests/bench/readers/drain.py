"""Drains one reader inside an image and prints its CPU microseconds per image.

FRAMEWORK ours|plain FOLDER: a process of its own for each, because Caffe2 has one reader in each.
"""

import importlib
import os
import resource
import sys
import time

from backends import zoo
from backends.harness import arguments, data, machine
from tests.bench.readers import plain

BATCH, COUNT, UNCOUNTED = 32, 480, 224
MODEL = "resnet18"


def reader_of(framework):
    """Our reader, as the backend has it."""
    if framework == "bvlc_caffe":
        from backends.caffe import dialects, reader

        return reader.DataLayer(dialects.BVLC)
    name = "onnx" if framework in ("onnxruntime", "openvino") else framework
    return importlib.import_module(f"backends.{name}.reader")


def ours(framework, folder):
    """What a run calls for each batch; it has read 200 samples."""
    words = ["--data", folder, "--batch", str(BATCH), MODEL]
    settings = arguments.parse_reading(words, "backends." + framework)
    return data.source(settings, zoo.draw(MODEL), reader=reader_of(framework)).next


def by_hand(framework, folder):
    """The pipeline of `plain`, with as many workers, after as many samples."""
    side = zoo.draw(MODEL).input_shape[-1]
    following = plain.PIPELINES[framework](folder, side, BATCH, max(1, machine.cpus() - 1))
    for _ in range(UNCOUNTED // BATCH):
        following()
    return following


def cpu_seconds():
    """CPU time of this process and of its children, which are DataLoader's workers.

    Those that have ended count too: without persistent workers each epoch has others.
    """
    ticks, mine = 0, str(os.getpid())
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as file:
                    fields = file.read().rpartition(")")[2].split()
            except OSError:  # it has ended
                continue
            if fields[1] == mine:  # the parent
                ticks += int(fields[11]) + int(fields[12])
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    living = ticks / os.sysconf("SC_CLK_TCK")
    return time.process_time() + living + ended.ru_utime + ended.ru_stime


def main(framework, which, folder):
    """Print the figure."""
    following = {"ours": ours, "plain": by_hand}[which](framework, folder)
    start = cpu_seconds()
    for _ in range(COUNT // BATCH):
        following()
    print(f"cpu {1e6 * (cpu_seconds() - start) / COUNT:.1f}")
    sys.stdout.flush()
    os._exit(0)  # readers that are still ahead need not end


if __name__ == "__main__":
    main(*sys.argv[1:])
