"""`benchdock frameworks`: which frameworks there are and what they support."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from typing import Any

from orchestrator.errors import ExitStatus
from orchestrator.frameworks import catalogue
from orchestrator.frameworks.catalogue import FRAMEWORKS
from orchestrator.frameworks.record import FLAG, OF_BENCHDOCK, Framework, Option, VendorProgram
from orchestrator.ui.tables import print_table


def describe(framework: Framework) -> dict[str, Any]:
    """Return one framework as plain values; number types are keyed "device phase"."""
    vendor = framework.vendor or VendorProgram()
    return {
        "name": framework.name,
        "title": framework.title,
        "aliases": list(framework.aliases),
        "program": framework.program,
        "ours": framework.ours,
        "images": dict(framework.images),
        "dtypes": {f"{device} {phase}": list(d) for (device, phase), d in framework.dtypes.items()},
        "gaps": dict(framework.gaps),
        "networks": dict(framework.networks) if framework.networks is not None else None,
        "unfit": [
            {
                "networks": list(unfit.networks),
                "phases": list(unfit.phases),
                "dtypes": list(unfit.dtypes),
                "files": unfit.files,
                "why": unfit.why,
            }
            for unfit in framework.unfit
        ],
        "differs": dict(vendor.differs),
        "source": vendor.source_help or None,
        "options": {
            name: {"meaning": o.meaning, "default": o.default, "values": list(o.values)}
            for name, o in framework.options.items()
        },
        "remark": vendor.remark or None,
        "refuses": dict(vendor.refuses),
        "ignores": dict(vendor.ignores),
    }


def execute(arguments: argparse.Namespace) -> ExitStatus:
    """Print the table or, with --json, the document."""
    chosen = [catalogue.framework(arguments.name)] if arguments.name else FRAMEWORKS.values()
    rows = [describe(framework) for framework in chosen]
    if arguments.json:
        print(json.dumps({"schema": 1, "frameworks": rows}, indent=2))
        return ExitStatus.OK
    print_table(
        ("framework", "device", "phase", "dtypes", "image"),
        [
            (framework.name, device, phase, " ".join(dtypes), framework.images.get(device, "-"))
            for framework in chosen
            for (device, phase), dtypes in framework.dtypes.items()
        ],
    )
    gaps = [
        (framework.name, model, why)
        for framework in chosen
        for model, why in framework.gaps.items()
    ]
    if gaps:
        print("\nmodels that a framework does not support:")
        print_table(("framework", "model", "why"), gaps)
    if arguments.name:
        _show_more(next(iter(chosen)))
    return ExitStatus.OK


def _variants(framework: Framework) -> Iterator[tuple[str, Framework]]:
    """Yield the framework as each fork or release has it, and a label."""
    for value, variant in framework.variants.items():
        yield f"{framework.variant_option}={value}: ", variant


def _show_options(title: str, options: Mapping[str, Option]) -> None:
    if options:
        print(f"\n{title}:")
        print_table(
            ("name", "default", "values", "meaning"),
            [
                (name, o.default or "-", " ".join(o.values) or "any", o.meaning)
                for name, o in options.items()
            ],
        )


def _show_more(framework: Framework) -> None:
    """Print the details of one framework: its networks, folder and options."""
    if framework.networks is not None:
        print(
            f"\nnetworks with their own definition in the program: {' '.join(framework.networks)}"
        )
    for which, one in (("", framework), *_variants(framework)):
        for unfit in one.unfit:
            limits = " ".join((*unfit.phases, *unfit.dtypes)) or "all"
            networks = " ".join(unfit.networks) or (
                "networks in your own files" if unfit.files else "any network"
            )
            print(f"\n{which}not supported in {limits}: {networks}: {unfit.why}")
    vendor = framework.vendor or VendorProgram()
    if vendor.differs:
        print(
            "\nnetworks that differ from benchdock's network of the same name, or need something:"
        )
        print_table(("network", "it"), list(vendor.differs.items()))
    if vendor.source_help:
        print(f"\n--source: {vendor.source_help}")
    for title, reasons in (("refused", vendor.refuses), ("ignored", vendor.ignores)):
        for field, why in reasons.items():
            print(f"\n--{field.replace('_', '-')} is {title}: {why}")
    if vendor.remark:
        print(f"\nnote: {vendor.remark}")
    _show_options("options (--option NAME=VALUE)", framework.options)
    for which, one in _variants(framework):
        own = {name: o for name, o in one.options.items() if name not in framework.options}
        _show_options(f"{which}more options", own)
    if "data" not in vendor.refuses:
        _show_options("options with --data", OF_BENCHDOCK)
    if vendor.flags:
        print(f"\n--option {FLAG}NAME=VALUE passes --NAME=VALUE to the program")
