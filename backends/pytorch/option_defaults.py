"""Chooses the options that a run uses: the requested ones, else the fastest sound choice here.

Framework-free, so that every rule has a unit test. Measured with PyTorch 2.13 on one core with
AVX-512, ResNet-50, float32, batch 4, CPU seconds per step, best of 4 to 6: inference 0.545,
channels last 0.512, and folded 0.468, and frozen 0.440; training 1.78, channels last 1.68, with
fused, foreach and plain SGD within 2 %. Nothing was measured on GPUs; each rule gives its reason.
"""

from collections import OrderedDict, namedtuple

from backends.harness.errors import Unsupported
from backends.options import BY_FRAMEWORK, meaningless

OPTIONS = BY_FRAMEWORK["pytorch"]

FUSION = (2, 0)  # oneDNN Graph was experimental before
CHANNELS_LAST = (1, 5)  # the first release whose networks can have that order

Facts = namedtuple(
    "Facts", "version fused_sgd foreach_sgd compiler cuda_graphs tensor_cores torchscript"
)
Facts.__doc__ = """What this PyTorch on this machine has.

`version` is (major, minor); `compiler` whether torch.compile can generate code for the
device; `tensor_cores` whether the GPU multiplies half precision in hardware; `torchscript`
whether networks can be frozen.
"""


def check_dtype(settings):
    """Raise `Unsupported` for a precision that no device of this kind supports."""
    dtype = settings.dtype
    if dtype == "int8":
        raise Unsupported(
            "PyTorch cannot be benchmarked in int8 here; use float32, float16 or bfloat16"
        )
    if settings.device == "cpu" and dtype in ("tf32", "float16"):
        raise Unsupported("%s needs a GPU; use float32 or bfloat16 on a CPU" % dtype)


# (precision, phase, device) -> the first release that has it, and what it needs.
LEAST = {
    ("tf32", "training", "gpu"): ((1, 7), "switches for TF32"),
    ("tf32", "inference", "gpu"): ((1, 7), "switches for TF32"),
    ("float16", "training", "gpu"): ((1, 6), "float16 training (torch.cuda.amp)"),
    ("bfloat16", "training", "gpu"): ((1, 10), "bfloat16 training (torch.autocast)"),
    ("bfloat16", "training", "cpu"): ((1, 10), "bfloat16 training (torch.autocast)"),
    # Builds for CUDA 11, which has it, start there.
    ("bfloat16", "inference", "gpu"): ((1, 7), "bfloat16 inference on GPUs"),
    # 1.10 lacks max pooling; 1.11 and 1.12 were not tried.
    ("bfloat16", "inference", "cpu"): ((1, 13), "bfloat16 kernels for CPUs"),
}


def check_release(settings, facts):
    """Raise `Unsupported` for a precision that this release does not have."""
    asked = settings.dtype, settings.phase, settings.device
    least, what = LEAST.get(asked, ((0, 0), ""))
    if facts.version < least:
        raise Unsupported(
            "PyTorch %d.%d has no %s: use PyTorch %d.%d or newer, or float32"
            % (facts.version + (what,) + least)
        )


def resolve(settings, kind, facts):
    """Option name -> value for a model of this kind; raises `Unsupported` for contradictions."""
    check_dtype(settings)
    check_release(settings, facts)
    refused = _refusals(settings, kind, facts)
    used = OrderedDict()
    for option in OPTIONS:
        asked, reason = settings.options[option.name], refused.get(option.name)
        if reason and asked not in ("auto", "off"):
            raise Unsupported("option %s=%s: %s" % (option.name, asked, reason))
        if asked != "auto":
            used[option.name] = asked
        elif reason:
            used[option.name] = "off"
        else:
            used[option.name] = _DEFAULTS[option.name](settings, kind, facts, used)
    _check_together(used, facts)
    return used


def _refusals(settings, kind, facts):
    """Options that mean nothing or cannot work here, with the reason."""
    refused = meaningless("pytorch", settings.phase, settings.device)
    if kind != "image":
        refused["layout"] = "only images have a layout"
    graphs = _why_no_graphs(settings, kind, facts)
    if graphs:
        refused.setdefault("cuda_graphs", graphs)
    if not facts.torchscript:
        refused.setdefault("freeze", "TorchScript is not reliable in these versions")
    if "freeze" in refused:
        refused["optimize"] = refused["freeze"]
    elif (settings.device, settings.dtype) != ("cpu", "float32"):
        refused["optimize"] = "only for float32 on a CPU"  # it converts nothing else to oneDNN
    if facts.version < (2, 0):
        refused["compile"] = "PyTorch %d.%d does not have it" % facts.version
    elif not facts.compiler:
        refused["compile"] = "no C++ compiler here, or on a GPU no Triton"
    return refused


