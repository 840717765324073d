"""``python3 -m backends.openvino.capable DTYPE``: fails if this processor does not support a number
type.

OpenVINO's programs compute in another type then, without saying so.
"""

import sys


def refusal(asked, here):
    """One line, or None if the type is supported here."""
    if asked in here:
        return None
    return "OpenVINO does not support %s on this CPU; use one of: %s" % (asked, ", ".join(here))


if __name__ == "__main__":
    from backends.openvino.step import dtypes

    sys.exit(refusal(sys.argv[1], dtypes()))
