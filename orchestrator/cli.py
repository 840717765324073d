"""The command line: arguments in, an exit status out. Imports nothing heavy."""

from __future__ import annotations

import argparse
import gc
import io
import itertools
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any, NoReturn, TypeVar

from orchestrator.errors import BenchdockError, ExitStatus, RequestError, quoted, unknown
from orchestrator.programs import PROGRAMS

T = TypeVar("T")

PHASES = ("training", "inference")
DTYPES = ("float32", "tf32", "float16", "bfloat16", "int8")
RUNTIMES = ("auto", "docker", "host")


# What Linux lets a control group have.
MOST_PROCESSES = 4_194_304
LARGEST_SEED = 2**63 - 1


class Parser(argparse.ArgumentParser):
    """argparse with our errors: one line of text, and a suggestion for a mistyped word."""

    def error(self, message: str) -> NoReturn:
        """Raise what is wrong as a RequestError."""
        raise RequestError(message, hint=f"see `{self.prog} --help`")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            raise unknown(
                str(action.metavar or action.dest).lower(), str(value), map(str, action.choices)
            )

    def refuse_unknown_options(self, words: Iterable[str]) -> None:
        """Raise RequestError for an option that is mistyped, before anything is found missing."""
        known = self._option_string_actions
        for word in words:
            name = word.partition("=")[0]
            if name == "--":
                return
            if name.startswith("--") and not any(option.startswith(name) for option in known):
                listing = f"{self.prog} --help"
                raise unknown("option", name, known, listing=listing)


class Command(Parser):
    """The parser of one command: names and options in any order."""

    _mixing = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse a command's words. Raises RequestError for one too many."""
        if self._mixing:
            return super().parse_known_args(args, namespace)
        self.refuse_unknown_options(args)
        # Behind a "--" there are names alone, which argparse forgets where it mixes.
        self._mixing = "--" not in args
        try:
            parse = self.parse_known_intermixed_args if self._mixing else super().parse_known_args
            found, left = parse(args, namespace)
        finally:
            self._mixing = False
        if left:
            self.error(f"{quoted(left[0])} is one word too many")
        return found, left


class _Options(argparse.Action):
    """Collects KEY=VALUE in a dictionary; a key that is given twice is a mistake."""

    def __call__(
        self,
        _parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        _word: str | None = None,
    ) -> None:
        """Add one."""
        key, text = values
        given = getattr(namespace, self.dest)
        if key in given:
            raise argparse.ArgumentError(self, f"{quoted(key)} is given twice")
        setattr(namespace, self.dest, {**given, key: text})


def whole(least: int, most: int | None = None) -> Callable[[str], int]:
    """Return what reads a whole number within bounds."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{quoted(text)} is not a whole number") from None
        if value < least:
            raise argparse.ArgumentTypeError(f"{value} is too small, the least is {least}")
        if most is not None and value > most:
            raise argparse.ArgumentTypeError(f"{value} is too large, the most is {most:,}")
        return value

    return read


positive = whole(least=1)
not_negative = whole(least=0)


def given(text: str) -> str:
    """Read a name, which is more than nothing."""
    if not text:
        raise argparse.ArgumentTypeError("it is empty")
    return text


def path(text: str) -> str:
    """Read a path; `~` stands for a home also where no shell replaced it."""
    return os.path.expanduser(given(text))


def size(text: str) -> int:
    """Read a size such as 512m or 4GiB, in bytes."""
    from orchestrator.units import parse_size

    return _converted(parse_size, text)


def duration(text: str) -> float:
    """Read a duration such as 90s or 10m, in seconds."""
    from orchestrator.units import parse_duration

    return _converted(parse_duration, text)


def _converted(convert: Callable[[str], T], text: str) -> T:
    try:
        return convert(text)
    except BenchdockError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def gpu_choice(text: str) -> str | tuple[int, ...]:
    """Read "all", "none" or a list of GPU indices such as 0,1."""
    if text in ("all", "none"):
        return text
    words = text.split(",")
    if not all(word.isascii() and word.isdigit() for word in words):
        raise argparse.ArgumentTypeError(
            f"{quoted(text)} is neither all, none nor indices such as 0,1"
        )
    indices = tuple(map(int, words))
    if len(set(indices)) < len(indices):
        raise argparse.ArgumentTypeError(f"{text!r} names a GPU twice")
    return indices


def option(text: str) -> tuple[str, str]:
    """Read KEY=VALUE."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise argparse.ArgumentTypeError(f"{quoted(text)} is not KEY=VALUE")
    return key, value


