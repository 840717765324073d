"""Settings of the unit tests, which run side by side."""

from collections.abc import Iterator

import pytest

from orchestrator import shared_lock


@pytest.fixture(scope="session", autouse=True)
def own_locks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let each test process lease GPUs of the same name, and disturb no run on this machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shared_lock, "FOLDERS", (tmp_path_factory.mktemp("locks"),))
        yield
