"""The command line every backend takes."""

import argparse
import difflib
from collections import OrderedDict, namedtuple

from backends import options
from backends.harness.errors import Unsupported

PHASES = ("training", "inference")
DTYPES = ("float32", "tf32", "float16", "bfloat16", "int8")
DEVICES = ("cpu", "gpu")
WARMUP_SECONDS = 2.0
# One real batch that stays on the device; one that is copied there in each step; only reading,
# without the network; all of it.
END_TO_END = "end-to-end"
MEASURES = ("compute", "copy", "input", END_TO_END)

Settings = namedtuple(
    "Settings",
    "model phase dtype batch device devices steps warmup warmup_seconds threads seed data measure"
    " options model_file",
)
Settings.__doc__ = """One benchmark as asked for.

`batch` is per device; `threads` and `data` may be None; `options` maps every declared
option to a value or "auto"; `model_file` is the path of the user's network, else None. `measure`
is one of `MEASURES`.
"""

ParitySettings = namedtuple("ParitySettings", "levels models dtype device options devices")


class _Parser(argparse.ArgumentParser):
    """Reports errors in our way, so that the host sees a wrong argument as an event."""

    def error(self, message):
        raise Unsupported(message)


def _count(lowest):
    def parse(text):
        number = int(text)
        if number < lowest:
            raise argparse.ArgumentTypeError("must be at least %d, not %s" % (lowest, text))
        return number

    parse.__name__ = "integer"  # argparse mentions it in "invalid integer value"
    return parse


def _seconds(text):
    number = float(text)
    if not 0 <= number < float("inf"):
        raise argparse.ArgumentTypeError("must be at least 0, not %s" % text)
    return number


def _key_value(text):
    key, sign, value = text.partition("=")
    if not (key and sign and value):
        raise argparse.ArgumentTypeError("write key=value, not %r" % text)
    return key, value


def parse(argv, program, declared):
    """Settings of a benchmark; raises `Unsupported` for invalid arguments."""
    parser = _Parser(prog=program, description="Runs one benchmark and prints tagged lines.")
    add = parser.add_argument
    add("--model", required=True)
    add("--model-file", metavar="FILE", help="your network, instead of one of the zoo")
    add("--phase", required=True, choices=PHASES)
    add("--dtype", required=True, choices=DTYPES)
    add("--batch", required=True, type=_count(1), help="samples per device")
    add("--device", required=True, choices=DEVICES)
    add("--devices", type=_count(1), default=1)
    add("--steps", required=True, type=_count(1), help="timed steps")
    add("--warmup", required=True, type=_count(0), help="minimum number of warm-up steps")
    add("--warmup-seconds", type=_seconds, default=WARMUP_SECONDS, help="minimum warm-up time")
    add("--threads", type=_count(1))
    add("--seed", type=_count(0), default=1)
    add("--data", metavar="DIR", help="folder of real data; synthetic without it")
    add("--measure", choices=MEASURES, default=END_TO_END, help="the part of a step that is timed")
    _add_options(parser, declared)
    found = vars(parser.parse_args(argv))
    if found["data"] is None and found["measure"] != END_TO_END:
        raise Unsupported("--measure %s needs --data" % found["measure"])
    found["options"] = choose(declared, found["options"])
    settings = Settings(**found)
    _check_feeding(settings)
    return settings


def _check_feeding(settings):
    """Refuse options of readers and places that would have no effect. Raises Unsupported."""
    if settings.data is None:
        for name in (options.WORKERS, options.AUGMENT):
            if settings.options.get(name, "auto") != "auto":
                raise Unsupported("option %s needs --data" % name)
    if settings.options.get(options.AUGMENT) == "on" and settings.phase != "training":
        raise Unsupported("option %s is for training" % options.AUGMENT)
    place = settings.options.get(options.DATA_PLACE, "auto")
    why = options.misplaced(place, settings.device, settings.data is not None, settings.measure)
    if why:
        raise Unsupported("option %s=%s: %s" % (options.DATA_PLACE, place, why))


def one_step(model, phase, batch, options, **changed):
    """A single float32 step on the CPU, with changes: for parity and the self check."""
    usual = Settings(
        model,
        phase,
        "float32",
        batch,
        "cpu",
        1,
        1,
        0,
        0.0,
        None,
        0,
        None,
        END_TO_END,
        options,
        None,
    )
    return usual._replace(**changed)


def parse_parity(argv, program, declared, known_levels, known_dtypes):
    """The arguments of ``parity``."""
    parser = _Parser(prog=program + " parity", description="Compares models with the referee.")
    parser.add_argument("--level", action="append", required=True, choices=known_levels)
    parser.add_argument("--dtype", choices=known_dtypes, default="float32")
    parser.add_argument("--device", choices=DEVICES, default="cpu")
    parser.add_argument("--devices", type=_count(1), default=1)
    parser.add_argument("models", nargs="+", metavar="MODEL")
    _add_options(parser, declared)
    found = parser.parse_args(argv)
    chosen = choose(declared, found.options)
    return ParitySettings(
        found.level, found.models, found.dtype, found.device, chosen, found.devices
    )


def parse_reading(argv, program):
    """The arguments of ``read``, as settings of a benchmark."""
    parser = _Parser(prog=program + " read", description="Reads the first images of a dataset.")
    parser.add_argument("--data", required=True, metavar="DIR")
    parser.add_argument("--batch", type=_count(1), default=50)
    parser.add_argument("model", metavar="MODEL", help="whose input the images are cropped to")
    asked = parser.parse_args(argv)
    return one_step(asked.model, "inference", asked.batch, {}, data=asked.data)


def _add_options(parser, declared):
    text = "; ".join("%s (%s): %s" % (o.name, "|".join(o.values), o.help) for o in declared)
    parser.add_argument(
        "--option",
        dest="options",
        action="append",
        type=_key_value,
        default=[],
        metavar="key=value",
        help=text.replace("%", "%%") or "this backend has none",
    )


def choose(declared, pairs):
    """Every declared option with its value; "auto" if it is not given."""
    known = OrderedDict((option.name, option) for option in declared)
    chosen = OrderedDict((name, "auto") for name in known)
    for key, value in pairs:
        if key not in known:
            raise Unsupported("unknown option %r%s" % (key, suggestion(key, known)))
        if not options.accepts(known[key], value):
            allowed = ("auto",) + tuple(known[key].values)
            raise Unsupported("option %s cannot be %r%s" % (key, value, suggestion(value, allowed)))
        chosen[key] = value
    return chosen


def suggestion(word, known):
    """The end of an error message: the probable choice, and all choices."""
    near = difflib.get_close_matches(word, list(known), 1)
    meant = "; did you mean %s?" % near[0] if near else ";"
    return "%s possible: %s" % (meant, ", ".join(known) or "none")
