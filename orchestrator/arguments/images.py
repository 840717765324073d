"""Arguments of `benchdock images`."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from orchestrator.arguments import shared, values
from orchestrator.arguments.parser import command


def add(commands: Any) -> None:
    """Add the parser of the command."""
    images = command(
        commands,
        "images",
        "list, fetch, build, pull, export and prune the images",
        "images",
        "images --all",
        "images fetch pytorch-cpu",
        "images fetch pytorch-cpu --from /media/usb/wheels",
        "images build pytorch-cpu",
        "images pull ngc-pytorch-24-06",
        "images pull nightly.yaml",
        "images bootstrap",
        "images bootstrap python:3.6-slim",
        "images export pytorch-cpu --format oci pytorch-cpu.tar",
        "images prune --dry-run",
    )
    images.add_argument(
        "action",
        nargs="?",
        choices=("list", "fetch", "build", "pull", "pin", "bootstrap", "export", "prune"),
        default="list",
        metavar="ACTION",
        help="list (default): show the images; fetch: download wheels into the wheelhouse; build: "
        "build images; pull: pull vendors' images, any image by reference, or what a suite file "
        "needs (built here if no registry has it); pin: look up the "
        "digests of vendors' images and write dockerfiles/digests.toml; bootstrap: build the base "
        "images from Debian packages, without a registry (those of old Pythons also from an "
        "interpreter of this machine); export: write IMAGE to a FILE for programs without an "
        "engine; prune: remove images of benchdock that "
        "nothing needs any more",
    )
    images.add_argument(
        "names",
        nargs="*",
        metavar="IMAGE",
        help="for export one image and its file (default: IMAGE.tar or IMAGE.sqsh in this folder); "
        "default: all CPU images for fetch and build, all vendors' images for pin, the bases "
        "of our images for bootstrap, all images of benchdock for prune",
    )
    _add_options(images)
    shared.json(images)
    images.set_defaults(handler="images")


def _add_options(images: ArgumentParser) -> None:
    images.add_argument(
        "--from",
        dest="source",
        type=values.path,
        metavar="DIR",
        help="with fetch: take the wheels from this folder",
    )
    images.add_argument(
        "--force", action="store_true", help="build or bootstrap even if the image is up to date"
    )
    images.add_argument(
        "--all",
        action="store_true",
        help="with list: show everything known about every vendor's images",
    )
    images.add_argument(
        "--keep",
        type=values.not_negative,
        metavar="N",
        help="with prune: keep the newest N builds of each image (default: 2)",
    )
    images.add_argument(
        "--ignore-results",
        action="store_true",
        help="with prune: also remove images that stored results need for a replay",
    )
    images.add_argument(
        "--dry-run", action="store_true", help="with prune: only show what would be removed"
    )
    images.add_argument(
        "--format",
        choices=("oci", "sqsh"),
        metavar="FORMAT",
        help="with export: oci (an archive for podman, Apptainer and skopeo), or sqsh (for pyxis; "
        "needs enroot)",
    )
