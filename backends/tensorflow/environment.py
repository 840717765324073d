"""The environment that TensorFlow reads when it is loaded; import this before it."""

import importlib.util
import os
import re

ONEDNN = "TF_ENABLE_ONEDNN_OPTS"

# Their oneDNN dies of SIGSEGV or SIGFPE where there is AVX-512: seen of 2.5.3 and 2.6.5, in the
# latter in brgemm_inner_product_fwd_t (deep_mnist, batch 2). 2.7.4 does not.
BROKEN = ((2, 5), (2, 6))


def onednn():
    """The variable's default value: oneDNN's kernels, if they work.

    They became the default with 2.9; before 2.5 the variable has no effect.
    """
    return "0" if numbers() in BROKEN else "1"


def numbers():
    """(major, minor) of the TensorFlow that would be loaded, from its header; None if unknown."""
    found = importlib.util.find_spec("tensorflow")
    for folder in (found and found.submodule_search_locations) or ():
        path = os.path.join(folder, "include", "tensorflow", "core", "public", "version.h")
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                return _read(file.read())
    return None


def _read(header):
    found = [re.search(r"define TF_%s_VERSION (\d+)" % name, header) for name in ("MAJOR", "MINOR")]
    return tuple(int(match.group(1)) for match in found) if all(found) else None
