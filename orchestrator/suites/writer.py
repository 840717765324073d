"""Writes suites: as YAML for people, as plain values for sessions."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import Enum
from hashlib import sha256
from pathlib import PurePath
from typing import Any

import yaml
from pydantic import BaseModel

from orchestrator.suites.models import Ordered, Suite, given


def plain(suite: Suite) -> dict[str, Any]:
    """Return what was written in a suite, in its order, as values for JSON and YAML."""
    told: dict[str, Any] = _plain(suite)
    return told


def digest(suite: Suite) -> str:
    """Return the digest of what was written."""
    return sha256(json.dumps(plain(suite), sort_keys=True).encode()).hexdigest()


def to_yaml(suite: Suite) -> str:
    """Return a suite file. Comments of the file that it was read from are lost."""
    text: str = yaml.safe_dump(plain(suite), sort_keys=False, allow_unicode=True, width=100)
    return text


def _plain(value: Any) -> Any:
    match value:
        case Ordered():
            return {key: _plain(one) for key, one in given(value).items()}
        case BaseModel():
            fields = type(value).model_fields
            return {
                fields[name].alias or name: _plain(getattr(value, name))
                for name in fields
                if name in value.model_fields_set
            }
        case Mapping():
            return {key: _plain(one) for key, one in value.items()}
        case tuple():
            return [_plain(one) for one in value]
        case Enum() | PurePath():
            return str(value)
        case _:
            return value