def build_parser() -> Parser:
    """Return the parser of all commands; each command's handler is named, not imported."""
    parser = Parser(
        prog="benchdock",
        description="Containerized deep-learning benchmarks: the same networks in every "
        "framework, numbers one can trust.",
        epilog="examples:\n"
        "  benchdock run resnet50 -f pytorch\n"
        "  benchdock run vgg16 -f pytorch --phase inference --batch 16 --gpus none\n"
        "  benchdock doctor\n"
        "exit status: 0 measured, 1 the benchmark failed, 2 the request is wrong, 3 this machine\n"
        "cannot do it, 4 measured and a gate was missed, 70 a bug of ours, 130 interrupted",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    from orchestrator.version import VERSION

    parser.add_argument("--version", action="version", version=f"benchdock {VERSION}")
    commands = parser.add_subparsers(
        dest="command", metavar="COMMAND", required=True, parser_class=Command
    )
    for add in (
        _add_run,
        _add_models,
        _add_frameworks,
        _add_images,
        _add_doctor,
        _add_parse,
        _add_parity,
        _add_published,
        _add_reproduce,
        _add_replay,
        _add_compare,
        _add_bundle,
        _add_verify,
        _add_completion,
    ):
        add(commands)
    return parser


def _command(
    commands: Any, name: str, summary: str, *examples: str, status: str = "0 done"
) -> Command:
    epilog = "\n".join(("examples:", *(f"  benchdock {line}" for line in examples)))
    epilog += f"\nexit status: {status}; all of them: benchdock --help"
    parser: Command = commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return parser


def _json(parser: argparse._ActionsContainer) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")


def _runtime(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--runtime",
        choices=RUNTIMES,
        default="auto",
        metavar="RUNTIME",
        help="docker, host, or auto (default): docker where an engine answers, else host",
    )


def _add_run(commands: Any) -> None:
    run = _command(
        commands,
        "run",
        "run one benchmark",
        "run resnet50 -f pytorch",
        "run alexnet -f pytorch --phase inference --batch 16 --steps 50 --gpus none",
        "run vgg19 -f pytorch --dtype float16 --gpus 0,1 --timeout 10m --json",
        "run resnet50 -f pytorch --dry-run",
        "run resnet50 -f tf_cnn_benchmarks --source ~/benchmarks/scripts/tf_cnn_benchmarks",
        "run ./mine.onnx -f onnxruntime --phase inference",
        "run mine -f custom --image me/mine:1 --command 'bench --batch {batch}' "
        "--pattern 'fps=(.+)'",
        status="0 measured, 1 the benchmark failed, 2 or 3 refused, 130 interrupted",
    )
    run.add_argument(
        "model",
        type=path,
        metavar="MODEL",
        help="a network of `benchdock models`, or of a vendor's program, or a file of your own: "
        ".onnx or .prototxt",
    )
    run.add_argument("-f", "--framework", required=True, help="one of `benchdock frameworks`")
    run.add_argument(
        "--phase",
        choices=PHASES,
        metavar="PHASE",
        help="training: forward, loss, backward, update; or inference "
        "(default: training where the framework trains)",
    )
    run.add_argument(
        "--dtype",
        choices=DTYPES,
        default="float32",
        metavar="DTYPE",
        help=f"one of {', '.join(DTYPES)} (default: float32)",
    )
    run.add_argument("--batch", type=positive, metavar="N", help="samples per device")
    run.add_argument(
        "--gpus",
        type=gpu_choice,
        metavar="all|none|0,1",
        help="default: the first GPU where there is one, else the CPU",
    )
    run.add_argument("--steps", type=positive, metavar="N", help="timed steps")
    run.add_argument("--warmup", type=not_negative, metavar="N", help="untimed steps before")
    run.add_argument("--data", type=path, metavar="DIR", help="dataset (default: synthetic data)")
    run.add_argument("--image", type=given, metavar="REF", help="another image than ours")
    run.add_argument("--source", type=path, metavar="DIR", help="folder of a vendor's program")
    _runtime(run)
    run.add_argument("--timeout", type=duration, metavar="S", help="end of the whole run")
    run.add_argument(
        "--first-output",
        type=duration,
        metavar="S",
        help="longest wait for the first line (default: 10m)",
    )
    run.add_argument(
        "--silence", type=duration, metavar="S", help="longest silence afterwards (default: 10m)"
    )
    run.add_argument("--memory", type=size, metavar="SIZE", help="memory limit, such as 8g")
    run.add_argument(
        "--pids", type=whole(1, MOST_PROCESSES), metavar="N", help="limit of processes"
    )
    run.add_argument("--shm-size", type=size, metavar="SIZE", help="size of /dev/shm")
    run.add_argument(
        "--threads",
        type=positive,
        metavar="N",
        help="CPU threads (default: as many as this process may use)",
    )
    run.add_argument(
        "--seed",
        type=whole(0, LARGEST_SEED),
        default=0,
        metavar="N",
        help="of weights and data (default: 0)",
    )
    _add_option(run)
    custom = run.add_argument_group("-f custom: any program")
    custom.add_argument(
        "--command",
        dest="own_command",
        metavar="WORDS",
        help="what to run, quoted as for a shell (none is started); {batch} {model} {devices} "
        "{steps} {warmup} {dtype} {phase} {data} {source} stand for what is asked",
    )
    _reading(custom)
    run.add_argument(
        "--dry-run",
        action="store_true",
        help="print image, launcher script and container settings; start nothing",
    )
    loud = run.add_mutually_exclusive_group()
    loud.add_argument("--quiet", action="store_true", help="print the result alone")
    loud.add_argument("--verbose", action="store_true", help="print the program's own output too")
    _json(run)
    run.set_defaults(handler="run")


def _add_models(commands: Any) -> None:
    models = _command(commands, "models", "list the networks", "models", "models --json")
    how = models.add_mutually_exclusive_group()
    _json(how)
    how.add_argument("--markdown", action="store_true", help="the page docs/models.md")
    models.set_defaults(handler="models")


def _add_frameworks(commands: Any) -> None:
    parser = _command(
        commands,
        "frameworks",
        "list the frameworks and what each can do",
        "frameworks",
        "frameworks tf_cnn_benchmarks",
        "frameworks --json",
    )
    parser.add_argument(
        "name",
        nargs="?",
        type=given,
        metavar="NAME",
        help="show one: networks, options, what it needs",
    )
    _json(parser)
    parser.set_defaults(handler="frameworks")


def _add_images(commands: Any) -> None:
    images = _command(
        commands,
        "images",
        "list, fetch and build the images",
        "images",
        "images --all",
        "images fetch pytorch-cpu",
        "images fetch pytorch-cpu --from /media/usb/wheels",
        "images build pytorch-cpu",
        "images bootstrap",
    )
    images.add_argument(
        "action",
        nargs="?",
        choices=("list", "fetch", "build", "bootstrap"),
        default="list",
        metavar="ACTION",
        help="list (default); fetch: fill the wheelhouse; build; bootstrap: make the base images "
        "from Debian's packages where no registry answers",
    )
    images.add_argument("names", nargs="*", metavar="IMAGE", help="default: the CPU images")
    images.add_argument(
        "--from", dest="source", type=path, metavar="DIR", help="fetch: wheels from a folder"
    )
    images.add_argument("--force", action="store_true", help="build or bootstrap anew")
    images.add_argument(
        "--all", action="store_true", help="list: what is known of every vendor's images instead"
    )
    _json(images)
    images.set_defaults(handler="images")


def _add_doctor(commands: Any) -> None:
    doctor = _command(
        commands,
        "doctor",
        "say what this machine can do and how to mend what is missing",
        "doctor",
        "doctor --json",
        status="0 something can be run here, 3 nothing can",
    )
    _json(doctor)
    doctor.set_defaults(handler="doctor")


def _add_parse(commands: Any) -> None:
    parse = _command(
        commands,
        "parse",
        "derive a result from the log of a benchmark program",
        "parse benchdock log.txt",
        "parse benchdock - --json < log.txt",
        "parse tf_cnn_benchmarks log.txt --explain",
        "parse torchbench log.txt --batch 32",
        "parse custom log.txt --pattern 'speed=([0-9.]+)' --unit images/s --estimator harmonic",
        status="0 a figure was found, 1 there is none, 2 refused",
    )
    parse.add_argument("program", metavar="PROGRAM", help=f"one of {', '.join(PROGRAMS)}")
    parse.add_argument("log", type=path, metavar="LOG", help="a file, - for standard input")
    parse.add_argument(
        "--batch",
        type=positive,
        metavar="N",
        help="samples per device, where the log does not tell",
    )
    parse.add_argument(
        "--devices", type=positive, metavar="N", help="how many, where the log does not tell"
    )
    parse.add_argument("--block", type=positive, metavar="N", help="which of several runs in a log")
    parse.add_argument(
        "--explain", action="store_true", help="show the very lines that gave the number"
    )
    parse.add_argument(
        "--phase",
        choices=PHASES,
        metavar="PHASE",
        help="training or inference, for a log that holds figures of both",
    )
    _reading(parse.add_argument_group("the program `custom`"))
    _json(parse)
    parse.set_defaults(handler="parse")


def _reading(group: argparse._ArgumentGroup) -> None:
    """Add how the figure of a program that nobody knows is read."""
    group.add_argument("--pattern", metavar="REGEX", help="its group holds the number")
    group.add_argument(
        "--unit", metavar="UNIT", help="samples/s (default), images/s, or s, ms, us per batch"
    )
    group.add_argument(
        "--estimator",
        metavar="HOW",
        help="which of several numbers counts: only (default), last, mean or harmonic",
    )


def _add_parity(commands: Any) -> None:
    parity = _command(
        commands,
        "parity",
        "prove that frameworks compute the same networks",
        "parity",
        "parity -f pytorch resnet50 vgg16 --level P2",
        status="0 every comparison holds, 1 one does not",
    )
    parity.add_argument(
        "models", nargs="*", metavar="MODEL", help="of `benchdock models` (default: all)"
    )
    parity.add_argument(
        "-f",
        "--framework",
        type=given,
        action="append",
        default=[],
        help="one of ours in `benchdock frameworks`; may be given again (default: all)",
    )
    parity.add_argument(
        "--level",
        action="append",
        choices=("P1", "P2", "P3"),
        default=[],
        metavar="LEVEL",
        help="P1 build, P2 forward, P3 step (default: P1 and P2)",
    )
    _runtime(parity)
    _json(parity)
    parity.set_defaults(handler="parity")


def _add_published(commands: Any) -> None:
    published = _command(
        commands,
        "published",
        "list what vendors and others have published",
        "published",
        "published --model resnet50 --gpu v100 --phase training",
        "published --container pytorch:20.06 --json",
    )
    for name, what in (
        ("model", "a network; its variants (v1.5, v2) are listed with it"),
        ("framework", "by name"),
        ("gpu", "such as v100 or a100-40gb"),
        ("precision", "float32, tf32, float16 or int8"),
        ("phase", "training or inference"),
        ("container", "reference, name:tag or month"),
    ):
        published.add_argument(f"--{name}", metavar=name.upper(), help=what)
    _json(published)
    published.set_defaults(handler="published")


def _loudness(parser: argparse.ArgumentParser) -> None:
    loud = parser.add_mutually_exclusive_group()
    loud.add_argument("--quiet", action="store_true", help="print the result alone")
    loud.add_argument("--verbose", action="store_true", help="print the program's own output too")


def _add_option(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--option",
        type=option,
        action=_Options,
        default={},
        metavar="KEY=VALUE",
        help="an option of the program, recorded in the result "
        "(`benchdock frameworks NAME` lists those of a vendor's)",
    )


def _add_reproduce(commands: Any) -> None:
    reproduce = _command(
        commands,
        "reproduce",
        "run what somebody published and tell whether it can be had here",
        "reproduce nvidia-dle-pytorch-20.06-resnet50_v1.5-v100-16gb-float16-training-x1 --dry-run",
        "reproduce claim.yaml --runs 5",
        status="0 reproduced, 4 not reproduced or not comparable, else that of the run",
    )
    reproduce.add_argument(
        "claim", type=path, metavar="CLAIM", help="an id of `benchdock published`, or a YAML file"
    )
    reproduce.add_argument(
        "--runs", type=not_negative, default=3, metavar="N", help="how often (default and least: 3)"
    )
    reproduce.add_argument(
        "--data", type=path, metavar="DIR", help="dataset (default: synthetic data)"
    )
    reproduce.add_argument(
        "--source", type=path, metavar="DIR", help="folder of the vendor's program"
    )
    _add_option(reproduce)
    reproduce.add_argument("--steps", type=positive, metavar="N", help="timed steps of each run")
    reproduce.add_argument("--warmup", type=not_negative, metavar="N", help="untimed steps before")
    _runtime(reproduce)
    reproduce.add_argument("--timeout", type=duration, metavar="S", help="end of each run")
    reproduce.add_argument(
        "--dry-run", action="store_true", help="list the conditions that cannot be met here"
    )
    _loudness(reproduce)
    _json(reproduce)
    reproduce.set_defaults(handler="reproduce")


def _add_replay(commands: Any) -> None:
    replay = _command(
        commands,
        "replay",
        "run a stored result again, in the very image it was measured in",
        "replay 20260101T120000-pytorch-resnet50-0a1b2c",
        "replay run.zip --dry-run",
        status="that of the run; 3 where it would not be the same benchmark",
    )
    replay.add_argument(
        "run", type=path, metavar="RUN", help="a run id or its begin, a folder, or a bundle"
    )
    replay.add_argument(
        "--allow-changed",
        action="store_true",
        help="run also where image, network, program or script are no longer the same",
    )
    replay.add_argument("--dry-run", action="store_true", help="say what would run; start nothing")
    _loudness(replay)
    _json(replay)
    replay.set_defaults(handler="replay")


def _add_compare(commands: Any) -> None:
    compare = _command(
        commands,
        "compare",
        "tell how two results differ, and what could be why",
        "compare 20260101T1200 20260102T1200",
        "compare run.zip ./result.json --json",
    )
    for name in ("a", "b"):
        compare.add_argument(
            name,
            type=path,
            metavar=name.upper(),
            help="a run id or its begin, a folder, file or bundle",
        )
    _json(compare)
    compare.set_defaults(handler="compare")


def _add_bundle(commands: Any) -> None:
    bundle = _command(
        commands,
        "bundle",
        "put everything of a run into one file",
        "bundle 20260101T120000-pytorch-resnet50-0a1b2c -o run.zip",
    )
    bundle.add_argument(
        "run", type=path, metavar="RUN", help="a run id or its begin, or a run folder"
    )
    bundle.add_argument("-o", "--output", type=path, metavar="FILE", help="default: RUN.zip, here")
    _json(bundle)
    bundle.set_defaults(handler="bundle")


def _add_verify(commands: Any) -> None:
    verify = _command(
        commands,
        "verify",
        "check that a bundle is whole, and that its log gives its result",
        "verify run.zip",
        status="0 it holds, 2 it does not",
    )
    verify.add_argument(
        "bundle", type=path, metavar="BUNDLE", help="a file that `benchdock bundle` wrote"
    )
    _json(verify)
    verify.set_defaults(handler="verify")


def _add_completion(commands: Any) -> None:
    completion = _command(
        commands,
        "completion",
        "print the completion script of a shell",
        "completion bash > ~/.local/share/bash-completion/completions/benchdock",
    )
    completion.add_argument(
        "shell", choices=("bash", "zsh", "tcsh"), metavar="SHELL", help="bash, zsh or tcsh"
    )
    completion.set_defaults(handler="completion")


def _hurry() -> None:
    """Save a third of the time that imports take; who runs for long turns collection on again.

    Imports allocate much and leave no garbage to look for, and pydantic would read the metadata
    of every installed package in search of plug-ins.
    """
    gc.disable()
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")


def main_inner(argv: Sequence[str] | None = None) -> ExitStatus:
    """Carry out one command. Raises BenchdockError."""
    words = sys.argv[1:] if argv is None else argv
    parser = build_parser()
    parser.refuse_unknown_options(itertools.takewhile(lambda word: word.startswith("-"), words))
    arguments = parser.parse_args(words)
    handler = import_module(f"orchestrator.commands.{arguments.handler}")
    status: ExitStatus = handler.execute(arguments)
    return status


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and turn whatever comes of it into one line and an exit status."""
    words = sys.argv[1:] if argv is None else argv
    try:
        status = main_inner(words)
        sys.stdout.flush()
        return int(status)
    except BenchdockError as error:
        _tell(error, as_json="--json" in words)
        return int(error.exit_status)
    except KeyboardInterrupt:
        print("benchdock: interrupted", file=sys.stderr)
        return int(ExitStatus.INTERRUPTED)
    except BrokenPipeError:
        # The reader (head, less) has what it wanted; a second failure at shutdown must not show.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return int(ExitStatus.OK)
    except Exception as error:  # anything else is a bug of ours and is kept for a report
        if isinstance(error, OSError) and (why := _unwritable()) is not None:
            print(f"benchdock: the output cannot be written: {why}", file=sys.stderr)
            return int(ExitStatus.MACHINE_CANNOT)
        from orchestrator.bugs import report_bug

        print(f"benchdock: {report_bug()}", file=sys.stderr)
        return int(ExitStatus.BUG)


def _tell(error: BenchdockError, *, as_json: bool) -> None:
    """Say in one line what is wrong; whoever wants a document has one with that line too."""
    for line in error.details:
        print(f"  | {line}", file=sys.stderr)
    print(f"benchdock: {error}", file=sys.stderr)
    if as_json:
        import json

        told = {"message": error.what, "hint": error.hint, "exit_status": int(error.exit_status)}
        print(json.dumps({"schema": 1, "error": told}, indent=2))


def _unwritable() -> str | None:
    """Return why standard output takes nothing (a full disk), None where it takes a line's end."""
    try:
        print(flush=True)
    except OSError as error:
        return error.strerror or str(error)
    return None


def _open_streams() -> None:
    """Replace standard streams that whoever started us has closed; let none fail on a letter."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def entry() -> NoReturn:
    """Run as a program: leave without tearing down modules that the system frees anyway."""
    _hurry()
    _open_streams()
    status = main()
    with suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)
