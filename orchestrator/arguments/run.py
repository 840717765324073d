"""Arguments of `benchdock run`."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from orchestrator.arguments import shared, values
from orchestrator.arguments.parser import Once, OneOption, command

DATA_PLACE, PAGE_CACHE = "data_place", "page_cache"
# The range that Linux accepts for a control group.
MOST_PROCESSES = 4_194_304
LARGEST_SEED = 2**63 - 1


def add(commands: Any) -> None:
    """Add the parser of the command."""
    run = command(
        commands,
        "run",
        "run one benchmark",
        "run resnet50 -f pytorch",
        "run alexnet -f pytorch --phase inference --batch 16 --steps 50 --gpus none",
        "run vgg19 -f pytorch --dtype float16 --gpus 0,1 --timeout 10m --json",
        "run resnet50 -f pytorch --dry-run",
        "run resnet50 -f pytorch --gpus all --dry-run --machine server.json",
        "run resnet50 -f tf_cnn_benchmarks --source ~/benchmarks/scripts/tf_cnn_benchmarks",
        "run resnet50 -f pytorch --runs 5 --require valid",
        "run resnet50 -f pytorch --find-batch",
        "run resnet50 -f pytorch --tuned",
        "run resnet50 -f pytorch --gpus none --ranks 2",
        "run resnet50 -f pytorch --python ~/my-environment",
        "run ./mine.onnx -f onnxruntime --phase inference",
        "run resnet50 -f pytorch --env NCCL_DEBUG=INFO --prefix 'numactl --cpunodebind=0'",
        "run mine -f custom --image me/mine:1 --command 'bench --batch {batch}' "
        "--pattern 'fps=(.+)'",
        status="0 measured, 1 the benchmark failed, 2 or 3 could not start, 4 measured but "
        "--require is not met, 130 interrupted",
    )
    _add_benchmark(run)
    _add_place(run)
    _add_limits(run)
    _add_settings(run)
    _add_own_command(run)
    _add_manner(run)
    run.set_defaults(handler="run")


def add_what(command: ArgumentParser) -> None:
    """Add what is measured: network, framework, phase and number type."""
    command.add_argument(
        "model",
        type=values.recorded_path,
        metavar="MODEL",
        help="a network of `benchdock models`, a network of a vendor's program, or your own .onnx "
        "or .prototxt file",
    )
    command.add_argument(
        "-f",
        "--framework",
        action=Once,
        required=True,
        help="one of `benchdock frameworks`",
    )
    command.add_argument(
        "--phase",
        choices=shared.PHASES,
        metavar="PHASE",
        help="training (forward, loss, backward, update) or inference (default: training if "
        "framework and network support it)",
    )
    command.add_argument(
        "--dtype",
        choices=shared.DTYPES,
        default="float32",
        metavar="DTYPE",
        help=f"one of {', '.join(shared.DTYPES)} (default: float32)",
    )


def add_gpus(command: ArgumentParser) -> None:
    """Add the choice of GPUs."""
    command.add_argument(
        "--gpus",
        type=values.gpu_choice,
        metavar="all|none|0,1",
        help="all, none, or indices or UUIDs such as 0,1 (default: the first GPU if the framework "
        "supports it, else the CPU)",
    )
    command.add_argument(
        "--devices",
        type=values.positive,
        metavar="N",
        help="use the first N GPUs instead of naming them",
    )
    command.add_argument(
        "--ranks",
        type=values.positive,
        metavar="N",
        help="run N processes on the CPU, each on its share of the cores and with its own batch; "
        "in training they exchange gradients",
    )


def _add_nodes(run: ArgumentParser) -> None:
    run.add_argument(
        "--nodes",
        type=values.positive,
        default=1,
        metavar="N",
        help="with --ranks, in a job of Slurm: divide the ranks among N of its nodes (pytorch, "
        "horovod_pytorch)",
    )


def add_steps(command: ArgumentParser) -> None:
    """Add the numbers of steps."""
    command.add_argument("--steps", type=values.positive, metavar="N", help="number of timed steps")
    command.add_argument(
        "--warmup",
        type=values.not_negative,
        metavar="N",
        help="number of untimed steps before them",
    )


def _add_benchmark(run: ArgumentParser) -> None:
    """Add what is measured; everything in it is stored in the result."""
    add_what(run)
    run.add_argument("--batch", type=values.positive, metavar="N", help="batch size per device")
    add_gpus(run)
    _add_nodes(run)
    add_steps(run)
    add_data(run)
    _add_feeding(run)


def add_data(command: ArgumentParser) -> None:
    """Add the dataset."""
    command.add_argument(
        "--data",
        type=values.recorded_path,
        metavar="DIR|NAME",
        help="dataset folder, or its name in `benchdock data` (default: synthetic data)",
    )
    command.add_argument(
        "--measure",
        choices=("compute", "copy", "input", "end-to-end"),
        metavar="PART",
        help="with --data: compute, copy, input or end-to-end (default); see `explain`",
    )


def _add_feeding(run: ArgumentParser) -> None:
    """Add how batches reach the steps."""
    run.add_argument(
        "--data-place",
        dest="option",
        action=OneOption,
        key=DATA_PLACE,
        choices=("device", "pageable", "pinned"),
        metavar="PLACE",
        help="where a batch lies before its step: device (default for synthetic data), pageable "
        "(default for real data) or pinned memory of the host; --option data_place=PLACE in suites",
    )
    run.add_argument(
        "--page-cache",
        dest="option",
        action=OneOption,
        key=PAGE_CACHE,
        choices=("cold", "warm"),
        metavar="STATE",
        help="with --data: take the data out of the machine's page cache before the run (cold), "
        "or read all of it once (warm); --option page_cache=STATE in suites",
    )


def _add_place(run: ArgumentParser) -> None:
    run.add_argument(
        "--image", type=values.given, metavar="REF", help="use this image instead of the default"
    )
    run.add_argument(
        "--source", type=values.recorded_path, metavar="DIR", help="folder of the vendor's program"
    )
    shared.runtime(run)
    shared.python(run)


def _add_limits(run: ArgumentParser) -> None:
    run.add_argument(
        "--timeout",
        type=values.duration,
        metavar="S",
        help="stop the program after this long (not counting image pulls and container start)",
    )
    run.add_argument(
        "--first-output",
        type=values.duration,
        metavar="S",
        help="stop if the first output takes longer than this (default: 10m)",
    )
    run.add_argument(
        "--silence",
        type=values.duration,
        metavar="S",
        help="stop if the output pauses for longer than this (default: 10m)",
    )
    run.add_argument("--memory", type=values.size, metavar="SIZE", help="memory limit, such as 8g")
    run.add_argument(
        "--pids",
        type=values.whole(1, MOST_PROCESSES),
        metavar="N",
        help="maximum number of processes",
    )
    run.add_argument(
        "--as-root",
        action="store_true",
        help="run as root in the container (default: as you; under sudo as the user who called "
        "it; as nobody if you are root)",
    )
    run.add_argument("--shm-size", type=values.size, metavar="SIZE", help="size of /dev/shm")


def _add_settings(run: ArgumentParser) -> None:
    run.add_argument(
        "--threads",
        type=values.positive,
        metavar="N",
        help="number of CPU threads (default: all CPUs of this process)",
    )
    shared.around_program(run)
    run.add_argument(
        "--network",
        type=values.given,
        metavar="NAME",
        help="container network: none (default), bridge, or any of `docker network ls`",
    )
    run.add_argument(
        "--seed",
        type=values.whole(0, LARGEST_SEED),
        default=0,
        metavar="N",
        help="random seed for weights and data (default: 0)",
    )
    shared.options(run)
    run.add_argument(
        "--tuned",
        action="store_true",
        help="use the fastest settings that `benchdock tune` found for this request on this "
        "machine; what you type counts more",
    )


def _add_own_command(run: ArgumentParser) -> None:
    custom = run.add_argument_group("-f custom: any program")
    custom.add_argument(
        "--command",
        dest="own_command",
        type=values.scripted,
        metavar="WORDS",
        help="the command to run, quoted as for a shell (but no shell runs); {batch} {model} "
        "{devices} {steps} {warmup} {dtype} {phase} {data} {source} are replaced by their values",
    )
    shared.reading(custom)


def _add_manner(run: ArgumentParser) -> None:
    """Add how often it is run, or whether at all, and what is printed."""
    run.add_argument(
        "--runs",
        type=values.positive,
        metavar="N",
        help="repeat the run N times, each in a new container and folder, and summarize; "
        "`compare` needs several runs per side (stops at the first failure)",
    )
    batch = run.add_mutually_exclusive_group()
    batch.add_argument(
        "--fit-batch",
        action="store_true",
        help="if the batch runs out of memory, halve it until it fits; the result says so",
    )
    batch.add_argument(
        "--find-batch",
        action="store_true",
        help="double the batch, from --batch or 1, until that gains nothing or runs out of memory; "
        "then repeat all batches (--runs N: N times in all, default 3) and show the fastest",
    )
    shared.gpu_sharing(run)
    run.add_argument(
        "--require",
        choices=("valid", "suspect"),
        help="exit with 4 if the verdict on the result is worse than this (the result is stored "
        "all the same)",
    )
    run.add_argument(
        "--dry-run",
        action="store_true",
        help="show image, launcher script and container settings without starting anything",
    )
    run.add_argument(
        "--machine",
        type=values.path,
        metavar="FILE",
        help="with --dry-run: plan for the machine described in FILE (from `benchdock doctor "
        "--json`)",
    )
    shared.loudness(run)
    shared.json(run)
