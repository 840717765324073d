"""``python3 -m backends.bvlc_caffe``: one benchmark, the self check or parity."""

import sys

from backends.caffe import step
from backends.harness import program

if __name__ == "__main__":
    program.leave(program.main(step.Backend("bvlc_caffe"), sys.argv[1:]))
