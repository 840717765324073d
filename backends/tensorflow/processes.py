"""The processes that share a benchmark, one per device, and how they add up what they computed.

On GPUs Horovod does it, on CPUs TensorFlow itself over sockets of this machine.
"""

import json
import os
from collections import namedtuple

import tensorflow as tf

from backends.harness import ranks, release
from backends.harness.errors import Unsupported

LEAST = (2, 4)  # the first one whose strategy is not experimental

World = namedtuple("World", "rank size local_rank exchange")
World.__doc__ = """This process among all; `exchange` is None if there is only one."""


def world(settings):
    """Who we are; raises `Unsupported` if the processes were not started, or cannot exchange."""
    if settings.devices == 1:
        return World(0, 1, 0, None)
    found = Collectives.world() if settings.device == "cpu" else Horovod.world()
    if found.size != settings.devices:
        raise Unsupported(
            "--devices %d needs as many processes, started by %s; there is %d"
            % (settings.devices, found.exchange.starter, found.size)
        )
    return found


class Horovod(object):
    """Started by mpirun; gradients stay on the GPUs."""

    name, starter = "Horovod", "mpirun"

    def __init__(self, library):
        """The library, initialized."""
        self._library = library

    @classmethod
    def world(cls):
        """Join the others."""
        try:
            import horovod.tensorflow as horovod
        except ImportError as error:
            raise Unsupported(
                "several GPUs need Horovod, which this image does not have"
            ) from error
        horovod.init()
        return World(horovod.rank(), horovod.size(), horovod.local_rank(), cls(horovod))

    def start(self, used):
        """It has started."""

    def around(self, work):
        """Work needs no surroundings."""
        return work

    def average(self, tensors):
        """The mean over all processes of each tensor."""
        return [self._library.allreduce(tensor) for tensor in tensors]


class Collectives(object):
    """TensorFlow's own, of a MultiWorkerMirroredStrategy with one worker per rank.

    Variables are made outside of the strategy: every process has its own, as with Horovod.
    """

    name, starter = "MultiWorkerMirroredStrategy", "backends.harness.ranks"

    @classmethod
    def world(cls):
        """What the starter says."""
        rank = int(os.environ.get("RANK", "0"))
        return World(rank, int(os.environ.get("WORLD_SIZE", "1")), rank, cls())

    def start(self, used):
        """Join the others: after the threads were set, and before anything is computed."""
        if release.numbers(tf.__version__) < LEAST:
            raise Unsupported(
                "several ranks need TensorFlow %d.%d or newer, this is %s"
                % (LEAST + (tf.__version__,))
            )
        if used["execution"] != "function" or used["xla"] == "on":
            raise Unsupported("several ranks need --option execution=function and no xla")
        workers = ["%s:%s" % (ranks.ADDRESS, port) for port in os.environ[ranks.PORTS].split(",")]
        task = {"type": "worker", "index": int(os.environ["RANK"])}
        os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": workers}, "task": task})
        self._strategy = tf.distribute.MultiWorkerMirroredStrategy()

    def around(self, work):
        """Work as a replica, which may exchange."""
        return lambda: self._strategy.run(work)

    def average(self, tensors):
        """The mean over all processes of each tensor."""
        replica = tf.distribute.get_replica_context()
        with tf.device(self._strategy.extended.worker_devices[0]):  # it wants to see a device
            placed = [tf.identity(tensor) for tensor in tensors]
        return replica.all_reduce(tf.distribute.ReduceOp.MEAN, placed)
