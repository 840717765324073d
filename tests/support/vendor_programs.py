"""Stand-ins for vendors' programs, and for the mpirun that starts them."""

from pathlib import Path

STAND_IN = Path(__file__).parents[1] / "vendor_stand_in.py"

# Open MPI for one machine: what follows the count is started, once.
MPIRUN = """#!/bin/bash
[[ "$*" == "--allow-run-as-root --tag-output --bind-to none -np "* ]] || exit 64
shift 6
exec "$@"
"""
