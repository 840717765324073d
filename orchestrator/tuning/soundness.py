"""Whether the fastest settings still compute the same: the comparison with the referee."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.errors import Interrupted, RequestError
from orchestrator.parity import comparisons, proof
from orchestrator.parity.comparisons import Setting, WantedParity
from orchestrator.request import Phase
from orchestrator.tuned import Tuned
from orchestrator.units import counted
from orchestrator.view import View

# What is compared: an option of one phase means nothing in the other one.
_LEVELS: dict[Phase, tuple[str, ...]] = {"inference": ("P1", "P2"), "training": ("P1", "P3")}


@dataclass(frozen=True)
class Soundness:
    """Whether all comparisons hold, None if none could be made; `text` says it for people."""

    holds: bool | None
    text: str


def of(found: Tuned, view: View) -> Soundness:
    """Compare the network with the referee, computed with these options.

    Raises what `proof.prove` raises, and Interrupted after a signal.
    """
    asked = found.asked
    if asked.model_file is not None:
        return Soundness(None, "the referee does not know your network")
    setting = Setting(
        dtype=asked.dtype,
        gpus="none" if found.device == "cpu" else (0,),
        runtime=asked.runtime,
        image=asked.image,
        options=found.options,
        python=asked.python,
    )
    wanted = WantedParity(
        frameworks=(asked.framework,),
        models=(asked.model,),
        levels=_LEVELS[asked.phase],
        setting=setting,
    )
    try:
        (work,) = comparisons.choose(wanted)
    except RequestError as error:
        return Soundness(None, error.what)
    proven = proof.prove(work, setting, view)
    if proven.signal_number is not None:
        raise Interrupted(proven.signal_number)
    wrong = [cell for cell in proven.cells if not cell.holds]
    if wrong:
        return Soundness(False, "; ".join(f"{cell.level} {cell.detail}" for cell in wrong))
    return Soundness(True, f"{counted(len(proven.cells), 'comparison')} with the referee hold")
