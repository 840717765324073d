"""``python3 -m backends.caffe.launch --kernel=auto -- caffe time ...``: the ``caffe`` binary with
the best kernel of OpenBLAS.

The binary does not say which one runs, so that is printed before: lines that our parsers read.
"""

import argparse
import os
import sys

from backends.harness import blas_kernel, machine


def main(argv):
    """Settle the kernel, tell it, and become the command."""
    asked = _parser().parse_args(argv)
    settled = blas_kernel.settle(["--device=cpu", "--option=blas_kernel=%s" % asked.kernel])
    if settled.refusal:
        sys.exit("backends.caffe: %s" % settled.refusal)
    for line in told(settled, blas_kernel.tried(None), machine.cpu_flags()):
        print("benchdock: %s" % line)
    sys.stdout.flush()
    os.execvp(asked.command[0], asked.command)


def told(settled, running, flags):
    """What to print of the `Trial` that runs with what was settled; None without OpenBLAS."""
    if running is None:
        return []
    doubts = blas_kernel.doubts(settled, running.kernel, flags)
    return ["OpenBLAS runs its kernel %s" % running.kernel] + ["warning: %s" % d for d in doubts]


def _parser():
    parser = argparse.ArgumentParser(prog="backends.caffe.launch", description=__doc__)
    parser.add_argument("--kernel", default=blas_kernel.AUTO)
    parser.add_argument("command", nargs="+")
    return parser


if __name__ == "__main__":
    main(sys.argv[1:])
