"""Chooses the options that a run uses: the requested ones, else the fastest sound choice here.

Framework-free, so that every rule has a unit test.
"""

from collections import OrderedDict, namedtuple

from backends.harness.errors import Unsupported
from backends.options import BY_FRAMEWORK, meaningless

OPTIONS = BY_FRAMEWORK["caffe2"]

IDEEP, NATIVE = "ideep", "native"
# The type of net that crashes with Intel's operators, which have no events to wait for.
ASYNC = "async_scheduling"

Facts = namedtuple("Facts", "ideep nccl")
Facts.__doc__ = """What this Caffe2 has.

`ideep` are Intel's operators, which use oneDNN; `nccl` those that exchange arrays between GPUs
with NVIDIA's library.
"""


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
    elif settings.options["net_type"] == ASYNC:
        refused.setdefault("engine", "a net of the type %s crashes with them" % ASYNC)
    if settings.devices == 1:
        refused.setdefault("nccl", "only for several GPUs")
    elif not facts.nccl:
        refused.setdefault("nccl", "this Caffe2 was built without it")
    return refused


def _net_type(settings, _refused):
    # On a GPU the other types wait for the device after every operator. On a CPU the operators of
    # one copy share its threads already, and several copies only run at a time if their operators
    # do.
    if settings.device == "gpu":
        return ASYNC
    return "dag" if settings.devices > 1 else "simple"


def _engine(_settings, refused):
    return NATIVE if refused else IDEEP


def _fold(_settings, refused):
    # One multiplication and addition per value less, exact up to rounding.
    return "off" if refused else "on"


def _nccl(_settings, refused):
    return "off" if refused else "on"


_DEFAULTS = {
    "net_type": _net_type,
    "engine": _engine,
    "fold_batch_norm": _fold,
    "nccl": _nccl,
}
