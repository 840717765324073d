"""Arguments of the commands that run benchmarks."""

from __future__ import annotations

from typing import Any

from orchestrator.arguments import shared, values
from orchestrator.arguments.parser import Collect, Once, command

# The range that Linux accepts for a control group.
MOST_PROCESSES = 4_194_304
LARGEST_SEED = 2**63 - 1
# int8 is left out: it has scales, so it is not the same computation with other rounding.
PARITY_DTYPES = shared.DTYPES[:-1]


def add(commands: Any) -> None:
    """Add the parsers of these commands."""
    _add_run(commands)
    _add_parity(commands)
    _add_reproduce(commands)
    _add_replay(commands)


def _add_run(commands: Any) -> None:
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
        "run resnet50 -f pytorch --runs 5",
        "run ./mine.onnx -f onnxruntime --phase inference",
        "run resnet50 -f pytorch --env NCCL_DEBUG=INFO --prefix 'numactl --cpunodebind=0'",
        "run mine -f custom --image me/mine:1 --command 'bench --batch {batch}' "
        "--pattern 'fps=(.+)'",
        status="0 measured, 1 the benchmark failed, 2 or 3 could not start, 130 interrupted",
    )
    run.add_argument(
        "model",
        type=values.recorded_path,
        metavar="MODEL",
        help="a network of `benchdock models`, a network of a vendor's program, or your own .onnx "
        "or .prototxt file",
    )
    run.add_argument(
        "-f",
        "--framework",
        action=Once,
        required=True,
        help="one of `benchdock frameworks`",
    )
    run.add_argument(
        "--phase",
        choices=shared.PHASES,
        metavar="PHASE",
        help="training (forward, loss, backward, update) or inference (default: training if "
        "framework and network support it)",
    )
    run.add_argument(
        "--dtype",
        choices=shared.DTYPES,
        default="float32",
        metavar="DTYPE",
        help=f"one of {', '.join(shared.DTYPES)} (default: float32)",
    )
    run.add_argument("--batch", type=values.positive, metavar="N", help="batch size per device")
    run.add_argument(
        "--gpus",
        type=values.gpu_choice,
        metavar="all|none|0,1",
        help="all, none, or indices such as 0,1 (default: the first GPU if the framework supports "
        "it, else the CPU)",
    )
    run.add_argument("--steps", type=values.positive, metavar="N", help="number of timed steps")
    run.add_argument(
        "--warmup",
        type=values.not_negative,
        metavar="N",
        help="number of untimed steps before them",
    )
    run.add_argument(
        "--data",
        type=values.recorded_path,
        metavar="DIR",
        help="dataset folder (default: synthetic data)",
    )
    run.add_argument(
        "--image", type=values.given, metavar="REF", help="use this image instead of the default"
    )
    run.add_argument(
        "--source", type=values.recorded_path, metavar="DIR", help="folder of the vendor's program"
    )
    shared.runtime(run)
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
    run.add_argument(
        "--threads",
        type=values.positive,
        metavar="N",
        help="number of CPU threads (default: all CPUs of this process)",
    )
    run.add_argument(
        "--env",
        type=values.option,
        action=Collect,
        default={},
        metavar="K=V",
        help="set an environment variable of the program, recorded in the result; repeatable",
    )
    run.add_argument(
        "--prefix",
        type=values.scripted,
        metavar="WORDS",
        help="run the program under this command, quoted as for a shell (but no shell runs): "
        "'numactl --cpunodebind=0', 'taskset -c 0-7', 'nsys profile'",
    )
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
    run.add_argument(
        "--runs",
        type=values.positive,
        metavar="N",
        help="repeat the run N times, each in a new container and folder, and summarize; "
        "`compare` needs several runs per side (stops at the first failure)",
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
    run.set_defaults(handler="run")


def _add_parity(commands: Any) -> None:
    parity = command(
        commands,
        "parity",
        "prove that frameworks compute the same networks",
        "parity",
        "parity -f pytorch resnet50 vgg16 --level P2",
        "parity --dtype bfloat16 resnet50",
        "parity --dtype float16 --gpus 0",
        status="0 every comparison holds, 1 one does not or could not be made",
    )
    parity.add_argument(
        "models", nargs="*", metavar="MODEL", help="networks of `benchdock models` (default: all)"
    )
    parity.add_argument(
        "-f",
        "--framework",
        type=values.given,
        action="append",
        default=[],
        help="a framework of `benchdock frameworks` that parity covers; repeatable (default: all)",
    )
    parity.add_argument(
        "--level",
        action="append",
        choices=("P1", "P2", "P3"),
        default=[],
        metavar="LEVEL",
        help="P1 build, P2 forward, P3 step (default: all that the framework supports)",
    )
    parity.add_argument(
        "--dtype",
        choices=PARITY_DTYPES,
        default="float32",
        metavar="DTYPE",
        help=f"one of {', '.join(PARITY_DTYPES)}; each has its tolerance (default: float32)",
    )
    parity.add_argument(
        "--gpus",
        type=values.gpu_choice,
        default="none",
        metavar="none|0",
        help="index of the GPU to compare on (default: none, the CPU)",
    )
    parity.add_argument(
        "--image",
        type=values.given,
        metavar="REF",
        help="use this image instead of the default, with exactly one -f",
    )
    shared.options(parity)
    shared.runtime(parity)
    shared.json(parity)
    parity.set_defaults(handler="parity")


def _add_reproduce(commands: Any) -> None:
    reproduce = command(
        commands,
        "reproduce",
        "reproduce a published result",
        "reproduce nvidia-dle-pytorch-20.06-resnet50_v1.5-v100-16gb-float16-training-x1 --dry-run",
        "reproduce claim.yaml --runs 5",
        status="0 reproduced, 4 not reproduced or not comparable, else the run's exit status",
    )
    reproduce.add_argument(
        "claim",
        type=values.path,
        metavar="CLAIM",
        help="an id from `benchdock published --model NAME`, or a YAML file",
    )
    reproduce.add_argument(
        "--runs",
        type=values.not_negative,
        default=3,
        metavar="N",
        help="number of runs (default and minimum: 3)",
    )
    reproduce.add_argument(
        "--data",
        type=values.recorded_path,
        metavar="DIR",
        help="dataset folder (default: synthetic data)",
    )
    reproduce.add_argument(
        "--source", type=values.recorded_path, metavar="DIR", help="folder of the vendor's program"
    )
    reproduce.add_argument(
        "--batch",
        type=values.positive,
        metavar="N",
        help="samples per device, if the claim does not give them",
    )
    reproduce.add_argument(
        "--image", type=values.given, metavar="REF", help="use this image instead of the claim's"
    )
    shared.options(reproduce)
    reproduce.add_argument(
        "--steps", type=values.positive, metavar="N", help="number of timed steps per run"
    )
    reproduce.add_argument(
        "--warmup",
        type=values.not_negative,
        metavar="N",
        help="number of untimed steps before them",
    )
    shared.runtime(reproduce)
    reproduce.add_argument(
        "--timeout", type=values.duration, metavar="S", help="stop each run after this long"
    )
    shared.trust(reproduce, "a YAML file")
    reproduce.add_argument(
        "--dry-run",
        action="store_true",
        help="show image, flags and unmet conditions without starting anything",
    )
    shared.loudness(reproduce)
    shared.json(reproduce)
    reproduce.set_defaults(handler="reproduce")


def _add_replay(commands: Any) -> None:
    replay = command(
        commands,
        "replay",
        "run a stored result again in the same image",
        "replay 20260101T120000-pytorch-resnet50-0a1b2c",
        "replay run.zip --dry-run",
        status="as for `run`; 2 if --trust is needed, 3 if it would be a different benchmark",
    )
    replay.add_argument(
        "run",
        type=values.path,
        metavar="RUN",
        help="a run id or a prefix of one, a folder, or a bundle",
    )
    replay.add_argument(
        "--allow-changed",
        action="store_true",
        help="run even if image, network, program or script have changed",
    )
    shared.trust(replay, "a bundle, or a result from elsewhere,")
    replay.add_argument(
        "--dry-run",
        action="store_true",
        help="show image, folders, command and what needs trust without starting anything",
    )
    shared.loudness(replay)
    shared.json(replay)
    replay.set_defaults(handler="replay")
