"""How the result of a replay will differ from the stored one, as far as that is known before it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orchestrator.machine.facts import MachineFacts
from orchestrator.plan import Plan
from orchestrator.result import Environment, Result
from orchestrator.results.differences import Change, differences
from orchestrator.run.decision import Decision
from orchestrator.run.place import Place
from orchestrator.version import VERSION

# Changes that make it another benchmark, not the same one on another day or machine.
_IDENTITY = ("network", "work", "program", "image")
_CODE = ("benchdock", "benchdock commit")


def changes(before: Result, decision: Decision, plan: Plan, place: Place) -> Sequence[Change]:
    """Return what will differ from a stored result."""
    return differences(before, _expected(before, decision, plan, place))


def of_benchmark(found: Sequence[Change], decision: Decision, place: Place) -> Iterator[str]:
    """Yield the changes, in words, that make it another benchmark."""
    return (_said(change) for change in found if _matters(change, _identity(decision, place)))


def of_machine(found: Sequence[Change], decision: Decision, place: Place) -> Iterator[str]:
    """Yield the other changes, in words."""
    identity = _identity(decision, place)
    return (_said(c) for c in found if not c.follows and not _matters(c, identity))


def _expected(before: Result, decision: Decision, plan: Plan, place: Place) -> Result:
    """Return what is known about the new result in advance."""
    request = decision.request
    inside = place.runtime != "host" and not place.mount_code and request.model_file is None
    same = before.plan is not None and before.plan.fingerprint == plan.fingerprint
    if (
        before.plan is not None
        and plan.image_digest
        and plan.image_digest == before.plan.image_digest
    ):
        # Engines with another image store give the same content another id.
        plan = plan.model_copy(update={"image_id": before.plan.image_id})
    return Result(
        benchdock=VERSION,
        status="planned",
        request=request,
        plan=plan,
        # An image with our code in it contains the networks of its time; if our definition is
        # unchanged, the program will build the same.
        fingerprint=before.fingerprint if inside or same else plan.fingerprint,
        environment=Environment.of(MachineFacts.of_this_machine(decision.gpu)),
    )


def _identity(decision: Decision, place: Place) -> tuple[str, ...]:
    """Return the changes, besides those of `_IDENTITY`, that make it a different benchmark.

    On the host, or mounted into a vendor's image, the benchmark programs are those of this
    checkout, if we have one for the framework.
    """
    ours = bool(decision.framework.backend) and (place.runtime == "host" or place.mount_code)
    return ("launcher script", *(_CODE if ours else ()))


def _matters(change: Change, names: tuple[str, ...]) -> bool:
    return change.group in _IDENTITY or change.name in names


def _said(change: Change) -> str:
    return f"{change.name} was {change.before}, is {change.after}"
