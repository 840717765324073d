"""``python3 -m backends.intel_caffe``: one benchmark, the self check or parity."""

import sys

from backends.caffe import step
from backends.harness import program

if __name__ == "__main__":
    program.leave(program.main(step.Backend("intel_caffe"), sys.argv[1:]))
