"""Arguments of `benchdock nightly install`, `remove` and `pull`."""

from __future__ import annotations

from typing import Any

from orchestrator.arguments import nightly_run, values
from orchestrator.arguments.parser import command


def add(subcommands: Any) -> None:
    """Add the parsers of the subcommands."""
    install = command(
        subcommands,
        "install",
        "run a suite every night, by systemd where it runs, else by cron",
        "nightly install nightly.yaml",
        "nightly install nightly.yaml --at 00:30 --webhook-file ~/.benchdock-webhook",
        "nightly install nightly.yaml --prometheus /var/lib/node_exporter/benchdock.prom",
    )
    nightly_run.add_suite(install)
    install.add_argument(
        "--at", default="01:30", metavar="TIME", help="local time of the start (default: 01:30)"
    )
    kinds = install.add_mutually_exclusive_group()
    kinds.add_argument("--cron", action="store_true", help="use the crontab of this user")
    kinds.add_argument("--systemd", action="store_true", help="use a timer of systemd")
    install.add_argument(
        "--no-pull",
        action="store_true",
        help="do not get missing images three hours before the night",
    )
    nightly_run.add_options(install)
    install.set_defaults(handler="nightly_install")
    remove = command(
        subcommands,
        "remove",
        "do not run a suite every night any more; what was measured stays",
        "nightly remove nightly",
    )
    remove.add_argument("suite", type=values.given, metavar="SUITE", help="the name of a suite")
    remove.set_defaults(handler="nightly_remove")
    pull = command(
        subcommands,
        "pull",
        "get the images of the next night; prints nothing if all is well",
        "nightly pull nightly.yaml",
    )
    nightly_run.add_suite(pull)
    nightly_run.add_environment(pull)
    pull.set_defaults(handler="nightly_pull")
