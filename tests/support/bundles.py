"""Forged copies of bundles."""

import hashlib
import json
import re
import zipfile


def resealed(path, to, **changes):
    """Copy a bundle with other contents and hashes that fit: a careful forger's work."""
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist()} | changes
    manifest = json.loads(members.pop("manifest.json"))
    manifest["files"] = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
        for name, data in members.items()
    }
    with zipfile.ZipFile(to, "w") as new:
        for name, data in members.items():
            new.writestr(name, data)
        new.writestr("manifest.json", json.dumps(manifest))
    return to


def rewritten(path, to, *, request=None, plan=None, begin=None, script=None, **result):
    """Copy a bundle with changed facts, in every file that holds them, and hashes that fit."""
    with zipfile.ZipFile(path) as archive:
        told = json.loads(archive.read("result.json"))
        log = archive.read("log.txt").decode()
    told["request"] |= request or {}
    told["plan"] |= plan or {}
    if script:
        told["plan"]["script"] = script(told["plan"]["script"])
    for key, value in result.items():
        told[key] = {**told[key], **value} if isinstance(value, dict) else value
    if begin:
        line = re.search(r"^::benchdock (.*begin.*)$", log, re.MULTILINE)
        log = log.replace(line[1], json.dumps(json.loads(line[1]) | begin))
    members = {
        "result.json": json.dumps(told), "request.json": json.dumps(told["request"]),
        "plan.json": json.dumps(told["plan"]), "launcher.sh": told["plan"]["script"],
        "log.txt": log,
    }  # fmt: skip
    return resealed(path, to, **{name: text.encode() for name, text in members.items()})
