"""``python3 -m backends.pytorch``: one benchmark, the self check or parity."""

import sys

from backends.harness import program, tf32

if __name__ == "__main__":
    tf32.settle(sys.argv[1:])
    # Imports PyTorch, which loads what reads that variable.
    from backends.pytorch import step

    program.leave(program.main(step, sys.argv[1:]))
