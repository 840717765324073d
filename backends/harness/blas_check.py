"""``python3 -m backends.harness.blas_check LIBRARY``: which kernel an OpenBLAS takes, and what is
wrong with it.

Prints {"kernel": ..., "problem": ...}; exit status `NOT_THERE` without such a library. It is a
program of its own because OpenBLAS chooses its kernel when it is loaded, and a wrong one may end
the process. It does not use NumPy, which may compute with the same library.

All values are whole numbers and so small that every sum is exact in float32, in any order: a
difference is a fault. Those of one factor have more bits than bfloat16 keeps.
"""

import array
import ctypes
import itertools
import json
import operator
import random
import sys

NOT_THERE = 3

ROWS = 101  # CblasRowMajor
PLAIN, TRANSPOSED = 111, 112
EDGE = 3  # unused values at the end of each row, which must stay as they are
UNTOUCHED = 4711.0
# Rows, columns and depth of products: around the sizes that kernels unroll, and one that is large
# enough to be divided among caches and threads.
SMALL = ((1, 1, 1), (3, 5, 2), (7, 1, 19), (1, 9, 33), (17, 31, 15), (33, 67, 129))
LARGE = ((67, 131, 389),)


class Numbers(object):
    """An endless row of whole numbers, the same in every run."""

    def __init__(self):
        """One period of them; its length has no factor in common with usual sizes."""
        source = random.Random(1)
        self._wide = itertools.cycle([source.randint(-1500, 1500) or 1 for _ in range(4999)])
        self._narrow = itertools.cycle([source.choice((-3, -2, -1, 1, 2, 3)) for _ in range(5003)])

    def wide(self, rows, columns):
        """A matrix as a list of rows; numbers of up to 11 bits."""
        return [list(itertools.islice(self._wide, columns)) for _ in range(rows)]

    def narrow(self, rows, columns):
        """The same with numbers of 2 bits."""
        return [list(itertools.islice(self._narrow, columns)) for _ in range(rows)]


class Kind(object):
    """The functions of one number type: "s" for float32, "d" for float64."""

    def __init__(self, library, letter):
        """Declare their arguments."""
        self.name = letter
        self.real = ctypes.c_float if letter == "s" else ctypes.c_double
        self._code = "f" if letter == "s" else "d"
        number, pointer = ctypes.c_int, ctypes.c_void_p
        self.gemm = getattr(library, "cblas_%sgemm" % letter)
        self.gemm.argtypes = [number] * 6 + [
            self.real, pointer, number, pointer, number, self.real, pointer, number,
        ]  # fmt: skip
        self.gemm.restype = None
        self.gemv = getattr(library, "cblas_%sgemv" % letter)
        self.gemv.argtypes = [number] * 4 + [
            self.real, pointer, number, pointer, number, self.real, pointer, number,
        ]  # fmt: skip
        self.gemv.restype = None
        self.dot = getattr(library, "cblas_%sdot" % letter)
        self.dot.argtypes = [number, pointer, number, pointer, number]
        self.dot.restype = self.real
        self.axpy = getattr(library, "cblas_%saxpy" % letter)
        self.axpy.argtypes = [number, self.real, pointer, number, pointer, number]
        self.axpy.restype = None

    def stored(self, rows, edge=EDGE):
        """A matrix as a C array, each row followed by unused values."""
        flat = itertools.chain.from_iterable(row + [UNTOUCHED] * edge for row in rows)
        return array.array(self._code, flat)


def problem(library):
    """What this library computes wrong, "" if nothing was found."""
    numbers = Numbers()
    for letter, shapes in (("s", SMALL + LARGE), ("d", SMALL)):
        kind = Kind(library, letter)
        for shape in shapes:
            for found in (product(kind, numbers, shape), vectors(kind, numbers, shape)):
                if found:
                    return found
    return ""


def product(kind, numbers, shape):
    """Compare C = A B + beta C, plain and transposed; the first difference in words."""
    rows, columns, depth = shape
    betas = (0,) if shape in LARGE else (0, 1)
    for of_a, of_b, beta in itertools.product((PLAIN, TRANSPOSED), (PLAIN, TRANSPOSED), betas):
        a, b = numbers.wide(rows, depth), numbers.narrow(depth, columns)
        before = numbers.wide(rows, columns)
        x = numbers.narrow(1, columns)[0]
        given_a = a if of_a == PLAIN else list(map(list, zip(*a)))
        given_b = b if of_b == PLAIN else list(map(list, zip(*b)))
        left, right, result = map(kind.stored, (given_a, given_b, before))
        kind.gemm(
            ROWS, of_a, of_b, rows, columns, depth,
            1, _place(left), len(given_a[0]) + EDGE, _place(right), len(given_b[0]) + EDGE,
            beta, _place(result), columns + EDGE,
        )  # fmt: skip
        wide = columns + EDGE
        found = [result[i * wide : (i + 1) * wide] for i in range(rows)]
        # C x = A (B x) needs far fewer operations than A B; no entry of x is zero.
        bx = _times(b, x)
        expected = [one + beta * other for one, other in zip(_times(a, bx), _times(before, x))]
        if _times(found, x) != expected or any(
            value != UNTOUCHED for row in found for value in row[columns:]
        ):
            return "%sgemm of %d x %d x %d" % ((kind.name,) + shape)
    return ""


def vectors(kind, numbers, shape):
    """Compare y = A x, a dot product and y = 2 x + y; the first difference in words."""
    rows, columns, _ = shape
    a, x, y = numbers.wide(rows, columns), numbers.narrow(1, columns)[0], [0] * rows
    matrix, source, result = kind.stored(a), kind.stored([x], 0), kind.stored([y], 0)
    kind.gemv(
        ROWS, PLAIN, rows, columns,
        1, _place(matrix), columns + EDGE, _place(source), 1, 0, _place(result), 1,
    )  # fmt: skip
    if list(result) != _times(a, x):
        return "%sgemv of %d x %d" % (kind.name, rows, columns)
    first = kind.stored([a[0]], 0)
    if kind.dot(columns, _place(first), 1, _place(source), 1) != _times(a[:1], x)[0]:
        return "%sdot of %d" % (kind.name, columns)
    kind.axpy(columns, 2, _place(source), 1, _place(first), 1)
    if list(first) != [2 * one + other for one, other in zip(x, a[0])]:
        return "%saxpy of %d" % (kind.name, columns)
    return ""


def _times(matrix, vector):
    """The product with plain arithmetic; rows may be longer than the vector."""
    return [sum(map(operator.mul, row, vector)) for row in matrix]


def _place(values):
    return values.buffer_info()[0]


def main(name):
    """Print the finding; return the exit status."""
    try:
        library = ctypes.CDLL(name)
        told = library.openblas_get_corename
    except (OSError, AttributeError):
        return NOT_THERE
    told.restype = ctypes.c_char_p
    found = {"kernel": told().decode("ascii"), "problem": problem(library)}
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
