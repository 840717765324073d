"""``python3 -m backends.bvlc_caffe``: one benchmark, the self check or parity."""

import sys

from backends.harness import blas_kernel

if __name__ == "__main__":
    kernel = blas_kernel.settle(sys.argv[1:])
    # Both import NumPy, which loads OpenBLAS.
    from backends.caffe import step
    from backends.harness import program

    program.leave(program.main(step.Backend("bvlc_caffe", kernel), sys.argv[1:]))
