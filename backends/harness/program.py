"""The program of a backend's ``__main__``: arguments in, events and an exit status out."""

import os
import sys

from backends import options, zoo
from backends.harness import (
    VERSION,
    arguments,
    data,
    errors,
    events,
    loop,
    own_network,
    parity,
    ranks,
)
from backends.zoo import weights

TYPE_CHECKING = False  # mypy takes it for true; typing has it since Python 3.5.2 only
if TYPE_CHECKING:
    from collections.abc import Sequence

    from backends.harness.contract import Backend


def main(backend: "Backend", argv: "Sequence[str]", emit=None) -> int:
    """Run one command; return the exit status: 0 done, 1 failed or parity does not hold."""
    emit = events.Emitter() if emit is None else emit
    commands = {"self-check": self_check, "parity": check_parity, "read": read}
    try:
        command = commands.get(argv[0]) if argv else None
        return command(backend, argv[1:], emit) if command else benchmark(backend, argv, emit)
    except Exception as error:  # the only exit: the host gets every error
        kind, message = errors.describe(error, backend.classify)
        emit("error", kind=kind, message=message)
        return 1


def leave(status):
    """End the process at once, after writing everything.

    Old frameworks crash while the interpreter shuts down (PyTorch 1.7.1 exits with 139 after any
    backward pass), which would turn a good run into a failure.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    if status == 0:
        ranks.wait_for_all()
    os._exit(status)


def draw(name):
    """The model's graph; an unknown name is unsupported here."""
    try:
        return zoo.draw(name)
    except zoo.UnknownModel as error:
        raise errors.Unsupported(str(error)) from error


def benchmark(backend, argv, emit):
    """Prepare, announce, measure, report."""
    declared = tuple(backend.OPTIONS) + options.feeding(backend.FRAMEWORK)
    settings = arguments.parse(argv, "backends." + backend.FRAMEWORK, declared)
    graph = (
        draw(settings.model)
        if settings.model_file is None
        else own_network.opened(settings, backend)
    )
    backend.version()
    job = prepared(backend, settings, graph)
    job.only_reads = settings.measure == "input"
    try:
        report = emit if job.leader else events.mute
        announce(report, backend, settings, graph, job)
        if job.reads():
            report("data", **job.reads())
        window = loop.measure(job, settings, report)
        peak, loss = outcome(job)
        report(
            "end",
            samples=window.samples,
            seconds=window.seconds,
            peak_memory=peak,
            loss=loss,
        )
    finally:
        job.close()
    return 0


def outcome(job):
    """Peak memory of the fullest process and the mean loss of all; None for what is unknown."""
    peak, loss = job.peak_memory(), None if job.only_reads else job.loss()
    told = job.share([number or 0.0 for number in (peak, loss)])
    if peak is not None:
        peak = int(max(of_rank[0] for of_rank in told))
    if loss is not None:
        loss = sum(of_rank[1] for of_rank in told) / len(told)
    return peak, loss


def prepared(backend, settings, graph):
    """The job to be timed, with weights from the settings' seed unless they come from a file."""
    if settings.model_file is not None:
        return backend.prepare_file(settings, graph)
    return backend.prepare(settings, graph, weights.for_graph(graph, settings.seed))


def announce(report, backend, settings, graph, job):
    """Report everything that is needed to repeat the run."""
    report(
        "begin",
        program="benchdock",
        version=VERSION,
        framework=backend.FRAMEWORK,
        framework_version=backend.version(),
        model=graph.name,
        fingerprint=graph.fingerprint,
        phase=settings.phase,
        dtype=settings.dtype,
        batch=settings.batch,
        device=settings.device,
        devices=settings.devices,
        device_names=job.device_names,
        rank_cpus=ranks.cpus_of_ranks() or None,
        parameters=graph.published,
        learnable=graph.learnable,
        threads=job.threads,
        seed=settings.seed,
        data="synthetic" if settings.data is None else "real",
        measure=None if settings.data is None else settings.measure,
        options=job.options,
        steps=settings.steps,
        warmup=settings.warmup,
        warmup_seconds=settings.warmup_seconds,
        timing=job.timing,
        doubts=list(job.doubts) + ranks.doubts(),
    )


def self_check(backend, argv, _emit):
    """Last step of an image's build: an image that cannot build the models must not exist."""
    if argv:
        raise errors.Unsupported("self-check takes no arguments")
    print("%s %s: %s" % (backend.FRAMEWORK, backend.version(), backend.self_check()))
    return 0


def check_parity(backend, argv, emit):
    """Check every model at every requested level, and report each."""
    program = "backends." + backend.FRAMEWORK
    asked = arguments.parse_parity(
        argv, program, backend.OPTIONS, sorted(parity.LEVELS), list(parity.TOLERANCES)
    )
    if asked.devices > 1 and len(asked.models) > 1:
        # Ranks that meet twice at the same port may find what is left of the first time.
        raise errors.Unsupported("several ranks compare one model; start them again for the next")
    backend.version()
    holds = True
    for name in asked.models:
        graph = draw(name)
        for level in asked.levels:
            verdict = parity.check(level, backend, graph, asked)
            if verdict is None:
                continue
            emit(
                "parity",
                level=level,
                model=name,
                framework=backend.FRAMEWORK,
                dtype=asked.dtype,
                device=asked.device,
                fingerprint=graph.fingerprint,
                holds=verdict.holds,
                deviation=verdict.deviation,
                tolerance=verdict.tolerance,
                detail=verdict.detail,
            )
            holds = holds and verdict.holds
    return 0 if holds else 1


def read(backend, argv, emit):
    """Read the first images of a dataset and report them, without any network."""
    settings = arguments.parse_reading(argv, "backends." + backend.FRAMEWORK)
    backend.version()
    reader = getattr(backend, "READER", None)
    source = data.source(settings, draw(settings.model), reader=reader)
    if source.facts is None:
        raise errors.DataProblem("%s does not read images from it" % backend.FRAMEWORK)
    emit("read", framework=backend.FRAMEWORK, **source.facts)
    source.close()
    return 0
