"""Decides the requests of a suite: the only module of suites that knows how that is done."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from orchestrator.errors import BenchdockError, RequestError
from orchestrator.frameworks import catalogue
from orchestrator.images.image_table import ImageRow
from orchestrator.request import Device, Request
from orchestrator.run import fitting, places, planner
from orchestrator.suites.cells import Cell
from orchestrator.suites.decisions import Decided, Need
from orchestrator.units import parse_size

if TYPE_CHECKING:
    from orchestrator.machine.description import Machine
    from orchestrator.machine.gpu_facts import GpuReport
    from orchestrator.reproduction.setup import World


class MachineDecider:
    """Decides for this machine, or for one that is described."""

    def __init__(self, machine: Machine | None = None, *, folder: Path | None = None) -> None:
        self._machine = machine
        self._folder = folder or Path()
        self._needs: dict[str, Need] = {}

    @cached_property
    def _gpu(self) -> GpuReport:
        if self._machine is not None:
            return self._machine.gpu
        from orchestrator.machine import gpu

        return gpu.report()

    def decide(self, request: Request) -> Decided:
        """Return what would run; what is refused is not raised."""
        try:
            return self._decided(request)
        except BenchdockError as error:
            return Decided(refusal=error.what, hint=error.hint)

    def _decided(self, request: Request) -> Decided:
        elsewhere = self._machine is not None
        report = self._gpu if request.gpus != "none" else planner.gpu_report(request)
        target = fitting.devices(request, report)
        row = planner.resolve_chosen(request, target, report, elsewhere=elsewhere)
        engine: Any
        if self._machine is not None:
            engine, _ = places.connect_described(request, self._machine)
        else:
            engine, _ = places.connect(request)
        fitted = fitting.fit(
            request, row, target, report, on_host=engine is None, elsewhere=elsewhere
        ).accepted()
        if not elsewhere:
            places.check_image(request, fitted.row, fitted.target, engine)
        need = None
        if engine is not None:
            image, name = places._named_image(request, fitted.row, fitted.target)
            need = self._need(image, name, None if elsewhere else engine)
        return Decided(
            device=fitted.target.device,
            devices=fitted.target.count,
            need=need,
            warnings=(*fitted.first, *fitted.doubts),
        )

    def _need(self, image: ImageRow | None, name: str, engine: Any) -> Need:
        if name not in self._needs:
            found = engine.image(name) if engine is not None else None
            size = parse_size(image.size) if image is not None and image.size else None
            self._needs[name] = Need(
                reference=name, here=found is not None, size=found.size if found else size
            )
        return self._needs[name]

    def counts(self, framework: str, device: Device, steps: int | None, warmup: int | None) -> str:
        """Return why a framework refuses these numbers of steps, "" if it does not."""
        row = catalogue.framework(framework)
        request = Request(model="any", framework=framework, steps=steps, warmup=warmup)
        try:
            catalogue.check_counts(row, request, device)
        except RequestError as error:
            return str(error)
        return ""

    def claimed(self, cell: Cell) -> tuple[Request | None, Decided]:
        """Return what would run for a published claim."""
        from orchestrator.published import collection
        from orchestrator.reproduction import preparation
        from orchestrator.reproduction.setup import Wishes

        assert cell.claim is not None
        try:
            claim = collection.claim(cell.claim)
            setup = preparation.prepare(claim, self._world, Wishes(**self._wishes(cell)))
        except BenchdockError as error:
            return None, Decided(refusal=error.what, hint=error.hint)
        if setup.why_not or setup.planned is None:
            return setup.planned, Decided(refusal=setup.why_not)
        decided = self.decide(setup.planned)
        unmet = tuple(f"not met: {one.name}: {one.consequence}" for one in setup.unmet)
        return setup.planned, Decided(**{**vars(decided), "warnings": (*decided.warnings, *unmet)})

    def _wishes(self, cell: Cell) -> dict[str, Any]:
        told = dict(cell.settings)
        for key in ("data", "source"):
            if key in told:
                told[key] = self._folder / Path(told[key]).expanduser()
        return told

    @cached_property
    def _world(self) -> World:
        from orchestrator.machine import inventory
        from orchestrator.reproduction import preparation
        from orchestrator.reproduction.setup import Wishes, World

        if self._machine is None:
            return preparation.look(Wishes())
        engine = self._machine.engine
        no_engine = "" if engine else self._machine.no_engine or "it has no container engine"
        cpu = self._machine.cpu.model or cast(str, inventory.cpu()["model"])
        return World(gpus=self._gpu, cpu=cpu, no_engine=no_engine)
