"""An index for the newest runs of a session: without it, PostgreSQL looks at all newer runs."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Replace the index of sessions by one that is also in the order of lists."""
    op.create_index(op.f("ix_run_session_id_run_started"), "run", ["session_id", "started"])
    op.drop_index(op.f("ix_run_session_id"), table_name="run")
