"""Which file system a path is on: those of a server have no memory to share with other machines."""

from __future__ import annotations

import os
import re
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")
# File systems of a server. Their clients share no memory, so two machines that write to one WAL
# corrupt the database (https://sqlite.org/wal.html). FUSE may be anything, such as sshfs.
_NETWORKS = {
    *("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "lustre", "gpfs", "beegfs", "ceph"),
    *("glusterfs", "ocfs2", "gfs2", "orangefs", "virtiofs", "panfs", "wekafs", "vboxsf"),
}


def network(path: Path, mounts: Path = MOUNTS) -> str | None:
    """Return the type of the file system that contains a path if a server has it, else None."""
    kind = of(path, mounts)
    return kind if kind in _NETWORKS or kind.partition(".")[0] == "fuse" else None


def of(path: Path, mounts: Path = MOUNTS) -> str:
    """Return the type of the file system that contains a path, "" if unknown.

    The last mount at the longest matching mount point counts: it hides those before it.
    """
    try:
        lines = mounts.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return ""
    wanted = os.path.realpath(path)
    best, kind = "", ""
    for line in lines:
        before, _, after = line.partition(" - ")
        fields, types = before.split(" "), after.split(" ")
        if len(fields) < 5 or not types[0]:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), fields[4])
        if len(point) >= len(best) and _contains(point, wanted):
            best, kind = point, types[0]
    return kind


def _contains(point: str, path: str) -> bool:
    return point in ("/", path) or path.startswith(point + "/")
