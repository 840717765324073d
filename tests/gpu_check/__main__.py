"""`make gpu-check PYTHON=PATH`: try everything that needs a GPU, and file a bundle.

Without an engine and without a network: PYTHON is an environment with PyTorch. Exit status 0 if
every step worked, 1 if one did not, 3 if something is missing. `--cpu` rehearses it on a CPU.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import subprocess
import sys
import time
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from orchestrator import paths
from orchestrator.paths import PROJECT
from orchestrator.student import quantile_95
from tests.gpu_check import needs
from tests.gpu_check.steps import KNOWN, LARGE_BATCH, PUBLISHED, Step, steps

BUDGET = 8 * 60.0
LEAST = 15.0  # seconds that a step must have left to be started


class Check:
    """The steps made so far."""

    def __init__(self, folder: Path, budget: float) -> None:
        self.folder = folder
        self.end = time.monotonic() + budget
        self.made: list[dict[str, Any]] = []

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self.end - time.monotonic()

    def do(
        self, name: str, argv: Sequence[str], seconds: float, reserve: float = 0
    ) -> dict[str, Any]:
        """Run a command; note its exit status, time, and the JSON that it printed."""
        if self.left < LEAST + reserve:
            self.made.append({"name": name, "status": "skipped"})
            print(f"skipped  {name}: no time left", flush=True)
            return self.made[-1]
        began = time.monotonic()
        try:
            done = subprocess.run(
                argv,
                cwd=PROJECT,
                capture_output=True,
                text=True,
                timeout=min(seconds, self.left),
                check=False,
            )
            status, out, err = done.returncode, done.stdout, done.stderr
        except subprocess.TimeoutExpired as error:
            status, out, err = 124, _text(error.stdout), _text(error.stderr)
        found = {
            "name": name,
            "status": status,
            "seconds": round(time.monotonic() - began, 1),
            "said": _json(out) if _json(out) is not None else out[-2000:],
            "errors": err[-2000:],
        }
        self.made.append(found)
        print(f"{'ok' if status == 0 else 'FAILED':8} {name}: {summary(found)}", flush=True)
        return found


def _text(said: str | bytes | None) -> str:
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else said or ""


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def summary(one: dict[str, Any]) -> str:
    """Return a step in a line."""
    said = one["said"]
    if one["status"] != 0 or not isinstance(said, dict):
        lines = str(one["errors"]).strip().splitlines() or [f"exit status {one['status']}"]
        return f"{one['seconds']} s, {lines[-1] if one['status'] else 'done'}"
    throughput = (said.get("metrics") or {}).get("throughput")
    parts = [f"{one['seconds']} s"]
    if throughput:
        parts.append(f"{throughput['value']:.1f} {throughput['unit']}")
        parts += [f"{said['verdict']['trust']}"] if said.get("verdict") else []
        share = (said.get("derived") or {}).get("share_of_ceiling")
        parts += [f"{share['value']:.1f} % of the ceiling"] if share else []
    for device in said.get("devices") or ():
        parts += [
            f"{c['what']} {c['dtype'] or ''} {c['median'] / 1e12:.3g} T{c['unit']}"
            for c in device["ceilings"]
        ]
    if "cells" in said:
        parts.append(f"{sum(c['holds'] for c in said['cells'])} of {len(said['cells'])} hold")
    return ", ".join(parts)


def judged(made: Sequence[dict[str, Any]]) -> list[str]:
    """Return what the figures say against published and known ones, and what the monitor costs."""
    found = []
    rates = {one["name"]: _rate(one) for one in made}
    for dtype, published in PUBLISHED:
        rate = rates.get(f"published {published:.0f} images/s, {dtype}")
        if rate:
            found.append(
                f"resnet50_v1.5 training, {dtype}, batch {LARGE_BATCH}: {rate:.0f} images/s, "
                f"{100 * rate / published:.0f} % of the published {published:.0f} of an H200"
            )
    for one in made:
        for device in (one.get("said") or {}).get("devices", ()) if one["name"] == "probe" else ():
            for c in device["ceilings"] if device["device"] != "cpu" else ():
                if c["what"] in KNOWN and (c["dtype"] or "bfloat16") == "bfloat16":
                    part = 100 * c["median"] / KNOWN[c["what"]]
                    found.append(f"probe, {c['what']}: {part:.0f} % of what an H200 is known for")
    return [*found, *pairs(rates)]


def pairs(rates: dict[str, float | None]) -> list[str]:
    """Return the paired difference with its 95 % interval."""
    logs = []
    for number in range(1, 100):
        with_, without = (rates.get(f"pair {number} {w} monitor") for w in ("with", "without"))
        if with_ and without:
            logs.append(math.log(with_ / without))
    if not logs:
        return []
    mean = sum(logs) / len(logs)
    text = f"throughput with / without monitor: {100 * (math.exp(mean) - 1):+.2f} %"
    if len(logs) > 1:
        deviation = math.sqrt(sum((x - mean) ** 2 for x in logs) / (len(logs) - 1))
        half = quantile_95(len(logs) - 1) * deviation / math.sqrt(len(logs))
        text += f", 95 % interval +- {100 * half:.2f} %"
    return [f"{text} ({len(logs)} pairs)"]


def _rate(one: dict[str, Any]) -> float | None:
    said = one.get("said")
    if one["status"] != 0 or not isinstance(said, dict):
        return None
    throughput = (said.get("metrics") or {}).get("throughput")
    return throughput["value"] if throughput else None


def command(step: Step) -> list[str]:
    """Return the words that run a step."""
    program = "orchestrator" if step.monitored else "tests.gpu_check.unmonitored"
    return [sys.executable, "-m", program, *step.words, "--json"]


def bundle(check: Check, document: dict[str, Any]) -> Path:
    """Write the report, and the folders of all runs, to one file."""
    path = check.folder / f"gpu-check-{platform.node()}-{datetime.now(UTC):%Y%m%dT%H%M%S}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("report.json", json.dumps(document, indent=1))
        for one in check.made:
            said = one.get("said")
            run = said.get("run") if isinstance(said, dict) else None
            for file in sorted((paths.runs() / run).glob("*")) if run else ():
                if file.is_file():
                    archive.write(file, f"runs/{run}/{file.name}")
        for file in sorted(paths.probes().rglob("*.json")):
            archive.write(file, f"probes/{file.relative_to(paths.probes())}")
    return path


def main() -> int:
    """Look for what is needed, do the steps, judge, file the bundle."""
    parser = argparse.ArgumentParser(prog="make gpu-check", description=__doc__)
    parser.add_argument("--python", default="", help="environment with PyTorch")
    parser.add_argument("--cpu", action="store_true", help="rehearse on a CPU")
    parser.add_argument("--output", type=Path, default=Path(os.environ.get("OUT") or "gpu-check"))
    parser.add_argument("--seconds", type=float, default=BUDGET)
    chosen = parser.parse_args()
    check = Check(chosen.output, chosen.seconds)
    chosen.output.mkdir(parents=True, exist_ok=True)
    wanted = [needs.of_driver(), *needs.of_python(chosen.python)]
    for one in wanted:
        print(f"{'ok' if one.there else 'missing':8} {one.name}: {one.detail}", flush=True)
    missing = [f"{one.name}: {one.detail}" for one in wanted if not one.there]
    check.do("doctor", [sys.executable, "-m", "orchestrator", "doctor", "--json"], 60)
    check.do("NVML", [sys.executable, "-m", "tests.gpu_check.nvml_calls"], 60)
    if chosen.cpu or not missing:
        for step in steps("cpu" if chosen.cpu else "gpu", chosen.python):
            check.do(step.name, command(step), step.seconds, step.reserve)
    said = judged(check.made)
    for line in said:
        print(line)
    document = {
        "schema": 1,
        "missing": missing,
        "judged": said,
        "steps": check.made,
    }
    print(f"bundle   {bundle(check, document)}")
    if missing and not chosen.cpu:
        print(f"nothing was run on a GPU: {'; '.join(missing)}")
        return 3
    expected = {"NVML"} if chosen.cpu else set()
    failed = {one["name"] for one in check.made if one["status"] not in (0, "skipped")}
    return 1 if failed - expected else 0


if __name__ == "__main__":
    sys.exit(main())