def _why_no_graphs(settings, kind, facts):
    """Say why a GPU cannot replay the step as one graph, or ""."""
    if settings.devices > 1 and settings.phase == "training":
        return "not if GPUs exchange gradients"
    if settings.devices > 1 and facts.version < (2, 2):
        return "NCCL's watchdog of PyTorch %d.%d disturbs them" % facts.version
    if kind == "speech":
        return "CTC reads its lengths on the host"
    if _scales_on_the_host(settings, facts):
        return "the loss scaler asks the host before an SGD that is not fused"
    return "" if facts.cuda_graphs else "PyTorch %d.%d does not have it" % facts.version


def _scales_on_the_host(settings, facts):
    scaled = settings.phase == "training" and settings.dtype == "float16"
    unfused = settings.options["optimizer"] in ("foreach", "plain") or not facts.fused_sgd
    return scaled and unfused


def _check_together(used, facts):
    if used["freeze"] == "on" and used["compile"] != "off":
        raise Unsupported("freeze and compile exclude each other")
    if used["optimize"] != "off" and used["freeze"] == "off":
        raise Unsupported("option optimize=%s needs freeze=on" % used["optimize"])
    if used["optimize"] == "fusion" and facts.version < FUSION:
        raise Unsupported(
            "option optimize=fusion needs PyTorch %d.%d or newer; use layouts or off" % FUSION
        )
    if used["layout"] == "channels_last" and facts.version < CHANNELS_LAST:
        raise Unsupported(
            "PyTorch %d.%d has no channels last: use PyTorch %d.%d or newer"
            % (facts.version + CHANNELS_LAST)
        )
    if used["optimizer"] == "fused" and not facts.fused_sgd:
        raise Unsupported("PyTorch %d.%d has no fused SGD here" % facts.version)
    if used["optimizer"] == "foreach" and not facts.foreach_sgd:
        raise Unsupported("PyTorch %d.%d has no foreach SGD" % facts.version)


def _layout(settings, _kind, facts, _used):
    if settings.device == "cpu":
        # Before 2.0 several CPU kernels used slow generic code.
        return "channels_last" if facts.version >= (2, 0) else "contiguous"
    # Tensor cores need channels last; cuDNN's float32 kernels prefer channels first.
    fast = settings.dtype != "float32" and facts.tensor_cores
    fast = fast and facts.version >= CHANNELS_LAST
    return "channels_last" if fast else "contiguous"


def _fold(_settings, _kind, _facts, _used):
    # One multiplication and addition per value less, exact up to rounding.
    return "on"


def _freeze(settings, kind, _facts, _used):
    # Only CPUs have fused oneDNN operators for it; recurrent layers gain nothing.
    suits = settings.device == "cpu" and settings.dtype == "float32" and kind != "speech"
    unasked = settings.options["compile"] in ("auto", "off")
    return "on" if suits and unasked else "off"


def _optimize(_settings, _kind, facts, used):
    # Weights stay in the layout that the convolutions need, which else are reordered in each step;
    # and oneDNN adds and takes maxima while it has the values at hand. Only layouts lose more than
    # that where values are concatenated, in another layout: 0.6 times as fast for GoogLeNet.
    return "fusion" if used["freeze"] == "on" and facts.version >= FUSION else "off"


def _compile(_settings, _kind, _facts, _used):
    # Compiling takes minutes before the first number, and not every image has a compiler: a default
    # must not depend on that.
    return "off"


def _cuda_graphs(_settings, _kind, _facts, _used):
    # Shapes are static, so a replay computes the same without launch overhead.
    return "on"


def _optimizer(_settings, _kind, facts, _used):
    if facts.fused_sgd:
        return "fused"
    return "foreach" if facts.foreach_sgd else "plain"


def _cudnn_benchmark(_settings, _kind, _facts, _used):
    # Tuning happens in warm-up.
    return "on"


_DEFAULTS = {
    "layout": _layout,
    "fold_batch_norm": _fold,
    "freeze": _freeze,
    "optimize": _optimize,
    "compile": _compile,
    "cuda_graphs": _cuda_graphs,
    "optimizer": _optimizer,
    "cudnn_benchmark": _cudnn_benchmark,
}
