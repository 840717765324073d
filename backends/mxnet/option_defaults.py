"""Chooses the options that a run uses: the requested ones, else the fastest sound choice here.

Framework-free, so that every rule has a unit test. We have measured nothing on GPUs; each rule
gives its reason.
"""

from collections import OrderedDict, namedtuple

from backends.harness.errors import Unsupported
from backends.options import BY_FRAMEWORK, meaningless

OPTIONS = BY_FRAMEWORK["mxnet"]

Facts = namedtuple("Facts", "version subgraph aggregation")
Facts.__doc__ = """What this MXNet has.

`version` is (major, minor); `subgraph` whether it was built with oneDNN and can fuse for it;
`aggregation` whether SGD can update several arrays in one call.
"""


def check_dtype(settings):
    """Raise `Unsupported` for a precision that no device of this kind supports."""
    if settings.dtype in ("bfloat16", "int8"):
        raise Unsupported("MXNet cannot be benchmarked in %s here; use float32" % settings.dtype)
    if settings.device == "cpu" and settings.dtype != "float32":
        raise Unsupported("%s needs a GPU; use float32 on a CPU" % settings.dtype)


def resolve(settings, facts):
    """Option name -> value; raises `Unsupported` for impossible ones."""
    check_dtype(settings)
    refused = _refusals(settings, facts)
    used = OrderedDict()
    for option in OPTIONS:
        asked, reason = settings.options[option.name], refused.get(option.name)
        if reason and asked not in ("auto", "off"):
            raise Unsupported("option %s=%s: %s" % (option.name, asked, reason))
        if asked != "auto":
            used[option.name] = asked
        else:
            used[option.name] = "off" if reason else _DEFAULTS[option.name](settings, facts)
    return used


def _refusals(settings, facts):
    """Options that mean nothing or cannot work here, with the reason."""
    refused = meaningless("mxnet", settings.phase, settings.device)
    if not facts.subgraph:
        refused.setdefault("subgraph", "MXNet %d.%d does not have it" % facts.version)
    if settings.options["optimizer"] == "aggregated" and not facts.aggregation:
        refused.setdefault("optimizer", "MXNet %d.%d updates one by one" % facts.version)
    return refused


def _subgraph(_settings, _facts):
    # Convolution, normalisation, sum and ReLU in one: 1.3x on ResNet-18 here.
    return "on"


def _fold(settings, facts):
    # The subgraphs fold by themselves, once.
    fused = facts.subgraph and settings.device == "cpu" and settings.options["subgraph"] != "off"
    return "off" if fused else "on"


def _optimizer(settings, facts):
    # It saves a GPU's launches. A CPU's kernel walks several arrays at a time, element by
    # element: 1.7 times as long as one after the other for VGG-16 here.
    return "aggregated" if facts.aggregation and settings.device == "gpu" else "plain"


def _cudnn_tune(_settings, _facts):
    # MXNet's default; without a limit a large batch may not fit.
    return "limited_workspace"


_DEFAULTS = {
    "subgraph": _subgraph,
    "fold_batch_norm": _fold,
    "optimizer": _optimizer,
    "cudnn_tune": _cudnn_tune,
}
