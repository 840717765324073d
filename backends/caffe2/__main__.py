"""``python3 -m backends.caffe2``: one benchmark, the self check or parity."""

import sys

from backends.caffe2 import step
from backends.harness import program

if __name__ == "__main__":
    program.leave(program.main(step, sys.argv[1:]))
