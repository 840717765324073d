"""Chooses the options that a run uses: the requested ones, else the fastest sound choice here.

Framework-free, so that every rule has a unit test.
"""

from collections import OrderedDict, namedtuple

from backends.harness.errors import Unsupported
from backends.options import BY_FRAMEWORK, meaningless

OPTIONS = BY_FRAMEWORK["caffe2"]

IDEEP, NATIVE = "ideep", "native"

Facts = namedtuple("Facts", "ideep")
Facts.__doc__ = """What this Caffe2 has: `ideep` are Intel's operators, which use oneDNN."""


def resolve(settings, facts):
    """Option name -> value; raises `Unsupported` for impossible ones."""
    refused = _refusals(settings, facts)
    used = OrderedDict()
    for option in OPTIONS:
        asked, reason = settings.options[option.name], refused.get(option.name)
        if reason and asked not in ("auto", "off", NATIVE):
            raise Unsupported("option %s=%s: %s" % (option.name, asked, reason))
        if asked != "auto":
            used[option.name] = asked
        else:
            used[option.name] = _DEFAULTS[option.name](settings, bool(reason))
    return used


def _refusals(settings, facts):
    """Options that mean nothing or cannot work here, with the reason."""
    refused = meaningless("caffe2", settings.phase, settings.device)
    if not facts.ideep:
        refused.setdefault("engine", "this Caffe2 was built without them")
    return refused


def _net_type(settings, _refused):
    # On a CPU the operators share its threads already; on a GPU the other types wait for the
    # device after every operator.
    return "async_scheduling" if settings.device == "gpu" else "simple"


def _engine(_settings, refused):
    return NATIVE if refused else IDEEP


def _fold(_settings, refused):
    # One multiplication and addition per value less, exact up to rounding.
    return "off" if refused else "on"


_DEFAULTS = {"net_type": _net_type, "engine": _engine, "fold_batch_norm": _fold}
