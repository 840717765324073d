"""The ceilings of GPUs, with PyTorch: products of random matrices, and copies in their memory."""

import time

from backends.probe.results import Rates

SECONDS = 3.0
WARM_UP, FEWEST = 50, 100
CHUNK = 10
# Elements of a side. On small boards (T4, L4) the smaller one is enough, and for float32.
SIDE, SMALL_SIDE = 8192, 4096
COPIED = 1 << 30
PINNED = 256 << 20
TYPES = ("float32", "tf32", "float16", "bfloat16")


def measure(emit, count, seconds=SECONDS):
    """Report the ceilings of each GPU, then those of all at once, as events."""
    import torch

    if not torch.cuda.is_available():
        from backends.harness.errors import Unsupported

        raise Unsupported("PyTorch %s finds no GPU here: %s" % (torch.__version__, _why(torch)))
    everything = list(range(count))
    for chosen in [[one] for one in everything] + ([everything] if count > 1 else []):
        for dtype in _types(torch, chosen):
            _emit_product(torch, emit, chosen, dtype, seconds)
        _emit_copy(torch, emit, chosen, seconds)
    for one in everything:
        _emit_transfer(torch, emit, one)


def _why(torch):
    """What PyTorch says when it looks for a GPU."""
    try:
        torch.cuda.init()
    except Exception as error:  # of any kind: a broken driver, a build without CUDA
        return " ".join(str(error).split())[:200]
    return "CUDA starts, but has no device"


def _types(torch, chosen):
    """The number types that all of these GPUs multiply in hardware."""
    lowest = min(torch.cuda.get_device_capability(one) for one in chosen)
    return TYPES if lowest >= (8, 0) else ("float32", "float16") if lowest >= (6, 0) else TYPES[:1]


def _emit_product(torch, emit, chosen, dtype, seconds):
    kind = torch.float32 if dtype == "tf32" else getattr(torch, dtype)
    torch.backends.cuda.matmul.allow_tf32 = dtype == "tf32"
    small = (
        dtype == "float32"
        or min(torch.cuda.get_device_properties(one).total_memory for one in chosen) < 24 << 30
    )
    side = SMALL_SIDE if small else SIDE

    def make(device):
        one, other = (torch.randn(side, side, device=device, dtype=kind) for _ in range(2))
        result = torch.empty(side, side, device=device, dtype=kind)
        return lambda: torch.mm(one, other, out=result)

    for device, rates in _timed(torch, make, chosen, seconds):
        emit(
            "probe",
            what="multiply",
            device="gpu",
            index=device,
            dtype=dtype,
            how="torch.mm of %d x %d" % (side, side),
            devices=len(chosen),
            unit="FLOP/s",
            **Rates(2 * side**3 * rate for rate in rates).fields(),
        )


def _emit_copy(torch, emit, chosen, seconds):
    def make(device):
        source = torch.empty(COPIED // 4, device=device).normal_()
        target = torch.empty_like(source)
        return lambda: target.copy_(source)

    for device, rates in _timed(torch, make, chosen, seconds):
        emit(
            "probe",
            what="copy",
            device="gpu",
            index=device,
            how="copy of %d bytes" % COPIED,
            devices=len(chosen),
            unit="bytes/s",
            **Rates(2 * COPIED * rate for rate in rates).fields(),
        )


def _timed(torch, make, chosen, seconds):
    """For each GPU: the rates of chunks of calls, in calls per second.

    All GPUs get their next chunk before any is waited for, so they work at once.
    """
    work = [make(torch.device("cuda", one)) for one in chosen]
    for call in work:
        for _ in range(WARM_UP):
            call()
    marks = {one: [] for one in chosen}  # type: dict
    begin, chunks = time.time(), 0
    while chunks * CHUNK < FEWEST or time.time() - begin < seconds:
        for one, call in zip(chosen, work):
            with torch.cuda.device(one):
                pair = [torch.cuda.Event(enable_timing=True) for _ in range(2)]
                pair[0].record()
                for _ in range(CHUNK):
                    call()
                pair[1].record()
                marks[one].append(pair)
        chunks += 1
        for one in chosen:
            torch.cuda.synchronize(one)
    for one in chosen:
        yield one, [CHUNK * 1000.0 / start.elapsed_time(end) for start, end in marks[one]]


def _emit_transfer(torch, emit, device):
    """Copies from the host's pinned memory."""
    source = torch.empty(PINNED // 4).normal_().pin_memory()
    target = torch.empty(PINNED // 4, device=torch.device("cuda", device))
    rates = []
    for _ in range(20):
        torch.cuda.synchronize(device)
        begin = time.time()
        target.copy_(source, non_blocking=True)
        torch.cuda.synchronize(device)
        rates.append(PINNED / (time.time() - begin))
    emit(
        "probe",
        what="transfer",
        device="gpu",
        index=device,
        how="from pinned memory",
        devices=1,
        unit="bytes/s",
        **Rates(rates).fields(),
    )
