"""Renders the command that starts a plan in a container."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from orchestrator.errors import MachineError
from orchestrator.plan import NO_NETWORK, Mount, Plan
from orchestrator.runtimes.by_command import references
from orchestrator.runtimes.by_command.platforms import ContainerProgram

_CDI = "nvidia.com/gpu="
_FIRST_CDI = (4, 1)
# What separates the parts of a mount: in options read as CSV, and in enroot's fstab.
_MARKS = {"podman": ',"\n', "apptainer": ',"\n', "srun": ",: \t\n"}


@dataclass(frozen=True, kw_only=True)
class Rendered:
    """A command, and variables that its client needs beside its own."""

    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


def rendered(
    plan: Plan, program: ContainerProgram, *, name: str = "NAME", labels: Mapping[str, str] = {}
) -> Rendered:
    """Return the command for a plan. Raises MachineError for what the platform cannot express.

    `name` and `labels` are of the container, on a platform that has such.
    """
    _check_paths(plan, program)
    match program.platform.name:
        case "podman":
            return _podman(plan, program, name, labels)
        case "apptainer":
            return _apptainer(plan, program)
        case _:
            return _srun(plan, program)


def _check_paths(plan: Plan, program: ContainerProgram) -> None:
    """Refuse what would be read as the next part of a mount."""
    for mount in plan.mounts:
        found = [mark for mark in _MARKS[program.platform.name] if mark in str(mount.source)]
        if found:
            raise MachineError(
                f"{program.platform.title} cannot mount {mount.source}: {found[0]!r} separates the "
                "parts of a mount",
                hint="rename the file or folder",
            )


def _podman(
    plan: Plan, program: ContainerProgram, name: str, labels: Mapping[str, str]
) -> Rendered:
    words = [program.path or "podman", "run", "--name", name]
    words += [word for key, text in labels.items() for word in ("--label", f"{key}={text}")]
    words += ["--pull=never", "--log-driver=none", "--http-proxy=false"]
    words += ["--init"] if program.can_init else []
    words += [f"--network={plan.network}"]
    if plan.network == NO_NETWORK:
        # Gloo looks the container's own name up, which nothing resolves without a network.
        words += ["--hostname=localhost"]
    words += ["--cap-drop=all", *(f"--cap-add={one}" for one in plan.capabilities)]
    words += ["--security-opt=no-new-privileges"]
    # Files are not relabelled: a dataset belongs to its owner.
    words += ["--security-opt=label=disable"] if program.selinux else []
    words += [f"--user={_podman_user(plan.user, program)}"] if plan.user else []
    words += _podman_limits(plan)
    for mount in plan.mounts:
        read_only = ",ro" if mount.read_only else ""
        words += ["--mount", f"type=bind,src={mount.source},dst={mount.target}{read_only}"]
    words += _podman_devices(plan, program)
    for key, text in plan.environment.items():
        words += ["--env", f"{key}={text}"]
    image = plan.image_id.removeprefix("sha256:") if plan.image_id else _image(plan)
    return Rendered(argv=(*words, image, *plan.argv))


def _podman_user(user: str, program: ContainerProgram) -> str:
    """Return the ids in the container that are the caller's on the host, as for Docker."""
    mine = f"{os.getuid()}:{os.getgid()}"
    return "0:0" if program.rootless and user == mine else user


def _podman_limits(plan: Plan) -> Iterator[str]:
    limits = plan.limits
    if "pids" not in plan.lacks:
        # Its own limit of 2048 includes threads; Docker has none.
        yield f"--pids-limit={limits.pids or -1}"
    if limits.memory is not None and "memory" not in plan.lacks:
        yield f"--memory={limits.memory}b"
        yield f"--memory-swap={limits.memory}b"
    if limits.shm_size is not None:
        yield f"--shm-size={limits.shm_size}b"
    yield from (f"--ulimit={one.name}={one.soft}:{one.hard}" for one in limits.ulimits)


def _podman_devices(plan: Plan, program: ContainerProgram) -> Iterator[str]:
    if not plan.gpus:
        # NVIDIA's images ask for all GPUs by a variable, which a hook may grant.
        yield from ("--env", "NVIDIA_VISIBLE_DEVICES=void")
        return
    numbers = tuple(int(word) for word in program.version.split(".")[:2] if word.isdecimal())
    if program.version and numbers < _FIRST_CDI:  # it would silently give none
        raise MachineError(
            f"podman {program.version} cannot give containers GPUs by name (CDI)",
            hint="update it to 4.1 or later, or use --runtime host",
        )
    yield from (f"--device={_CDI}{gpu}" for gpu in plan.gpus)


def _apptainer(plan: Plan, program: ContainerProgram) -> Rendered:
    path = program.path or "apptainer"
    words = [path, "exec", "--cleanenv", "--no-home", "--no-mount", "home,cwd", "--pid"]
    words += ["--nv"] if plan.gpus else []
    words += ["--pwd", "/"]
    for mount in plan.mounts:
        read_only = ",ro" if mount.read_only else ""
        source = f"type=bind,source={mount.source},destination={mount.target}{read_only}"
        words += ["--mount", source]
    # By variables: its option --env splits values at commas.
    before = "SINGULARITYENV_" if os.path.basename(path) == "singularity" else "APPTAINERENV_"
    inside = {**_visible(plan), **plan.environment}
    return Rendered(
        argv=(*words, _image(plan), *plan.argv),
        environment={f"{before}{key}": text for key, text in inside.items()},
    )


def _srun(plan: Plan, program: ContainerProgram) -> Rendered:
    words = [program.path or "srun"]
    # One task with all CPUs of the allocation, beside the step in which benchdock may run. From
    # Slurm 22.05 on a step does not get the job's number of CPUs per task by itself.
    words += ["--nodes=1", "--ntasks=1", "--overlap", "--cpu-bind=none", "--mpi=none"]
    words += [f"--nodelist={program.node}"] if program.node else []
    words += [f"--cpus-per-task={program.cpus}"] if program.cpus else []
    words += ["--export=ALL", "--no-container-mount-home"]
    words += [f"--container-image={_image(plan)}"]
    words += [f"--container-mounts={','.join(map(_pyxis_mount, plan.mounts))}"]
    # Slurm sets CUDA_VISIBLE_DEVICES to indices, which mean other GPUs where not all are visible;
    # and Open MPI starts its processes by srun if it finds a job.
    inside = ["env", "-u", "SLURM_JOB_ID", "-u", "SLURM_JOBID"]
    inside += [f"{key}={text}" for key, text in _visible(plan).items()]
    return Rendered(argv=(*words, *inside, *plan.argv), environment=_visible(plan))


def _visible(plan: Plan) -> dict[str, str]:
    """Return the variables by which these platforms choose GPUs; none are visible to a CPU run."""
    gpus = ",".join(plan.gpus)
    return {"NVIDIA_VISIBLE_DEVICES": gpus or "void", "CUDA_VISIBLE_DEVICES": gpus}


def _pyxis_mount(mount: Mount) -> str:
    return f"{mount.source}:{mount.target}{':ro' if mount.read_only else ''}"


def _image(plan: Plan) -> str:
    if plan.image is None:
        raise ValueError(f"a plan for {plan.runtime} needs an image")
    return references.written(plan.image, plan.runtime)
