"""A log of our own programs, with figures of our own."""

import json

BEGIN = {
    "event": "begin",
    "program": "benchdock",
    "version": "0.1.0",
    "framework": "pytorch",
    "framework_version": "2.13.0+cpu",
    "model": "resnet50",
    "fingerprint": "0123456789abcdef",
    "phase": "training",
    "dtype": "float32",
    "batch": 8,
    "device": "cpu",
    "devices": 2,
    "device_names": ["a", "b"],
    "options": {"compile": "no"},
    "steps": 20,
    "warmup": 3,
}

WARMUP = {"event": "warmup", "steps": 3, "seconds": 0.75}


def steps(first, seconds, **changes):
    block = sum(seconds) + 1e-4
    return {
        "event": "steps",
        "first": first,
        "seconds": seconds,
        "samples": 16,
        "block_seconds": block,
        **changes,
    }


FIRST = steps(0, [0.1, 0.101, 0.099, 0.1, 0.102, 0.1, 0.1, 0.1, 0.1, 0.1])

SECOND = steps(10, [0.11, 0.1, 0.099, 0.1, 0.102, 0.1, 0.1, 0.1, 0.1, 0.1])

SECONDS = FIRST["block_seconds"] + SECOND["block_seconds"]

END = {"event": "end", "samples": 320, "seconds": SECONDS, "peak_memory": 2**30, "loss": 6.9}

GOOD = [BEGIN, WARMUP, FIRST, SECOND, END]


def line(event):
    return b"::benchdock " + json.dumps(event).encode() + b"\n"


def log(events):
    return b"".join(map(line, events))
