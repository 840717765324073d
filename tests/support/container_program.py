"""Stands in for podman, Apptainer and srun with pyxis, as a program on PATH.

It prints what those print (podman 4.3, Apptainer 1.3, pyxis 0.24), keeps images and containers in a
JSON file, and runs the command on the host with the mounts' targets replaced by their sources.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NoReturn

STATE = Path(os.environ["FAKE_CONTAINERS"])


def state() -> dict[str, Any]:
    return json.loads(STATE.read_text())


def keep(told: dict[str, Any]) -> None:
    aside = STATE.with_suffix(f".{os.getpid()}")
    aside.write_text(json.dumps(told))
    aside.replace(STATE)


def fail(text: str, code: int) -> NoReturn:
    print(text, file=sys.stderr)
    sys.exit(code)


def value(words: list[str], option: str) -> str | None:
    return next((w.partition("=")[2] for w in words if w.startswith(f"{option}=")), None)


def values(words: list[str], option: str) -> list[str]:
    return [after for word, after in itertools.pairwise(words) if word == option]


def run(mounts: list[tuple[str, str]], argv: list[str], environment: dict[str, str]) -> int:
    """Run the words after `env`'s in a copy of the script that has the host's paths."""
    script = next(source for source, target in mounts if target == argv[-1])
    text = Path(script).read_text()
    for source, target in sorted(mounts, key=lambda pair: -len(pair[1])):
        text = text.replace(target, source)
    with tempfile.NamedTemporaryFile("w", suffix=".sh") as copy:
        copy.write(text)
        copy.flush()
        child = subprocess.Popen([*argv[:-1], copy.name], env={**os.environ, **environment})
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda given, _: child.send_signal(given))
        code = child.wait()
    return code if code >= 0 else 128 - code


def after_options(words: list[str], image: str) -> list[str]:
    return words[words.index(image) + 1 :]


def podman(words: list[str]) -> int:
    told = state()
    match words[:2]:
        case ["info", _]:
            print(json.dumps(told["info"]))
        case ["image", "exists"]:
            return 0 if words[2] in told["images"] else 1
        case ["image", "inspect"]:
            print(json.dumps([told["images"][words[-1]]]))
        case ["ps", _]:
            print(json.dumps(told["containers"]))
        case ["pull", name]:
            if name not in told["registry"]:
                fail(f"Error: initializing source docker://{name}: manifest unknown", 125)
            told["images"][name] = told["registry"][name]
            keep(told)
        case ["rm", _]:
            told["containers"] = [
                one for one in told["containers"] if words[-1] not in (one["Id"], *one["Names"])
            ]
            keep(told)
        case ["stop", _]:
            found = [one for one in told["containers"] if words[-1] in one["Names"]]
            if not found:
                fail(f'Error: no container with name or ID "{words[-1]}" found', 125)
            with contextlib.suppress(ProcessLookupError):
                os.kill(found[0]["pid"], signal.SIGTERM)
        case ["run", _]:
            return podman_run(words, told)
        case _:
            fail(f"Error: unrecognized command `podman {words[0]}`", 125)
    return 0


def podman_run(words: list[str], told: dict[str, Any]) -> int:
    if told["refusal"]:
        fail(f"Error: {told['refusal']}", 125 if told["refusal"] else 0)
    mounts = []
    for text in values(words, "--mount"):
        parts = dict(part.partition("=")[::2] for part in text.split(","))
        mounts.append((parts["src"], parts["dst"]))
    name = values(words, "--name")[0]
    labels = dict(text.partition("=")[::2] for text in values(words, "--label"))
    row = {"Id": name[::-1], "Names": [name], "Labels": labels, "State": "running"}
    told["containers"].append({**row, "pid": os.getpid()})
    told["ran"] = words
    keep(told)
    return run(mounts, words[-2:], {})


def apptainer(words: list[str]) -> int:
    if words == ["version"]:
        print("1.3.4")
        return 0
    told = state()
    told["ran"] = words
    told["environment"] = {k: v for k, v in os.environ.items() if k.startswith("APPTAINERENV_")}
    keep(told)
    if told["refusal"]:
        fail(f"FATAL:   {told['refusal']}", 255)
    mounts = []
    for text in values(words, "--mount"):
        parts = dict(part.partition("=")[::2] for part in text.split(","))
        mounts.append((parts["source"], parts["destination"]))
    inside = {k.removeprefix("APPTAINERENV_"): v for k, v in told["environment"].items()}
    return run(mounts, words[-2:], inside)


def srun(words: list[str]) -> int:
    told = state()
    if words == ["--version"]:
        print("slurm 22.05.8")
        return 0
    if words == ["--help"]:
        print("Usage: srun [OPTIONS...] executable [args...]")
        if told["pyxis"]:
            print("      --container-image=[USER@][REGISTRY#]IMAGE[:TAG]|PATH")
        return 0
    told["ran"] = words
    told["environment"] = dict(os.environ)
    keep(told)
    image = value(words, "--container-image") or ""
    if told["refusal"]:
        fail(told["refusal"], 1)
    if image.endswith(".sqsh") and not Path(image).exists():
        fail(
            f"pyxis: failed to create container filesystem for image: {image}\n"
            f"[ERROR] No such file or directory: {image}",
            1,
        )
    mounts = []
    for text in (value(words, "--container-mounts") or "").split(","):
        source, target, *_ = text.split(":")
        if not Path(source).exists():
            fail(f"pyxis: --container-mounts: source path does not exist: {source}", 1)
        mounts.append((source, target))
    time.sleep(told["unpacking"])
    command = words[words.index("env") :]
    code = run(mounts, command, {})
    if code:
        node = value(words, "--nodelist") or "n1"
        print(f"srun: error: {node}: task 0: Exited with exit code {code}", file=sys.stderr)
    return code


PROGRAMS = {"podman": podman, "apptainer": apptainer, "srun": srun}

if __name__ == "__main__":
    name = re.sub(r"\W", "", os.path.basename(sys.argv[1]))
    sys.exit(PROGRAMS[name](sys.argv[2:]))
