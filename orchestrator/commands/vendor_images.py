"""`benchdock images --all`: what is known about vendors' images, and which can run here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from orchestrator.machine import gpu
from orchestrator.machine.gpu_facts import GpuReport
from orchestrator.ui.tables import print_table
from orchestrator.vendor_images import vendor_table
from orchestrator.vendor_images.overview import overview, span

_FACTS = ("CUDA", "driver from", "GPUs")


def show(*, as_json: bool) -> None:
    """Print all vendors' images."""
    report = gpu.report()
    found = overview(vendor_table.shipped(), report)
    if as_json:
        machine = {"driver": report.driver, "gpus": [asdict(one) for one in report.gpus]}
        print(json.dumps({"schema": 1, "machine": machine, **found}, indent=2))
        return
    here = ("here",) if report.gpus else ()
    print("vendors' images by month (used if no release note is known)")
    print_table(
        ("month", *_FACTS, *here),
        [(_range(row), *_facts(row), *_here(row, here)) for row in found["months"]],
    )
    print("\nimages with a release note or a log")
    print_table(
        ("image", "version", "proven with", *_FACTS, "Python", *here),
        [
            (
                row["image"].removeprefix("nvcr.io/nvidia/"),
                row["framework_version"] or "-",
                _proven(row),
                *_facts(row),
                row["python"] or "-",
                *_here(row, here),
            )
            for row in found["releases"]
        ],
    )
    print("\nfamilies")
    print_table(
        ("repository", "tags", "ended"),
        [(row["repository"], _tags(row), row["end_of_life"] or "-") for row in found["families"]],
    )
    print("\nbenchmark programs in the images")
    print_table(
        ("repository", "months", "path", "what"),
        [
            (row["repository"], _months(program), program["path"], program["what"])
            for row in found["families"]
            for program in row["programs"]
        ],
    )
    print(f"\n{_legend(report)}")


def _facts(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return row["cuda"] or "-", row["driver"] or "-", span(row["compute_capabilities"]) or "-"


def _proven(row: Mapping[str, Any]) -> str:
    if row["proven_with"] is None:
        return "-"
    return ", ".join(row["proven_with"]) or ("no" if row["framework_version"] else "unknown")


def _here(row: Mapping[str, Any], titles: tuple[str, ...]) -> tuple[str, ...]:
    return (row["here"] or "-",) if titles else ()


def _range(row: Mapping[str, str]) -> str:
    return f"{row['first']} to {row['last']}" if row["last"] else f"{row['first']} on"


def _months(program: Mapping[str, str]) -> str:
    first, last = program["from"], program["to"]
    if first == last:
        return first or "all"
    return " ".join(word for word in (first and f"from {first}", last and f"up to {last}") if word)


def _tags(row: Mapping[str, Any]) -> str:
    endings = " ".join(f"-{suffix['name']}" for suffix in row["tags"])
    tags = row["first"] if row["first"] == row["last"] else _range(row)
    return f"{tags} ({endings})" if endings else tags


def _legend(report: GpuReport) -> str:
    text = (
        "proven with: the release of the same minor number that our backend was run with on a CPU "
        "(docs/releases.md); a run takes no image by itself if it says no\n"
        "GPUs: the compute capabilities that the image has binaries for"
    )
    if not report.gpus:
        return f"{text}. Whether it runs here is unknown: {report.reason}"
    names = ", ".join(dict.fromkeys(one.name for one in report.gpus))
    return f"{text}; here: on {names}, driver {report.driver or 'unknown'}; --json has the reasons"
