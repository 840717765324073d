"""A loop of fused multiply-adds as machine code of x86-64, so that no compiler is needed.

No other program is a ceiling: a matrix product also loads and stores, and a compiler may choose
other instructions. Encodings: Intel 64 and IA-32 Architectures Software Developer's Manual, volume
2, chapter 2.3 (VEX) and 2.7 (EVEX).
"""

import ctypes
import mmap
import struct

# Independent sums: at least latency (4 cycles) times units (2), so that no unit waits.
SUMS = 12
A, B, C, D = 12, 13, 14, 15  # registers of the factors and addends
VECTORS = SUMS + 4
# The results are stored behind the values, so that each call starts with the same ones: c is not
# exactly 1 / a, and after some 10^8 rounds a sum would overflow or become slow to compute.
ARRAY = VECTORS + SUMS
MOST_ROUNDS = 1 << 22
FMAS = 2 * SUMS  # of a round of the loop


def _vex(opcode, space, prefix, reg, second, rm, memory=None):
    """An instruction on 256-bit registers; `space` is 1 for 0F, 2 for 0F38."""
    inverted = (~reg >> 3 & 1) << 7 | 1 << 6 | (~rm >> 3 & 1) << 5
    code = [0xC4, inverted | space, (~second & 15) << 3 | 1 << 2 | prefix, opcode]
    return bytes(code) + _operand(reg, rm, memory)


def _evex(opcode, space, prefix, reg, second, rm, memory=None):
    """The same on 512-bit registers; only the first sixteen."""
    inverted = (~reg >> 3 & 1) << 7 | 1 << 6 | (~rm >> 3 & 1) << 5 | 1 << 4
    code = [0x62, inverted | space, (~second & 15) << 3 | 1 << 2 | prefix, 0x48, opcode]
    return bytes(code) + _operand(reg, rm, memory)


def _operand(reg, rm, memory):
    if memory is None:
        return bytes([0xC0 | (reg & 7) << 3 | rm & 7])
    return bytes([0x80 | (reg & 7) << 3 | rm & 7]) + struct.pack("<i", memory)


def loop(lanes):
    """A function f(rounds, values) for 8 or 16 lanes of float32.

    It loads `VECTORS` vectors from `values`, computes x = a x + b and x = c x + d in turn on each
    of the first `SUMS`, and stores them behind. With c = 1 / a and d = -b / a each x comes back.
    """
    encode, size = (_vex, 32) if lanes == 8 else (_evex, 64)
    pointer = 6  # rsi, the second argument
    load = b"".join(encode(0x10, 1, 0, i, 0, pointer, i * size) for i in range(VECTORS))
    # vfmadd213ps x, a, b: x = a * x + b
    body = b"".join(encode(0xA8, 2, 1, i, A, B) for i in range(SUMS))
    body += b"".join(encode(0xA8, 2, 1, i, C, D) for i in range(SUMS))
    body += b"\x48\xff\xcf"  # dec rdi
    body += b"\x0f\x85" + struct.pack("<i", -(len(body) + 6))  # jnz
    store = b"".join(encode(0x11, 1, 0, i, 0, pointer, (VECTORS + i) * size) for i in range(SUMS))
    return load + body + store + b"\xc5\xf8\x77\xc3"  # vzeroupper, ret


class Function(object):
    """Machine code in memory, called without Python's lock. Raises OSError if that is forbidden."""

    def __init__(self, code):
        self._memory = mmap.mmap(
            -1, len(code), prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
        )
        self._memory.write(code)
        self._view = ctypes.c_char.from_buffer(self._memory)
        kind = ctypes.CFUNCTYPE(None, ctypes.c_uint64, ctypes.c_void_p)
        self._call = kind(ctypes.addressof(self._view))

    def __call__(self, rounds, values):
        """Run `rounds` rounds on an array of floats, which gets the results."""
        self._call(rounds, ctypes.addressof(values))
