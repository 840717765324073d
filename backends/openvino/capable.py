"""``python3 -m backends.openvino.capable DTYPE``: fails where this processor lacks a number type.

OpenVINO's own programs compute in another type then, and do not say so.
"""

import sys


def refusal(asked, here):
    """One line, or None where the type is among those that are here."""
    if asked in here:
        return None
    return "OpenVINO has no %s on this CPU; possible: %s" % (asked, ", ".join(here))


if __name__ == "__main__":
    from backends.openvino.step import dtypes

    sys.exit(refusal(sys.argv[1], dtypes()))
