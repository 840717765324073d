"""What the commands that run benchmarks take."""

from __future__ import annotations

from typing import Any

from orchestrator.arguments import shared, values
from orchestrator.arguments.parser import Collect, Once, command

# What Linux lets a control group have.
MOST_PROCESSES = 4_194_304
LARGEST_SEED = 2**63 - 1
# int8 is not the same computation rounded: it has scales of its own.
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
        status="0 measured, 1 the benchmark failed, 2 or 3 refused, 130 interrupted",
    )
    run.add_argument(
        "model",
        type=values.recorded_path,
        metavar="MODEL",
        help="a network of `benchdock models`, or of a vendor's program, or a file of your own: "
        ".onnx or .prototxt",
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
        help="training: forward, loss, backward, update; or inference "
        "(default: training if the framework trains and the network has a loss)",
    )
    run.add_argument(
        "--dtype",
        choices=shared.DTYPES,
        default="float32",
        metavar="DTYPE",
        help=f"one of {', '.join(shared.DTYPES)} (default: float32)",
    )
    run.add_argument("--batch", type=values.positive, metavar="N", help="samples per device")
    run.add_argument(
        "--gpus",
        type=values.gpu_choice,
        metavar="all|none|0,1",
        help="default: the first GPU if the framework can use it, else the CPU",
    )
    run.add_argument("--steps", type=values.positive, metavar="N", help="timed steps")
    run.add_argument("--warmup", type=values.not_negative, metavar="N", help="untimed steps before")
    run.add_argument(
        "--data", type=values.recorded_path, metavar="DIR", help="dataset (default: synthetic data)"
    )
    run.add_argument("--image", type=values.given, metavar="REF", help="another image than ours")
    run.add_argument(
        "--source", type=values.recorded_path, metavar="DIR", help="folder of a vendor's program"
    )
    shared.runtime(run)
    run.add_argument(
        "--timeout",
        type=values.duration,
        metavar="S",
        help="longest time for the program, from its start to its end; what comes before (getting "
        "the image, starting the container) is not counted",
    )
    run.add_argument(
        "--first-output",
        type=values.duration,
        metavar="S",
        help="longest wait for the first line (default: 10m)",
    )
    run.add_argument(
        "--silence",
        type=values.duration,
        metavar="S",
        help="longest silence afterwards (default: 10m)",
    )
    run.add_argument("--memory", type=values.size, metavar="SIZE", help="memory limit, such as 8g")
    run.add_argument(
        "--pids", type=values.whole(1, MOST_PROCESSES), metavar="N", help="limit of processes"
    )
    run.add_argument(
        "--as-root",
        action="store_true",
        help="let the container run as root (default: as the caller; for root as the user who "
        "called sudo, else nobody)",
    )
    run.add_argument("--shm-size", type=values.size, metavar="SIZE", help="size of /dev/shm")
    run.add_argument(
        "--threads",
        type=values.positive,
        metavar="N",
        help="CPU threads (default: as many as this process may use)",
    )
    run.add_argument(
        "--env",
        type=values.option,
        action=Collect,
        default={},
        metavar="K=V",
        help="a variable of the program's environment, recorded in the result; may be given again",
    )
    run.add_argument(
        "--prefix",
        type=values.scripted,
        metavar="WORDS",
        help="a command put before the program's, quoted as for a shell (none is started): "
        "'numactl --cpunodebind=0', 'taskset -c 0-7', 'nsys profile'",
    )
    run.add_argument(
        "--network",
        type=values.given,
        metavar="NAME",
        help="the container's network: none (default), bridge, or another of `docker network ls`",
    )
    run.add_argument(
        "--seed",
        type=values.whole(0, LARGEST_SEED),
        default=0,
        metavar="N",
        help="of weights and data (default: 0)",
    )
    shared.options(run)
    custom = run.add_argument_group("-f custom: any program")
    custom.add_argument(
        "--command",
        dest="own_command",
        type=values.scripted,
        metavar="WORDS",
        help="what to run, quoted as for a shell (none is started); {batch} {model} {devices} "
        "{steps} {warmup} {dtype} {phase} {data} {source} stand for what is asked",
    )
    shared.reading(custom)
    run.add_argument(
        "--runs",
        type=values.positive,
        metavar="N",
        help="make N separate runs, each in its own container and folder, and sum them up: "
        "`compare` needs several to tell a difference (stops at the first that fails)",
    )
    run.add_argument(
        "--dry-run",
        action="store_true",
        help="print image, launcher script and container settings; start nothing",
    )
    run.add_argument(
        "--machine",
        type=values.path,
        metavar="FILE",
        help="with --dry-run: plan for another machine, which wrote FILE by "
        "`benchdock doctor --json`",
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
        "models", nargs="*", metavar="MODEL", help="of `benchdock models` (default: all)"
    )
    parity.add_argument(
        "-f",
        "--framework",
        type=values.given,
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
        help="P1 build, P2 forward, P3 step (default: all that a framework has)",
    )
    parity.add_argument(
        "--dtype",
        choices=PARITY_DTYPES,
        default="float32",
        metavar="DTYPE",
        help=f"one of {', '.join(PARITY_DTYPES)}, each with its own tolerance (default: float32)",
    )
    parity.add_argument(
        "--gpus",
        type=values.gpu_choice,
        default="none",
        metavar="none|0",
        help="the GPU to compare on (default: none, the CPU)",
    )
    parity.add_argument(
        "--image", type=values.given, metavar="REF", help="another image than ours, with one -f"
    )
    shared.options(parity)
    shared.runtime(parity)
    shared.json(parity)
    parity.set_defaults(handler="parity")


