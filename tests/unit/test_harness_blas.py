"""The linear algebra library's threads."""

import ctypes
from types import SimpleNamespace

import pytest

from backends.harness import blas


def test_without_a_known_library_one_thread_is_reported(tmp_path):
    maps = tmp_path / "maps"
    maps.write_text(
        "7f00-7f01 r-xp 00000000 08:01 42   /usr/lib/libblas.so.3\n7f02-7f03 rw-p 0 0 0\n"
    )
    assert blas.set_threads(4, str(maps)) == ("unknown", 1)


class Library:
    """A loaded library; remembers the calls of its functions."""

    def __init__(self, path, calls):
        self.path, self.calls = path, calls

    def __getattr__(self, name):
        def function(*values):
            self.calls.append((self.path, name, *(value.value for value in values)))
            return b"OpenBLAS 0.3.21 Haswell \n"

        return function


@pytest.mark.parametrize(
    ("path", "function", "told"),
    [
        ("/opt/lib/libopenblas.so.0", "openblas_set_num_threads", "OpenBLAS 0.3.21 Haswell"),
        ("/opt/lib/libmkl_rt.so", "MKL_Set_Num_Threads", "libmkl_rt.so"),
        ("/opt/a b/libmklml_intel.so", "MKL_Set_Num_Threads", "libmklml_intel.so"),
    ],
)
def test_a_known_library_is_told_its_threads(tmp_path, monkeypatch, path, function, told):
    calls: list = []
    fake = SimpleNamespace(
        CDLL=lambda path: Library(path, calls), c_int=ctypes.c_int, c_char_p=ctypes.c_char_p
    )
    monkeypatch.setattr(blas, "ctypes", fake)
    maps = tmp_path / "maps"
    maps.write_text(
        "7f00-7f01 r-xp 00000000 08:01 42   /usr/lib/libm.so.6\n"
        f"7f02-7f03 r-xp 00000000 08:01 43   {path}\n"
    )
    assert blas.set_threads(4, str(maps)) == (told, 4)
    assert calls[0] == (path, function, 4)
