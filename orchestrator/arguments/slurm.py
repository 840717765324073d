"""Options of suites on a Slurm cluster."""

from __future__ import annotations

from argparse import ArgumentParser

from orchestrator.arguments import values
from orchestrator.arguments.parser import Collect


def add(parser: ArgumentParser) -> None:
    """Add --on, and what it is used with."""
    group = parser.add_argument_group("on a cluster (docs/slurm.md)")
    group.add_argument(
        "--on",
        choices=("slurm",),
        metavar="CLUSTER",
        help="slurm: make the runs as array jobs; BENCHDOCK_HOME must be on all nodes",
    )
    group.add_argument(
        "--site",
        type=values.path,
        metavar="FILE",
        help="settings of this site (default: slurm.toml in BENCHDOCK_HOME, if there is one)",
    )
    group.add_argument(
        "--nodes",
        type=values.scripted,
        metavar="LIST",
        help="use only these nodes, such as n1,n2 or n[1-4]",
    )
    for name, what in (
        ("partition", "the partition (default: the cluster's)"),
        ("account", "the account that the runs are charged to"),
        ("constraint", "features that a node must have"),
    ):
        group.add_argument(f"--{name}", type=values.scripted, metavar="NAME", help=what)
    group.add_argument(
        "--sbatch",
        type=values.option,
        action=Collect,
        default={},
        metavar="KEY=VALUE",
        help="another option of sbatch, such as qos=low; repeatable",
    )
