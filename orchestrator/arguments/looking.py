"""What the commands that show what there is take."""

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
    how.add_argument("--markdown", action="store_true", help="the page docs/models.md")
    models.set_defaults(handler="models")


def _add_frameworks(commands: Any) -> None:
    parser = command(
        commands,
        "frameworks",
        "list the frameworks and what each can do",
        "frameworks",
        "frameworks tf_cnn_benchmarks",
        "frameworks --json",
    )
    parser.add_argument(
        "name",
        nargs="?",
        type=values.given,
        metavar="NAME",
        help="show one: networks, options, what it needs",
    )
    shared.json(parser)
    parser.set_defaults(handler="frameworks")


def _add_images(commands: Any) -> None:
    images = command(
        commands,
        "images",
        "list, fetch, build and pull the images",
        "images",
        "images --all",
        "images fetch pytorch-cpu",
        "images fetch pytorch-cpu --from /media/usb/wheels",
        "images build pytorch-cpu",
        "images pull ngc-pytorch-24-06",
        "images bootstrap",
        "images bootstrap python:3.6-slim",
    )
    images.add_argument(
        "action",
        nargs="?",
        choices=("list", "fetch", "build", "pull", "pin", "bootstrap"),
        default="list",
        metavar="ACTION",
        help="list (default); fetch: fill the wheelhouse; build; pull: get vendors' images, or any "
        "by its reference; pin: ask the registries for the digests of vendors' images and write "
        "dockerfiles/digests.toml; bootstrap: make the base images from Debian's packages if no "
        "registry answers (those of old Pythons also from an interpreter of this machine)",
    )
    images.add_argument(
        "names",
        nargs="*",
        metavar="IMAGE",
        help="default: the CPU images to build or fetch, every vendor's image to pin, the bases of "
        "our images to bootstrap",
    )
    images.add_argument(
        "--from", dest="source", type=values.path, metavar="DIR", help="fetch: wheels from a folder"
    )
    images.add_argument("--force", action="store_true", help="build or bootstrap again")
    images.add_argument(
        "--all", action="store_true", help="list: what is known of every vendor's images instead"
    )
    shared.json(images)
    images.set_defaults(handler="images")


def _add_doctor(commands: Any) -> None:
    doctor = command(
        commands,
        "doctor",
        "say what this machine can do and how to fix what is missing",
        "doctor",
        "doctor --json > server.json",
        status="0 something can be run here, 3 nothing can",
    )
    doctor.add_argument(
        "--json",
        action="store_true",
        help="one JSON document on standard output: a machine file for `benchdock run --dry-run "
        "--machine FILE`",
    )
    doctor.set_defaults(handler="doctor")


def _add_published(commands: Any) -> None:
    published = command(
        commands,
        "published",
        "list what vendors and others have published",
        "published",
        "published --model resnet50 --gpu v100 --phase training",
        "published --container pytorch:20.06 --json",
        "published --check",
    )
    for name, what in (
        ("model", "a network; its variants (v1.5, v2) are listed with it"),
        ("framework", "by name"),
        ("gpu", "such as v100 or a100-40gb"),
        ("precision", "float32, tf32, float16 or int8"),
        ("phase", "training or inference"),
        ("container", "reference, name:tag or month"),
    ):
        published.add_argument(f"--{name}", metavar=name.upper(), help=what)
    published.add_argument(
        "--check",
        nargs="?",
        const=True,
        type=values.path,
        metavar="FILE",
        help="name every mistake in a catalogue (default: the one that comes with benchdock)",
    )
    shared.json(published)
    published.set_defaults(handler="published")


def _add_completion(commands: Any) -> None:
    completion = command(
        commands,
        "completion",
        "print the completion script of a shell",
        "completion bash > ~/.local/share/bash-completion/completions/benchdock",
    )
    completion.add_argument(
        "shell", choices=("bash", "zsh", "tcsh"), metavar="SHELL", help="bash, zsh or tcsh"
    )
    completion.set_defaults(handler="completion")
