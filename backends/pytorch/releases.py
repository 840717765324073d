"""What the releases of PyTorch, from 1.0 on, call differently or do not have."""

import contextlib
import inspect

import torch
from torch import nn

LEAST = (1, 0)

# There is no bfloat16 before 1.2.
HALF = {name: getattr(torch, name) for name in ("float16", "bfloat16") if hasattr(torch, name)}


def layout(used):
    """Keyword arguments with the layout for `contiguous` and `to`, which have none before 1.5."""
    last = used["layout"] == "channels_last"
    return {"memory_format": torch.channels_last} if last else {}


def no_gradients():
    """Inference mode if there is one (PyTorch 1.9)."""
    return getattr(torch, "inference_mode", torch.no_grad)()


@contextlib.contextmanager
def onednn_graph(wanted):
    """Let TorchScript fuse with oneDNN Graph what it compiles inside, if `wanted` (1.12)."""
    if not wanted:
        yield
        return
    before = torch.jit.onednn_fusion_enabled()
    torch.jit.enable_onednn_fusion(True)
    try:
        yield
    finally:
        torch.jit.enable_onednn_fusion(before)


def clear_gradients(optimizer):
    """Free the gradients; `zero_grad` can do it since 1.7."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = None


def autocast(where, dtype):
    """Mixed precision of the forward pass; does nothing for full precision."""
    half = HALF.get(dtype)
    if hasattr(torch, "autocast"):
        # The device's type if it is off: some versions complain about any other.
        spare = torch.float16 if where.type == "cuda" else torch.bfloat16
        return torch.autocast(where.type, dtype=half or spare, enabled=half is not None)
    if half is None:
        return contextlib.ExitStack()  # empty; nullcontext came with Python 3.7
    return torch.cuda.amp.autocast()  # before 1.10, and for float16 only


def loss_scaler(where):
    """Keeps float16 gradients from vanishing; moved to torch.amp in 2.3."""
    amp = getattr(torch, "amp", None)
    if hasattr(amp, "GradScaler"):
        return amp.GradScaler(where.type)
    return torch.cuda.amp.GradScaler()


def data_parallel(network, where):
    """The network of one of several processes; each device keeps its own statistics."""
    wrap = nn.parallel.DistributedDataParallel
    known = inspect.signature(wrap).parameters
    # PyTorch 2.13 renamed it.
    buffers = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"
    keywords = {buffers: False}
    if "gradient_as_bucket_view" in known:  # 1.7
        keywords["gradient_as_bucket_view"] = True
    return wrap(network, device_ids=[where.index] if where.type == "cuda" else None, **keywords)


def reset_peak_memory(where):
    """Reset the peak; not possible before 1.1."""
    names = "reset_peak_memory_stats", "reset_max_memory_allocated"  # 1.4, 1.1
    for name in names:
        if hasattr(torch.cuda, name):
            getattr(torch.cuda, name)(where)
            return


def allow_tf32(allowed):
    """Switch TF32 in float32 arithmetic; PyTorch's default is half of each.

    Releases before 1.7 have no switches; `backends.harness.tf32` has turned it off for them.
    """
    for switches in (getattr(torch.backends.cuda, "matmul", None), torch.backends.cudnn):
        if hasattr(switches, "allow_tf32"):
            switches.allow_tf32 = allowed