def _add_reproduce(commands: Any) -> None:
    reproduce = command(
        commands,
        "reproduce",
        "run what somebody published and tell whether it gives the same throughput here",
        "reproduce nvidia-dle-pytorch-20.06-resnet50_v1.5-v100-16gb-float16-training-x1 --dry-run",
        "reproduce claim.yaml --runs 5",
        status="0 reproduced, 4 not reproduced or not comparable, else that of the run",
    )
    reproduce.add_argument(
        "claim",
        type=values.path,
        metavar="CLAIM",
        help="an id that `benchdock published --model NAME` prints, or a YAML file",
    )
    reproduce.add_argument(
        "--runs",
        type=values.not_negative,
        default=3,
        metavar="N",
        help="how often (default and least: 3)",
    )
    reproduce.add_argument(
        "--data", type=values.recorded_path, metavar="DIR", help="dataset (default: synthetic data)"
    )
    reproduce.add_argument(
        "--source", type=values.recorded_path, metavar="DIR", help="folder of the vendor's program"
    )
    reproduce.add_argument(
        "--batch",
        type=values.positive,
        metavar="N",
        help="samples per device, if the claim does not state them",
    )
    reproduce.add_argument(
        "--image", type=values.given, metavar="REF", help="another image than the claim's"
    )
    shared.options(reproduce)
    reproduce.add_argument(
        "--steps", type=values.positive, metavar="N", help="timed steps of each run"
    )
    reproduce.add_argument(
        "--warmup", type=values.not_negative, metavar="N", help="untimed steps before"
    )
    shared.runtime(reproduce)
    reproduce.add_argument("--timeout", type=values.duration, metavar="S", help="end of each run")
    shared.trust(reproduce, "a YAML file")
    reproduce.add_argument(
        "--dry-run",
        action="store_true",
        help="show image, flags and the conditions that cannot be met here; start nothing",
    )
    shared.loudness(reproduce)
    shared.json(reproduce)
    reproduce.set_defaults(handler="reproduce")


def _add_replay(commands: Any) -> None:
    replay = command(
        commands,
        "replay",
        "run a stored result again, in the very image it was measured in",
        "replay 20260101T120000-pytorch-resnet50-0a1b2c",
        "replay run.zip --dry-run",
        status="that of the run; 2 if --trust is needed, 3 if it would be another benchmark",
    )
    replay.add_argument(
        "run", type=values.path, metavar="RUN", help="a run id or its begin, a folder, or a bundle"
    )
    replay.add_argument(
        "--allow-changed",
        action="store_true",
        help="run even if image, network, program or script are no longer the same",
    )
    shared.trust(replay, "a bundle, or a result from elsewhere,")
    replay.add_argument(
        "--dry-run",
        action="store_true",
        help="show image, folders, command and what must be trusted; start nothing",
    )
    shared.loudness(replay)
    shared.json(replay)
    replay.set_defaults(handler="replay")
