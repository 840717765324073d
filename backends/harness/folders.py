"""A folder of images with a folder per class, in the order of `benchdock data convert`.

So a folder and what was converted from it hold the same samples in the same order.
"""

import hashlib
import os

from backends.harness.errors import DataProblem

SUFFIXES = (".jpg", ".jpeg", ".png")
# What shuffles, unless `convert` is told otherwise.
SEED = 0


def listed(folder):
    """Paths of all images with their labels, in order. Raises `DataProblem`."""
    classes = [name for name in os.listdir(folder) if os.path.isdir(os.path.join(folder, name))]
    found = []
    for label, name in enumerate(sorted(classes, key=os.fsencode)):
        for where, inner, names in os.walk(os.path.join(folder, name), followlinks=True):
            inner[:] = [one for one in inner if not one.startswith(".")]
            inside = os.path.relpath(where, folder)
            found += [
                (inside + "/" + one, label)
                for one in names
                if one.lower().endswith(SUFFIXES) and not one.startswith(".")
            ]
    if not found:
        raise DataProblem("%s has no images in folders of classes" % folder)
    return sorted(found, key=lambda one: _place(one[0]))


def _place(path):
    """Where an image is in the order, as orchestrator/data/orders.py defines it."""
    return hashlib.sha256(os.fsencode("%d\0%s" % (SEED, path))).digest()
