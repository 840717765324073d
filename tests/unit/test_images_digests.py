"""The digests that images are labelled with, and how a difference is described."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.images import digests
from tests.support.image_helpers import make_place

NAMES = st.from_regex(r"[a-z]{1,6}\.py", fullmatch=True)


@pytest.fixture
def place(tmp_path, monkeypatch):
    return make_place(tmp_path, monkeypatch)


def write(folder, files):
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.slow
@given(st.dictionaries(NAMES, st.binary(max_size=20), min_size=1, max_size=5), st.data())
def test_the_backends_digest_tells_names_and_contents_only(tmp_path_factory, files, data):
    folder = tmp_path_factory.mktemp("digest")
    one = write(folder / "one", files)
    turned = dict(reversed(list(files.items())))
    two = write(folder / "two", turned)
    for path in two.iterdir():
        os.utime(path, (1, 1))
        path.chmod(0o600)
    digest = digests.backends_digest(one)
    assert digest == digests.backends_digest(two)

    changed = data.draw(st.sampled_from(sorted(files)))
    (two / changed).write_bytes(files[changed] + b"x")
    assert digests.backends_digest(two) != digest
    (two / changed).unlink()
    assert digests.backends_digest(two) != digest


def test_what_python_and_editors_leave_behind_does_not_count(place):
    before = digests.backends_digest(place.backends)
    (place.backends / ".build.py.swp").write_text("x")
    (place.backends / "tiny" / "__pycache__" / "y.cpython-39.pyc").write_bytes(b"")
    (place.backends / ".hidden").mkdir()
    (place.backends / ".hidden" / "x.py").write_text("x")
    assert digests.backends_digest(place.backends) == before
    assert [path.name for path in digests.backend_files(place.backends)] == [
        "__init__.py",
        "__main__.py",
    ]


def test_a_file_that_moves_changes_the_digest(place):
    before = digests.backends_digest(place.backends)
    (place.backends / "tiny" / "__main__.py").rename(place.backends / "__main__.py")
    assert digests.backends_digest(place.backends) != before


@given(st.dictionaries(st.text("abc_", min_size=1), st.text("0123456789abcdef"), min_size=1))
def test_the_zoo_digest_does_not_depend_on_order(fingerprints):
    turned = dict(reversed(list(fingerprints.items())))
    assert digests.zoo_digest(fingerprints) == digests.zoo_digest(turned)
    name = sorted(fingerprints)[0]
    assert digests.zoo_digest({**fingerprints, name: "other"}) != digests.zoo_digest(fingerprints)


@pytest.mark.parametrize("file", ["tiny-cpu/Dockerfile", "tiny-cpu/requirements.lock"])
def test_every_part_of_the_framework_recipe_counts(place, file):
    before = digests.framework_digest(place.image, place.table)
    path = place.dockerfiles / file
    path.write_text(path.read_text() + "# x\n")
    assert digests.framework_digest(place.image, place.table) != before


def test_the_last_layers_belong_to_the_recipe_but_not_to_the_framework(place):
    framework = digests.framework_digest(place.image, place.table)
    recipe = digests.recipe_digest(place.image, place.table)
    (place.dockerfiles / "backends.Dockerfile").write_text("# other\n")
    assert digests.framework_digest(place.image, place.table) == framework
    assert digests.recipe_digest(place.image, place.table) != recipe


def test_another_pip_or_base_is_another_recipe(place):
    recipe = digests.recipe_digest(place.image, place.table)
    other_pip = place.table.model_copy(update={"pip": "1.0"})
    other_base = place.image.model_copy(update={"base": "debian:bullseye-slim"})
    place.table.bases["debian:bullseye-slim"] = place.table.bases[place.image.base]
    assert digests.recipe_digest(place.image, other_pip) != recipe
    assert digests.recipe_digest(other_base, place.table) != recipe


@pytest.mark.parametrize(
    ("label", "told"),
    [
        (digests.RECIPE, "recipe"),
        (digests.ZOO, "definitions of the networks"),
        (digests.BACKENDS, "benchmark programs"),
    ],
)
def test_staleness_names_the_difference(place, label, told):
    wanted = digests.labels(place.image, place.table)
    assert digests.staleness(wanted, wanted) is None
    assert digests.staleness({**wanted, "other": "label"}, wanted) is None
    reason = digests.staleness({**wanted, label: "0" * 64}, wanted)
    assert told in reason
    assert "000000000000 there" in reason
    missing = {key: value for key, value in wanted.items() if key != label}
    assert "nothing there" in digests.staleness(missing, wanted)


def test_changed_networks_are_reported_rather_than_changed_programs(place):
    wanted = digests.labels(place.image, place.table)
    found = {**wanted, digests.ZOO: "0", digests.BACKENDS: "0"}
    assert "networks" in digests.staleness(found, wanted)
