"""Chooses the options that a run uses: the requested ones, else the fastest sound choice here.

Framework-free, so that every rule has a unit test.
"""

from collections import OrderedDict, namedtuple

from backends.harness.errors import Unsupported
from backends.options import BY_FRAMEWORK, meaningless

OPTIONS = BY_FRAMEWORK["tensorflow"]

Facts = namedtuple("Facts", "version tensor_cores")
Facts.__doc__ = """What this TensorFlow on this machine has; `version` is (major, minor)."""


def check_dtype(settings):
    """Raise `Unsupported` for a precision that no device of this kind supports."""
    dtype = settings.dtype
    if dtype == "int8":
        raise Unsupported(
            "TensorFlow cannot be benchmarked in int8 here; use float32, float16 or bfloat16"
        )
    if settings.device == "cpu" and dtype in ("tf32", "float16"):
        raise Unsupported("%s needs a GPU; use float32 or bfloat16 on a CPU" % dtype)


def resolve(settings, kind, facts):
    """Option name -> value for a model of this kind; raises `Unsupported` for contradictions."""
    check_dtype(settings)
    # Those for GPUs were added one by one from 2.11 on; without, a CPU would compute instead.
    enough = (2, 13) if settings.device == "gpu" else (2, 4)
    if settings.dtype == "bfloat16" and facts.version < enough:
        where = "GPUs" if settings.device == "gpu" else "CPUs"
        raise Unsupported(
            "TensorFlow %d.%d has no bfloat16 kernels for %s" % (facts.version + (where,))
        )
    refused = _refusals(settings, kind, facts)
    used = OrderedDict()
    for option in OPTIONS:
        asked = settings.options[option.name]
        reason = refused.get((option.name, asked)) or refused.get(option.name)
        if reason and asked not in ("auto", "off"):
            raise Unsupported("option %s=%s: %s" % (option.name, asked, reason))
        if asked != "auto":
            used[option.name] = asked
        elif option.name in refused:
            used[option.name] = "off"
        else:
            used[option.name] = _DEFAULTS[option.name](settings, facts)
    return used


def _refusals(settings, kind, facts):
    """Options, or values of options, that cannot work here, with the reason."""
    refused = dict(meaningless("tensorflow", settings.phase, settings.device))  # type: dict
    if facts.version < (2, 0):
        refused["execution", "function"] = "TensorFlow %d.%d only has sessions" % facts.version
    if kind != "image":
        refused["layout"] = "only images have a layout to choose"
    elif settings.device == "cpu":
        refused["layout", "channels_first"] = "TensorFlow has no such kernels for CPUs"
    if kind == "speech":
        refused["xla"] = "CTC has no XLA kernel"
        # Measured: 10 GB for deep_speech2.
        refused.setdefault("freeze", "oneDNN would keep recurrent weights once per step")
    return refused


def _execution(_settings, facts):
    return "function" if facts.version >= (2, 0) else "session"


def _layout(settings, facts):
    # Tensor cores need channels last; cuDNN's float32 kernels prefer channels first, and so do
    # TF32's gradients: TensorFlow's optimizer, which is off here, chooses the same.
    half = settings.dtype in ("float16", "bfloat16")
    wanted = half or (settings.dtype == "tf32" and settings.phase == "inference")
    if settings.device == "cpu" or (wanted and facts.tensor_cores):
        return "channels_last"
    return "channels_first"


def _xla(_settings, _facts):
    # Compiling takes minutes before the first number, and makes convolutions slower on CPUs.
    return "off"


def _fold(_settings, _facts):
    # One multiplication and addition per value less, exact up to rounding.
    return "on"


def _freeze(_settings, _facts):
    # oneDNN keeps constant weights in its own order instead of reordering them every step.
    return "on"


_DEFAULTS = {
    "execution": _execution,
    "layout": _layout,
    "xla": _xla,
    "fold_batch_norm": _fold,
    "freeze": _freeze,
}
