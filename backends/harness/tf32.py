"""TF32, to which NVIDIA's libraries round float32 by default on Ampere and later.

They read this variable when they are loaded, and older frameworks have no other switch.
"""

import argparse
import os

VARIABLE = "NVIDIA_TF32_OVERRIDE"


def settle(argv):
    """Allow or forbid it according to these arguments; call before the framework is imported.

    Ignores wrong arguments: the harness reports them.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--dtype")
    if parser.parse_known_args(argv)[0].dtype == "tf32":
        os.environ.pop(VARIABLE, None)
    else:
        os.environ[VARIABLE] = "0"
