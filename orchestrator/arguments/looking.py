"""Arguments of the commands that only show something, and of `images`."""

from __future__ import annotations

from typing import Any

from orchestrator.arguments import shared, values
from orchestrator.arguments.parser import command


def add(commands: Any) -> None:
    """Add the parsers of these commands."""
    _add_models(commands)
    _add_frameworks(commands)
    _add_images(commands)
    _add_doctor(commands)
    _add_published(commands)
    _add_completion(commands)


def _add_models(commands: Any) -> None:
    models = command(commands, "models", "list the networks", "models", "models --json")
    how = models.add_mutually_exclusive_group()
    shared.json(how)
    how.add_argument("--markdown", action="store_true", help="print the page docs/models.md")
    models.set_defaults(handler="models")


def _add_frameworks(commands: Any) -> None:
    parser = command(
        commands,
        "frameworks",
        "list the frameworks and what each one supports",
        "frameworks",
        "frameworks tf_cnn_benchmarks",
        "frameworks --json",
    )
    parser.add_argument(
        "name",
        nargs="?",
        type=values.given,
        metavar="NAME",
        help="show one framework: networks, options, requirements",
    )
    shared.json(parser)
    parser.set_defaults(handler="frameworks")


def _add_images(commands: Any) -> None:
    images = command(
        commands,
        "images",
        "list, fetch, build, pull and prune the images",
        "images",
        "images --all",
        "images fetch pytorch-cpu",
        "images fetch pytorch-cpu --from /media/usb/wheels",
        "images build pytorch-cpu",
        "images pull ngc-pytorch-24-06",
        "images bootstrap",
        "images bootstrap python:3.6-slim",
        "images prune --dry-run",
    )
    images.add_argument(
        "action",
        nargs="?",
        choices=("list", "fetch", "build", "pull", "pin", "bootstrap", "prune"),
        default="list",
        metavar="ACTION",
        help="list (default): show the images; fetch: download wheels into the wheelhouse; build: "
        "build images; pull: pull vendors' images, or any image by reference; pin: look up the "
        "digests of vendors' images and write dockerfiles/digests.toml; bootstrap: build the base "
        "images from Debian packages, without a registry (those of old Pythons also from an "
        "interpreter of this machine); prune: remove images of benchdock that "
        "nothing needs any more",
    )
    images.add_argument(
        "names",
        nargs="*",
        metavar="IMAGE",
        help="default: all CPU images for fetch and build, all vendors' images for pin, the bases "
        "of our images for bootstrap, all images of benchdock for prune",
    )
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
    shared.json(images)
    images.set_defaults(handler="images")


def _add_doctor(commands: Any) -> None:
    doctor = command(
        commands,
        "doctor",
        "check this machine and show how to fix problems",
        "doctor",
        "doctor --json > server.json",
        status="0 benchmarks can run here, 3 they cannot",
    )
    doctor.add_argument(
        "--json",
        action="store_true",
        help="print one JSON document, which `benchdock run --dry-run --machine FILE` reads",
    )
    doctor.set_defaults(handler="doctor")


def _add_published(commands: Any) -> None:
    published = command(
        commands,
        "published",
        "list published benchmark results",
        "published",
        "published --model resnet50 --gpu v100 --phase training",
        "published --container pytorch:20.06 --json",
        "published --check",
    )
    for name, what in (
        ("model", "a network; includes its variants (v1.5, v2)"),
        ("framework", "who published it"),
        ("gpu", "such as v100 or a100-40gb"),
        ("precision", "float32, tf32, float16 or int8"),
        ("phase", "training or inference"),
        ("container", "an image: reference, name:tag or month"),
    ):
        published.add_argument(f"--{name}", metavar=name.upper(), help=what)
    published.add_argument(
        "--check",
        nargs="?",
        const=True,
        type=values.path,
        metavar="FILE",
        help="check a catalogue and report every mistake (default: the one that comes with "
        "benchdock)",
    )
    shared.json(published)
    published.set_defaults(handler="published")


def _add_completion(commands: Any) -> None:
    completion = command(
        commands,
        "completion",
        "print a shell completion script",
        "completion bash > ~/.local/share/bash-completion/completions/benchdock",
    )
    completion.add_argument(
        "shell", choices=("bash", "zsh", "tcsh"), metavar="SHELL", help="bash, zsh or tcsh"
    )
    completion.set_defaults(handler="completion")
