"""``python -m backends.probe``: report the ceilings of this machine as tagged lines."""

import argparse
import sys

from backends.harness.errors import Unsupported
from backends.harness.events import Emitter


def main(argv, emit):
    """Run the probe of a CPU or of GPUs; return the exit code."""
    parser = argparse.ArgumentParser(prog="probe")
    parser.add_argument("--device", required=True, choices=("cpu", "gpu"))
    parser.add_argument("--devices", type=int, default=1, help="number of GPUs")
    parser.add_argument("--threads", type=int, help="number of CPUs")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each figure")
    chosen = parser.parse_args(argv)
    try:
        if chosen.device == "cpu":
            from backends.probe import cpu

            cpu.measure(emit, chosen.threads, chosen.seconds)
        else:
            from backends.probe import gpu

            gpu.measure(emit, chosen.devices, chosen.seconds)
    except (Unsupported, ImportError, OSError) as error:
        emit("error", kind="unsupported", message=" ".join(str(error).split()))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], Emitter()))
