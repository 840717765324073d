"""When each of several devices is ready, as seen by one thread per device.

MXNet only queues work, and the only way to learn that some of it is done is to wait for a result.
A single thread that waits for one device does not see when another one is ready.
"""

import queue
import threading
import time

import mxnet as mx

READY, DONE = "ready", "done"


class Watch(object):
    """The moments at which arrays of each device could be read, in the order of their `note`s."""

    def __init__(self, count):
        """`count` is the number of devices."""
        self._notes = [queue.Queue() for _ in range(count)]  # type: list
        self._failed = []  # type: list
        self.restart()
        self._threads = [
            threading.Thread(target=self._wait, args=(index,)) for index in range(count)
        ]
        for thread in self._threads:
            thread.daemon = True
            thread.start()

    def restart(self):
        """Forget all moments; nothing may be waited for."""
        self._moments = [{READY: [], DONE: []} for _ in self._notes]  # type: list

    def note(self, kind, arrays):
        """Remember when each device's array can be read."""
        for notes, array in zip(self._notes, arrays):
            notes.put((kind, array))

    def _wait(self, index):
        for kind, array in iter(self._notes[index].get, None):
            try:
                array.wait_to_read()
            except mx.base.MXNetError as error:
                self._failed.append(error)
            self._moments[index][kind].append(time.perf_counter())
            self._notes[index].task_done()

    def moments(self):
        """Of each device a dictionary of lists; raises what MXNet raised for an array."""
        for notes in self._notes:
            notes.join()
        if self._failed:
            raise self._failed[0]
        return self._moments

    def close(self):
        """End the threads."""
        for notes in self._notes:
            notes.put(None)
        for thread in self._threads:
            thread.join()
