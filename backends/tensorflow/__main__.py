"""``python3 -m backends.tensorflow``: one benchmark, the self check or parity."""

import sys

from backends.harness import program, ranks, tf32

if __name__ == "__main__":
    tf32.settle(sys.argv[1:])
    ranks.take_share()
    # Imports TensorFlow, which loads what reads that variable, and starts threads.
    from backends.tensorflow import step

    program.leave(program.main(step, sys.argv[1:]))
