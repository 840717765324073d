"""Ends a program of others as soon as it has read its command line: no flag is unknown to it.

Exit status 0 if it takes all flags, else what it says itself, or 3 and `refused` of one that it
would take and ignore. Python imports this module if its folder is on PYTHONPATH.
"""

import argparse
import os
import sys

DONE = "all flags are known"


def end(unknown=()):
    """Flush and end at once, whatever the program has started."""
    print("refused: {}".format(" ".join(unknown)) if unknown else DONE)
    sys.stdout.flush()
    os._exit(3 if unknown else 0)


def starts_another():
    """Whether this program hands what it does not know to the one that it starts."""
    return os.path.basename(sys.argv[0]) in os.environ.get("BENCHDOCK_STARTERS", "").split()


def known_args(self, args=None, namespace=None):
    given, unknown = READ(self, args, namespace)
    if not starts_another():
        end(unknown)
    return given, unknown


def all_args(self, args=None, namespace=None):
    given, unknown = READ(self, args, namespace)
    if unknown:
        self.error("unrecognized arguments: {}".format(" ".join(unknown)))
    if not starts_another():
        end()
    return given


# Python starts itself with arguments of its own in programs that import multiprocessing.
READ = argparse.ArgumentParser.parse_known_args
if os.environ.get("BENCHDOCK_ABSENT"):
    import absent

    absent.install(os.environ["BENCHDOCK_ABSENT"].split())
if os.environ.get("BENCHDOCK_PARSE_ONLY"):
    # Replaced for the whole process, which is all that this module is for.
    argparse.ArgumentParser.parse_known_args = known_args  # type: ignore[method-assign]
    argparse.ArgumentParser.parse_args = all_args  # type: ignore[method-assign]
    try:
        from absl import flags
    except ImportError:
        flags = None
    if flags is not None:
        parse = flags.FlagValues.__call__

        def call(self, argv, known_only=False):
            """Parse as absl does; TensorFlow 1.5 asks it to pass over what it does not know."""
            try:
                parse(self, argv)
            except flags.Error as error:
                print(f"FATAL Flags parsing error:\n  {error}")
                end(("a flag",))
            end()

        flags.FlagValues.__call__ = call
