"""Batches: synthetic, or read from a folder.

A folder of images in the format of the framework is read by its own reader: see
`backends.harness.images`. Every framework also reads decoded samples, as any of

* ``<name>.npz`` with arrays ``x`` and ``y``,
* ``<name>_x.npy`` with ``<name>_y.npy`` beside it (mapped, not loaded: may exceed memory).

``x`` is (N,) + the model's input shape, channels first; uint8 is scaled to about -2..2, float32 is
used unchanged. ``y`` is integers: (N,) classes counted from 0, or for speech (N, length) labels
where 0 is the blank and may not occur. Subfolders are searched. Samples are read in order, and
again from the start at the end; with several processes each takes every n-th batch in turn. A
thread reads ahead.
"""

import os
import queue
import threading

import numpy as np

from backends import options
from backends.harness import images
from backends.harness.errors import DataProblem, Unsupported
from backends.harness.images import CENTRE, SPREAD
from backends.zoo import weights

AHEAD = 4  # batches


def source(settings, graph, rank=0, world=1, reader=None):
    """The batches of one process, as `Synthetic`, `Folder` or `images.Images`.

    `reader` is the module that reads images, None if the framework has none.
    """
    if settings.data is None:
        return Synthetic(graph, settings.batch, settings.seed + rank, fixed=not in_host(settings))
    if images.is_read_by(reader, settings.data, graph):
        asked = images.reading(settings, graph, rank, world)
        return _measured(images.Images(reader, asked, graph), settings)
    for name in (options.WORKERS, options.AUGMENT):
        if settings.options.get(name, "auto") != "auto":
            raise Unsupported("option %s is for images, %s has none" % (name, settings.data))
    return _measured(Folder(settings.data, graph, settings.batch, rank, world), settings)


def in_host(settings):
    """Whether the settings want each batch in the host's memory before its step."""
    return settings.options.get(options.DATA_PLACE) in (options.PAGEABLE, options.PINNED)


def _measured(source, settings):
    """The source for the part of a step that is timed."""
    if settings.measure in ("compute", "copy"):
        return Held(source, fixed=settings.measure == "compute")
    return source


class Synthetic(object):
    """One batch, generated once and used again and again; it stays on the device if `fixed`."""

    facts = None

    def __init__(self, graph, batch, seed, fixed=True):
        """Another seed gives other samples."""
        self.fixed = fixed
        self._batch = weights.inputs(graph, batch, seed), weights.labels(graph, batch, seed)

    def next(self):
        """Inputs (float32) and labels (int64)."""
        return self._batch

    def close(self):
        """Nothing to stop."""


class Held(object):
    """One real batch, used again and again; on the device if `fixed`, else copied in each step."""

    def __init__(self, source, fixed):
        """Take the next batch of a source, and close it."""
        self.fixed, self.facts = fixed, source.facts
        # A reader may use the memory of its batch again.
        self._batch = tuple(np.array(part) for part in source.next())
        source.close()

    def next(self):
        """Inputs (float32) and labels (int64)."""
        return self._batch

    def close(self):
        """It is closed."""


class Folder(object):
    """Real samples; every `next` is another batch."""

    fixed = False
    facts = None

    def __init__(self, folder, graph, batch, rank=0, world=1):
        """Checks every shard's shape and type before anything runs."""
        self._shards = [_opened(pair, graph) for pair in _find(folder)]
        if len({y.shape[1:] for _, y in self._shards}) > 1:
            raise DataProblem("%s: labels differ in length" % folder)
        self._batches = _batches(self._shards, graph, batch, rank, world)
        self._queue = queue.Queue(AHEAD)  # type: queue.Queue
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._read_ahead)
        self._thread.daemon = True
        self._thread.start()

    def next(self):
        """Inputs (float32) and labels (int64); raises what reading raised."""
        batch = self._queue.get()
        if isinstance(batch, Exception):
            raise batch
        return batch

    def close(self):
        """Stop reading ahead."""
        self._stopped.set()
        self._thread.join()

    def _read_ahead(self):
        try:
            for batch in self._batches:
                self._offer(batch)
                if self._stopped.is_set():
                    return
        except Exception as error:  # only for the thread that asks for batches
            self._offer(error)

    def _offer(self, item):
        while not self._stopped.is_set():
            try:
                self._queue.put(item, timeout=0.1)
                return
            except queue.Full:
                continue


def _find(folder):
    """Sorted (x, y) paths; y is None for .npz, which holds both."""
    if not os.path.isdir(folder):
        raise DataProblem("%s is not a folder that can be read" % folder)
    found = []
    for path, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if name.endswith(".npz"):
                found.append((os.path.join(path, name), None))
            elif name.endswith("_x.npy"):
                labels = name[: -len("_x.npy")] + "_y.npy"
                found.append((os.path.join(path, name), os.path.join(path, labels)))
    if not found:
        raise DataProblem(
            "%s has no samples: .npz files with x and y, or pairs of _x.npy and _y.npy" % folder
        )
    return found


def _opened(pair, graph):
    """Arrays (x, y) of one shard, checked against the model."""
    path, labels = pair
    try:
        if labels is None:
            with np.load(path) as archive:
                x, y = archive["x"], archive["y"]
        else:
            x, y = np.load(path, mmap_mode="r"), np.load(labels)
    except (IOError, OSError, KeyError, ValueError) as error:
        raise DataProblem("%s cannot be read: %s" % (path, error)) from error
    _check(path, x, y, graph)
    return x, y


def _check(path, x, y, graph):
    if x.dtype not in (np.uint8, np.float32):
        raise DataProblem("%s: x is %s, not uint8 or float32" % (path, x.dtype))
    if x.shape[1:] != graph.input_shape:
        raise DataProblem(
            "%s: samples are %s, %s takes %s" % (path, x.shape[1:], graph.name, graph.input_shape)
        )
    rank, lowest = (2, 1) if graph.kind == "speech" else (1, 0)
    if y.dtype.kind not in "iu" or y.ndim != rank or len(y) != len(x) or not len(y):
        raise DataProblem("%s: %d samples do not fit labels %s" % (path, len(x), y.shape))
    if y.min() < lowest or y.max() >= graph.classes:
        raise DataProblem("%s: labels must be %d to %d" % (path, lowest, graph.classes - 1))


def _batches(shards, graph, batch, rank, world):
    """Endless batches of this rank: rank, rank + world, rank + 2 * world..."""
    total = sum(len(y) for _, y in shards)
    position = rank * batch
    while True:
        x = np.empty((batch,) + graph.input_shape, np.float32)
        y = np.empty((batch,) + shards[0][1].shape[1:], np.int64)
        for index in range(batch):
            sample, y[index] = _sample(shards, (position + index) % total)
            x[index] = sample if sample.dtype == np.float32 else (sample - CENTRE) / SPREAD
        position = (position + batch * world) % total
        yield x, y


def _sample(shards, index):
    for x, y in shards:
        if index < len(y):
            return x[index], y[index]
        index -= len(y)
    raise IndexError(index)
