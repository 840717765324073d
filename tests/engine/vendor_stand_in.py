"""Stands in for a vendor's program in an image: checks its arguments, then prints a log.

Runs in the image. `stand-in.json` beside it says which flags the real program knows (from its
source), which of them take no value, which name a file that must be there, and what it prints.
"""

import json
import sys
from pathlib import Path

HERE = Path("/stand-in")


def mistake(words, known):
    """What the real program would refuse, or None."""
    for word in words:
        if not word.startswith("-"):
            if word not in known["commands"]:
                return "unknown command " + word
            continue
        name, equals, value = word.lstrip("-").partition("=")
        if name not in known["flags"]:
            return "unknown argument " + word
        if (name in known["switches"]) == bool(equals):
            return "a value is missing, or one too many: " + word
        if name in known["files"] and not Path(value).read_text(encoding="utf-8").strip():
            return "nothing in " + value
    return None


if __name__ == "__main__":
    told = json.loads((HERE / "stand-in.json").read_text(encoding="utf-8"))
    wrong = mistake(sys.argv[1:], told)
    if wrong:
        sys.exit("STAND-IN: " + wrong)
    print("STAND-IN: " + " ".join(sys.argv[1:]))
    print((HERE / "log.txt").read_text(encoding="utf-8"))
