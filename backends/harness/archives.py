"""Images in the tar files of a WebDataset: NAME.jpg and after it NAME.cls, its label in digits."""

import os
import tarfile

from backends.harness import folders
from backends.harness.errors import DataProblem

LABEL = "cls"


def listed(paths):
    """All images as (path, name, start, size, label), in order. Raises `DataProblem`.

    Only headers and labels are read. The images lie in the files as they are.
    """
    found = []
    for path in paths:
        try:
            with tarfile.open(path, "r:") as archive:
                found += _samples(path, archive)
        except (tarfile.TarError, ValueError, OSError) as error:
            raise DataProblem("%s cannot be read: %s" % (path, error)) from error
    if not found:
        raise DataProblem("%s has no images in its tar files" % os.path.dirname(paths[0]))
    return found


def _samples(path, archive):
    image = None
    for member in archive:
        name, _, ending = member.name.partition(".")
        if ending == LABEL:
            if image is None or image.name.partition(".")[0] != name:
                raise DataProblem("%s, %s: its image is not before it" % (path, member.name))
            label = int(archive.extractfile(member).read().decode("ascii"))
            yield path, image.name, image.offset_data, image.size, label
            image = None
        elif "." + ending.lower() in folders.SUFFIXES:
            if image is not None:
                break
            image = member
    if image is not None:
        raise DataProblem("%s, %s: it has no label" % (path, image.name))
