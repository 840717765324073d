"""``python3 -m backends.mxnet``: one benchmark, the self check or parity."""

import sys

from backends.harness import program
from backends.mxnet import environment

if __name__ == "__main__":
    environment.settle(sys.argv[1:])
    # Imports MXNet, which reads its environment only then.
    from backends.mxnet import step

    program.leave(program.main(step, sys.argv[1:]))
