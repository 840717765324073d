"""What git says of benchdock's own files, which the tasks of a node share."""

from orchestrator.machine import inventory


def test_git_is_asked_once_for_the_processes_of_a_node(monkeypatch, tmp_path):
    asked = []

    def dirty(project):
        asked.append(project)
        return len(asked) == 1

    def new_process(commit="c", minute=7):
        inventory._own_dirty.cache_clear()
        return inventory._own_dirty(commit, minute, path)

    monkeypatch.setattr(inventory, "dirty", dirty)
    path = tmp_path / "nodes" / "n1.json"
    assert new_process() is True
    assert new_process() is True
    assert len(asked) == 1
    assert new_process(minute=8) is False
    assert new_process(commit="d", minute=8) is False
    assert len(asked) == 3
    for damaged in ("", "[", "7", "[1]"):
        path.write_text(damaged)
        assert new_process() is False
    path.parent.chmod(0o500)
    assert new_process(minute=9) is False
    path.parent.chmod(0o700)


def test_a_file_that_is_damaged_or_cannot_be_written_is_not_needed(monkeypatch, tmp_path):
    monkeypatch.setattr(inventory, "dirty", lambda _: None)
    inventory._own_dirty.cache_clear()
    assert inventory._own_dirty("c", 1, tmp_path / "missing" / "deeper" / "n1.json") is None
    inventory._own_dirty.cache_clear()
