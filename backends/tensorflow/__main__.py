"""``python3 -m backends.tensorflow``: one benchmark, the self check or parity."""

import sys

from backends.harness import program
from backends.tensorflow import step

if __name__ == "__main__":
    program.leave(program.main(step, sys.argv[1:]))
