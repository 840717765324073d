"""The linear algebra library's threads."""

from backends.harness import blas


def test_without_a_known_library_one_thread_is_told(tmp_path):
    maps = tmp_path / "maps"
    maps.write_text(
        "7f00-7f01 r-xp 00000000 08:01 42   /usr/lib/libblas.so.3\n7f02-7f03 rw-p 0 0 0\n"
    )
    assert blas.set_threads(4, str(maps)) == ("unknown", 1)
