"""The tables. `migrations` makes the same ones step by step; a test compares the two.

Times are seconds since 1970 (UTC), 0 if unknown; durations are in seconds, sizes in bytes, energies
in joules. The numbers that one lists and plots are columns, the others are in `run.metrics`; the
times of single steps stay in the run's folder.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    text,
)

# The newest migration. A database with another one is upgraded, or is newer than this benchdock.
HEAD = "0002"

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_N_label)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# `key` identifies a machine: `machine` of a result's environment, else its host name.
machine = Table(
    "machine",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    Column("facts", JSON, nullable=False),
)

# A folder of benchdock whose runs are in this database, and what was last seen in it.
home = Table(
    "home",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    Column("path", Text, nullable=False),
    Column("seen", JSON, nullable=False),
)

# `request` is what `what` is the digest of. `decided` is false for runs that were never planned.
series = Table(
    "series",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("what", Text, nullable=False),
    Column("place", Text, nullable=False),
    Column("machine_id", Integer, ForeignKey("machine.id"), nullable=False),
    Column("decided", Boolean, nullable=False),
    Column("model", Text),
    Column("framework", Text),
    Column("phase", Text),
    Column("dtype", Text),
    Column("batch", BigInteger),
    Column("device", Text),
    Column("devices", BigInteger),
    Column("request", JSON, nullable=False),
    UniqueConstraint("what", "place"),
)

session = Table(
    "session",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("suite", Text),
    Column("digest", Text),
    Column("host", Text),
    Column("night", Text),
    Column("started", Double),
    Column("finished", Double),
    Column("status", Text),
)

# `name` is that of the folder, in `imported` or in `runs`. `p50` and `p99` are of a step, or of the
# latency if the program reports one; `energy` is per sample; `memory` is the peak on a device.
# `warnings` counts; `said` has their text and the failure's message.
run = Table(
    "run",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("series_id", Integer, ForeignKey("series.id"), nullable=False),
    Column("session_id", Integer, ForeignKey("session.id")),
    Column("home_id", Integer, ForeignKey("home.id"), nullable=False),
    Column("imported", Boolean, nullable=False),
    Column("pass", Integer),
    Column("started", Double, nullable=False),
    Column("finished", Double, nullable=False),
    Column("status", Text, nullable=False),
    Column("failure", Text),
    Column("trust", Text),
    Column("throughput", Double),
    Column("unit", Text),
    Column("p50", Double),
    Column("p99", Double),
    Column("energy", Double),
    Column("memory", Double),
    Column("warnings", Integer, nullable=False),
    Column("image_digest", Text),
    Column("driver", Text),
    Column("framework_version", Text),
    Column("benchdock", Text),
    Column("metrics", JSON, nullable=False),
    Column("said", JSON, nullable=False),
    Index(None, "series_id", "started"),
    Index(None, "session_id", "started"),
    Index(None, "started"),
)
_FAILED = text("status = 'failed'")
_failed = Index("ix_run_failed", run.c.started, sqlite_where=_FAILED)


def complete_for_postgresql() -> None:
    """Add what only PostgreSQL needs to know: naming it imports its dialect, 0.1 s of CPU time."""
    _failed.dialect_options["postgresql"]["where"] = _FAILED


# Folders that had no readable result when they were last looked at; `changed` says when that was:
# the times of change of the folder and of the result, in nanoseconds.
pending = Table(
    "pending",
    metadata,
    Column("home_id", Integer, ForeignKey("home.id"), primary_key=True),
    Column("imported", Boolean, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("changed", Text, nullable=False),
)

judgement = Table(
    "judgement",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("series_id", Integer, ForeignKey("series.id"), nullable=False),
    Column("session_id", Integer, ForeignKey("session.id"), nullable=False),
    Column("verdict", Text, nullable=False),
    Column("value", Double),
    Column("baseline", Double),
    Column("change", Double),
    Column("limit", Double),
    Column("sigma", Double),
    Column("tau", Double),
    Column("nights", Integer),
    Column("extra", Integer),
    Column("cause", Text),
    UniqueConstraint("series_id", "session_id"),
)

decision = Table(
    "decision",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("series_id", Integer, ForeignKey("series.id"), nullable=False, index=True),
    Column("session_id", Integer, ForeignKey("session.id")),
    Column("kind", Text, nullable=False),
    Column("who", Text),
    Column("why", Text),
    Column("at", Double, nullable=False),
)

advisory = Table(
    "advisory",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("series_id", Integer, ForeignKey("series.id"), index=True),
    Column("group", Text),
    Column("from_session", Integer, ForeignKey("session.id"), nullable=False),
    Column("step", Double, nullable=False),
    Column("t", Double, nullable=False),
)

tag = Table(
    "tag",
    metadata,
    Column("run_id", Integer, ForeignKey("run.id", ondelete="CASCADE"), primary_key=True),
    Column("tag", Text, primary_key=True),
    Index(None, "tag"),
)
