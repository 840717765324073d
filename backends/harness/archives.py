"""Images in tar files of a WebDataset: NAME.jpg, and beside it NAME.cls, the label in digits."""

import itertools
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


def _parts(name):
    """The name of a sample and the ending of one of its members: dots in folders do not count."""
    folder, slash, last = name.rpartition("/")
    stem, _, ending = last.partition(".")
    return folder + slash + stem, ending


def _is_image(ending):
    """Whether members with an ending are images."""
    return "." + ending.lower() in folders.SUFFIXES


def _samples(path, archive):
    for _, members in itertools.groupby(archive, lambda one: _parts(one.name)[0]):
        image = label = None
        for member in members:
            ending = _parts(member.name)[1]
            if ending == LABEL:
                label = member
            elif _is_image(ending):
                image = member
        if image is not None and label is not None:
            number = int(archive.extractfile(label).read().decode("ascii"))
            yield path, image.name, image.offset_data, image.size, number
        elif image is not None:
            raise DataProblem("%s, %s: it has no label" % (path, image.name))
        elif label is not None:
            raise DataProblem("%s, %s: it has no image" % (path, label.name))
