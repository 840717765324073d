"""Prints what NVIDIA's dllogger prints, for DeepLearningExamples, if that is not installed.

dllogger is not on PyPI, but on GitHub (NVIDIA/dllogger). This is not its code: it only has the
names and the forms of lines in its README and in public logs. A line for people is `DLL <time> -
<step> <metric> : <value> <unit>`, one for programs `DLLL ` and a JSON object.
"""

import atexit
import json
from datetime import datetime


class Verbosity(object):
    """How much a backend prints: messages up to its level."""

    OFF, DEFAULT, VERBOSE = -1, 0, 1


class Backend(object):
    """Takes messages up to a verbosity."""

    def __init__(self, verbosity):
        self.verbosity = verbosity

    def log(self, timestamp, elapsedtime, step, data):
        """Take the values of a step."""
        raise NotImplementedError

    def metadata(self, timestamp, elapsedtime, metric, metadata):
        """Take a metric's unit and format."""
        raise NotImplementedError

    def flush(self):
        """Write what is buffered."""


def default_step_format(step):
    """Return how a step is printed."""
    return str(step)


def default_metric_format(metric, metadata, value):
    """Return how a metric is printed; a value that is None has no format."""
    form = "{" + metadata.get("format", "") + "}"
    shown = value if value is None else form.format(value)
    return "{} : {} {}".format(metric, shown, metadata.get("unit", ""))


def default_prefix_format(timestamp):
    """Return how a line starts."""
    return "DLL {} - ".format(timestamp)


class StdOutBackend(Backend):
    """Prints a line per message."""

    def __init__(
        self,
        verbosity,
        step_format=default_step_format,
        metric_format=default_metric_format,
        prefix_format=default_prefix_format,
    ):
        super(StdOutBackend, self).__init__(verbosity)
        self._known = {}
        self.step_format = step_format
        self.metric_format = metric_format
        self.prefix_format = prefix_format

    def metadata(self, _timestamp, _elapsedtime, metric, metadata):
        """Keep a metric's unit and format."""
        self._known.setdefault(metric, {}).update(metadata)

    def log(self, timestamp, _elapsedtime, step, data):
        """Print the values of a step."""
        values = [
            self.metric_format(name, self._known.get(name, {}), value)
            for name, value in data.items()
        ]
        prefix = self.prefix_format(timestamp)
        print("{}{} {}".format(prefix, self.step_format(step), " ".join(values)), flush=True)


class JSONStreamBackend(Backend):
    """Writes an object per message into a file."""

    def __init__(self, verbosity, filename, append=False):
        super(JSONStreamBackend, self).__init__(verbosity)
        self._file = open(filename, "a" if append else "w")  # noqa: SIM115 - open until the end
        atexit.register(self._file.close)

    def metadata(self, timestamp, elapsedtime, metric, metadata):
        """Write a metric's unit and format."""
        self._write(timestamp, elapsedtime, type="METADATA", metric=metric, metadata=metadata)

    def log(self, timestamp, elapsedtime, step, data):
        """Write the values of a step."""
        self._write(timestamp, elapsedtime, type="LOG", step=step, data=data)

    def flush(self):
        """Write what is buffered."""
        self._file.flush()

    def _write(self, timestamp, elapsedtime, **message):
        message["timestamp"] = str(timestamp.timestamp())
        message["datetime"] = str(timestamp)
        message["elapsedtime"] = str(elapsedtime)
        self._file.write("DLLL {}\n".format(json.dumps(message)))


class Logger(object):
    """Passes messages to its backends."""

    def __init__(self, backends):
        self.backends = backends
        self._start = datetime.now()
        atexit.register(self.flush)

    def log(self, step, data, verbosity=Verbosity.VERBOSE):
        """Log the values of a step: numbers of epoch and iteration, () for the whole, or a word."""
        now = datetime.now()
        for backend in self.backends:
            if backend.verbosity >= verbosity:
                backend.log(now, (now - self._start).total_seconds(), step, data)

    def metadata(self, metric, metadata):
        """Pass on a metric's unit and format."""
        now = datetime.now()
        for backend in self.backends:
            backend.metadata(now, (now - self._start).total_seconds(), metric, metadata)

    def flush(self):
        """Let every backend write what it has buffered."""
        for backend in self.backends:
            backend.flush()


_LOGGERS = [Logger([])]  # one, which init replaces


def init(backends):
    """Start to log to these backends."""
    _LOGGERS[:] = [Logger(backends)]


def log(step, data, verbosity=Verbosity.DEFAULT):
    """Log the values of a step."""
    _LOGGERS[0].log(step, data, verbosity)


def metadata(metric, metadata):
    """Tell a metric's unit and format."""
    _LOGGERS[0].metadata(metric, metadata)


def flush():
    """Write what is buffered."""
    _LOGGERS[0].flush()
