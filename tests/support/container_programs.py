"""Puts stand-ins of podman, Apptainer and srun on PATH, and looks at what they were told."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).with_name("container_program.py")
INFO: dict[str, Any] = {
    "host": {
        "cgroupVersion": "v1",
        "cgroupControllers": [],
        "security": {"rootless": True, "selinuxEnabled": False},
        "remoteSocket": {"path": "/nowhere/podman.sock"},
    },
    "version": {"Version": "4.3.1"},
}


class Programs:
    """The stand-ins in a folder and their state."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch, *names: str) -> None:
        self._file = folder / "state.json"
        self.change(
            info=INFO,
            images={},
            registry={},
            containers=[],
            refusal="",
            pyxis=True,
            unpacking=0,
            ran=[],
            environment={},
        )
        tools = folder / "tools"
        tools.mkdir()
        for name in names:
            program = tools / name
            command = f"FAKE_CONTAINERS={self._file} exec {sys.executable} {PROGRAM} {name}"
            program.write_text(f'#!/bin/sh\n{command} "$@"\n')
            program.chmod(0o755)
        patch.setenv("PATH", f"{tools}:/usr/bin:/bin")

    def change(self, **told: Any) -> None:
        before = json.loads(self._file.read_text()) if self._file.exists() else {}
        self._file.write_text(json.dumps({**before, **told}))

    def __getattr__(self, name: str) -> Any:
        return json.loads(self._file.read_text())[name]
