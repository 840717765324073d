"""The linear algebra library of a framework: which one was loaded, and its threads.

Old frameworks have no call for it, and the library reads its environment variables when it is
loaded, which NumPy has done by now; so the library is called directly.
"""

import ctypes
import os

MAPS = "/proc/self/maps"
# Name in the library's file -> its function that takes the number of threads.
SETTERS = (
    ("openblas", "openblas_set_num_threads"),
    ("mkl_rt", "MKL_Set_Num_Threads"),
    ("mkl_intel_thread", "MKL_Set_Num_Threads"),
    ("mkl_gnu_thread", "MKL_Set_Num_Threads"),
    ("mklml", "MKL_Set_Num_Threads"),
)


def kernel(maps=MAPS):
    """The kernel of the OpenBLAS that is loaded, None if there is none."""
    for path in sorted(_loaded(maps)):
        if "openblas" in os.path.basename(path):
            told = ctypes.CDLL(path).openblas_get_corename
            told.restype = ctypes.c_char_p
            return told().decode("ascii").strip()
    return None


def set_threads(count, maps=MAPS):
    """Return (library, number of its threads): ("unknown", 1) if none is known."""
    for path in sorted(_loaded(maps)):
        for word, function in SETTERS:
            if word in os.path.basename(path):
                setter = getattr(ctypes.CDLL(path), function)
                setter(ctypes.c_int(count))
                return _described(path, word), count
    return "unknown", 1


def _described(path, word):
    if word != "openblas":
        return os.path.basename(path)
    configuration = ctypes.CDLL(path).openblas_get_config
    configuration.restype = ctypes.c_char_p
    return configuration().decode("ascii").strip()


def _loaded(maps):
    with open(maps) as lines:
        for line in lines:
            words = line.split(None, 5)
            if len(words) == 6 and ".so" in words[5]:
                yield words[5].strip()
