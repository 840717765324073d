"""Both databases: SQLite, and a private PostgreSQL."""

import os
import secrets

import pytest

from orchestrator.store import location
from tests.support import postgresql


@pytest.fixture(scope="session")
def server():
    """The URL of a private PostgreSQL, with {} for the name of the database."""
    programs = postgresql.programs()
    if programs is None:
        told = "needs PostgreSQL's server: apt-get install postgresql"
        if os.environ.get("CI"):
            pytest.fail(f"continuous integration {told}")
        pytest.skip(told)
    with postgresql.server(programs) as url:
        yield url


@pytest.fixture
def new_postgresql(server):
    """The URL of a new, empty database."""
    import psycopg

    name = f"t{secrets.token_hex(4)}"
    with psycopg.connect(server.format("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return server.format(name)


@pytest.fixture
def home(monkeypatch, tmp_path):
    folder = tmp_path / "home"
    monkeypatch.setenv("BENCHDOCK_HOME", str(folder))
    monkeypatch.delenv("BENCHDOCK_DATABASE", raising=False)
    return folder


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request, monkeypatch, home):
    """Where the database of this home is."""
    if request.param == "postgresql":
        monkeypatch.setenv("BENCHDOCK_DATABASE", request.getfixturevalue("new_postgresql"))
    return location.here()
