"""Images are found, built, rebuilt when stale, pulled or refused, and never used silently stale."""

import os
import re
from types import SimpleNamespace

import pytest

from orchestrator.errors import ImageError, MachineError, RequestError
from orchestrator.images import builder, digests, store
from orchestrator.images.store import Policy
from tests.support.image_helpers import FakeImages, info, make_place, with_child

TAG = "benchdock/tiny-cpu:1.0"


@pytest.fixture
def place(tmp_path, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("BENCHDOCK_BUILD_NETWORK", raising=False)
    return make_place(tmp_path, monkeypatch)


@pytest.fixture
def engine():
    fake = FakeImages()
    fake.add("debian:bookworm-slim")
    return fake


class Events(list):
    def __call__(self, event):
        self.append(event)

    @property
    def stages(self):
        return [event.text for event in self if event.kind == "stage"]


def name(place):
    return store.name_of(place.image, place.table)


def ensure(place, engine, policy=Policy.AUTO, events=print):
    return store.ensure(place.image, place.table, engine, policy, events)


def change_backends(place):
    (place.backends / "tiny" / "__main__.py").write_text("print('better')\n")


def change_recipe(place):
    place.image.lock_file.write_text("alpha==1.1\n")


def test_a_missing_image_is_built_in_two_builds(place, engine):
    events = Events()
    ready = ensure(place, engine, events=events)
    assert (ready.did, ready.mount_backends, ready.reference) == ("built", False, name(place))
    assert ready.id == engine.here[TAG].id == engine.here[ready.reference].id
    assert re.fullmatch(rf"{TAG}-[0-9a-f]{{12}}", ready.reference)

    framework, whole = engine.builds
    assert framework.tag == digests.framework_tag(place.image, place.table)
    assert framework.buildargs == {"BASE": "debian:bookworm-slim"}
    assert framework.network_mode is None
    wheels = [name for name in framework.files if name.startswith("wheels/")]
    assert len(wheels) == 3
    assert {"Dockerfile", "requirements.lock"} <= set(framework.files)

    assert whole.network_mode == "none"
    assert whole.buildargs == {"FRAMEWORK_IMAGE": framework.tag, "BACKENDS": "tiny"}
    assert whole.labels == digests.labels(place.image, place.table)
    assert "backends/tiny/__main__.py" in whole.files
    assert not any("__pycache__" in name for name in whole.files)
    assert any("self check" in stage for stage in events.stages)
    assert not list(place.house.parent.glob("*context*"))


def test_an_image_is_built_from_the_folder_of_another_and_pins_of_its_own(place, engine):
    (place.dockerfiles / "tiny-cpu" / "old.lock").write_text("alpha==0.9\n")
    changes = {"id": "tiny-old", "recipe": "tiny-cpu", "lock": "old.lock", "version": "0.9"}
    old = place.image.model_copy(update=changes)
    ready = store.ensure(old, place.table, engine, Policy.AUTO, Events())
    assert ready.reference.startswith("benchdock/tiny-old:0.9-")
    framework, _ = engine.builds
    # Dockerfiles copy this name, whatever the lock is called.
    assert {"Dockerfile", "requirements.lock"} <= set(framework.files)
    assert "wheels/alpha-0.9-py3-none-any.whl" in framework.files
    assert "old.lock" not in framework.files
    assert framework.tag != digests.framework_tag(place.image, place.table)


@pytest.mark.slow
def test_an_image_stands_on_the_layers_of_its_parent(place, engine):
    table, child = with_child(place)
    assert store.ensure(child, table, engine, Policy.AUTO, print).did == "built"
    parent, framework, whole = engine.builds
    assert parent.tag == digests.framework_tag(place.image, place.table)
    assert parent.buildargs == {"BASE": "debian:bookworm-slim"}
    assert framework.tag == digests.framework_tag(child, table)
    assert framework.buildargs == {"BASE": parent.tag}
    packages = {name for name in framework.files if name.startswith("wheels/")}
    assert {"wheels/gamma-3.0.tar.gz", "wheels/delta-4.0-py3-none-any.whl"} < packages
    assert not any("alpha" in name for name in packages)
    assert whole.buildargs["FRAMEWORK_IMAGE"] == framework.tag

    assert store.ensure(child, table, engine, Policy.AUTO, print).did == "found"
    assert store.ensure(child, table, engine, Policy.FORCE, print).did == "rebuilt"
    assert [build.tag for build in engine.builds[3:]] == [framework.tag, whole.tag]
    change_recipe(place)
    assert store.ensure(child, table, engine, Policy.AUTO, print).did == "built"
    assert len(engine.builds) == 8, "the parent's layers are made again, and so are those on them"


@pytest.mark.slow
def test_the_context_of_a_killed_build_does_not_get_into_the_next(place, engine):
    left = place.house.with_name(".tiny-cpu.context")
    left.mkdir(parents=True)
    (left / "half").write_text("")
    ensure(place, engine)
    assert not any("half" in build.files for build in engine.builds)
    assert not left.exists()


def test_every_user_may_read_the_code_whatever_the_umask(place, engine):
    (place.backends / "tiny" / "__main__.py").chmod(0o600)
    before = os.umask(0o077)
    try:
        ensure(place, engine)
    finally:
        os.umask(before)
    modes = engine.builds[1].files
    assert modes["backends"] == modes["backends/tiny"] == 0o755
    assert modes["backends/tiny/__main__.py"] == 0o644


def test_a_current_image_is_used_as_it_is(place, engine):
    ensure(place, engine)
    engine.builds.clear()
    events = Events()
    assert ensure(place, engine, events=events).did == "found"
    assert ensure(place, engine, Policy.NEVER).did == "found"
    assert (engine.builds, events) == ([], [])


@pytest.mark.slow
def test_changed_programs_build_only_the_last_layers(place, engine):
    ensure(place, engine)
    engine.builds.clear()
    change_backends(place)
    events = Events()
    assert ensure(place, engine, events=events).did == "built"
    assert [build.tag for build in engine.builds] == [name(place)]
    assert f"{TAG} is another build: it contains different benchmark programs" in events.stages[0]


@pytest.mark.slow
def test_a_changed_recipe_builds_all(place, engine):
    ensure(place, engine)
    engine.builds.clear()
    change_recipe(place)
    assert ensure(place, engine).did == "built"
    assert len(engine.builds) == 2


@pytest.mark.slow
def test_two_checkouts_share_an_engine(place, engine):
    ours, theirs = "print('ours')\n", "print('theirs')\n"
    program = place.backends / "tiny" / "__main__.py"
    made = {}
    for text in (ours, theirs):
        program.write_text(text)
        made[text] = ensure(place, engine)
    engine.builds.clear()
    for text in (ours, theirs, ours):
        program.write_text(text)
        again = ensure(place, engine)
        assert (again.did, again.id) == ("found", made[text].id)
        assert again.reference == made[text].reference
        # The readable name is the newest build's, whichever build runs.
        assert engine.here[TAG].id == made[theirs].id
    assert engine.builds == []
    assert engine.removed == []


def test_an_image_that_has_only_its_readable_name_gets_the_other_one(place, engine):
    ready = ensure(place, engine)
    del engine.here[ready.reference]
    engine.builds.clear()
    assert store.state(place.image, place.table, engine).kind == "current"
    again = ensure(place, engine)
    assert (again.did, again.id, again.reference) == ("found", ready.id, ready.reference)
    assert engine.here[ready.reference].id == ready.id
    assert engine.builds == []


@pytest.mark.slow
def test_a_name_that_lies_is_not_believed(place, engine):
    ensure(place, engine)
    other = {**engine.here[TAG].labels, digests.BACKENDS: "other"}
    engine.here[name(place)] = info("x", other)
    assert ensure(place, engine).did == "built"
    assert engine.here[name(place)].labels[digests.BACKENDS] != "other"


@pytest.mark.slow
def test_a_failed_build_moves_no_name(place, engine):
    first = ensure(place, engine)
    change_backends(place)
    engine.build_error = ImageError("step 3/9 (RUN x): code 1")
    with pytest.raises(ImageError, match="step 3/9"):
        ensure(place, engine)
    assert engine.here[TAG].id == first.id
    assert engine.image(name(place)) is None


def test_force_makes_everything_again(place, engine):
    ensure(place, engine)
    engine.builds.clear()
    assert ensure(place, engine, Policy.FORCE).did == "rebuilt"
    assert len(engine.builds) == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (change_backends, r"is not here; only another build of it is \(it contains different"),
        (change_recipe, r"is not here; only another build of it is \(its recipe"),
        (None, "is not here"),
    ],
)
def test_what_may_not_be_built_is_refused_with_the_reason(place, engine, change, reason):
    if change:
        ensure(place, engine)
        change(place)
    engine.builds.clear()
    with pytest.raises(ImageError, match=reason) as caught:
        ensure(place, engine, Policy.NEVER)
    assert caught.value.hint == "`benchdock images build tiny-cpu`"
    assert engine.builds == []


def test_changed_networks_are_named(place, engine, monkeypatch):
    ensure(place, engine)
    monkeypatch.setattr(digests, "fingerprints", lambda: {"alexnet": "0123"})
    monkeypatch.setattr(digests, "backends_digest", lambda _: "4567")
    state = store.state(place.image, place.table, engine)
    assert state.kind == "stale"
    assert "different definitions of the networks" in state.reason


def test_a_base_that_is_missing_is_pulled(place, engine):
    base = engine.here.pop("debian:bookworm-slim")
    engine.registry["debian:bookworm-slim"] = base
    events = Events()
    ensure(place, engine, events=events)
    assert "pulling debian:bookworm-slim" in events.stages


def test_if_no_registry_answers_the_error_says_how_to_make_the_base(place, engine):
    engine.here.clear()
    with pytest.raises(ImageError, match=r"no such host.*`benchdock images bootstrap`") as caught:
        ensure(place, engine)
    assert "\n" not in str(caught.value)


def test_a_failed_build_keeps_the_engines_words_and_last_lines(place, engine):
    engine.build_error = ImageError("step 3/9 (RUN x): code 1", details=("Step 3/9", "boom"))
    with pytest.raises(ImageError, match="step 3/9") as caught:
        ensure(place, engine)
    assert caught.value.details == ("Step 3/9", "boom")


def test_a_build_without_network_is_told_of_the_variable(place, engine, monkeypatch):
    lines = ("Err:1 x", "  Temporary failure resolving 'mirror.example'")
    engine.build_error = ImageError("step 3/9 (RUN apt-get): code 100", details=lines)
    with pytest.raises(ImageError, match=r"step 3/9.*BENCHDOCK_BUILD_NETWORK=host") as caught:
        ensure(place, engine)
    assert caught.value.details == lines

    engine.build_error = None
    monkeypatch.setenv("BENCHDOCK_BUILD_NETWORK", "host")
    ensure(place, engine)
    assert engine.builds[-2].network_mode == "host"
    assert engine.builds[-1].network_mode == "none"


def test_the_hosts_proxy_reaches_the_framework_build_only(place, engine, monkeypatch):
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    ensure(place, engine)
    assert engine.builds[0].buildargs["https_proxy"] == "http://proxy.example:3128"
    assert "https_proxy" not in engine.builds[1].buildargs
    assert not any("proxy" in value for build in engine.builds for value in build.labels.values())


def test_an_image_that_is_wrong_after_its_build_is_not_used(place, engine):
    engine.forgetful = True
    with pytest.raises(ImageError, match="is not as expected: it is gone"):
        ensure(place, engine)


def test_a_home_that_cannot_be_written(place, engine, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BENCHDOCK_HOME", str(tmp_path / "file"))
    with pytest.raises(MachineError, match="cannot write"):
        ensure(place, engine)


def test_a_vendors_image_is_pulled_and_gets_our_code_mounted(place, engine):
    with pytest.raises(ImageError, match=r"`benchdock images pull vendor-tiny`"):
        store.ensure(place.vendor, place.table, engine, Policy.NEVER, Events())
    engine.registry[place.vendor.tag] = info(place.vendor.tag, {}, digest="sha256:dd")
    ready = store.ensure(place.vendor, place.table, engine, Policy.AUTO, Events())
    assert (ready.did, ready.digest, ready.mount_backends) == ("pulled", "sha256:dd", True)
    assert ready.warnings == ("registry.example/tiny:24.06: nobody fixes it any more",)
    assert store.ensure(place.vendor, place.table, engine, Policy.NEVER, Events()).did == "found"


DIGEST, OTHER = "sha256:" + "d" * 64, "sha256:" + "e" * 64
PINNED = f"registry.example/tiny@{DIGEST}"


@pytest.fixture
def pinned(place):
    """Return the table with a digest for the vendor's image."""
    return place.table.model_copy(update={"digests": {place.vendor.reference: DIGEST}})


def test_a_pinned_image_is_pulled_and_found_by_its_digest(place, engine, pinned):
    engine.registry[place.vendor.tag] = info(place.vendor.tag, {}, digest=OTHER)
    engine.registry[PINNED] = info(PINNED, {}, digest=DIGEST)
    ready = store.ensure(place.vendor, pinned, engine, Policy.AUTO, Events())
    assert (ready.did, ready.digest, ready.reference) == ("pulled", DIGEST, place.vendor.tag)
    again = store.ensure(place.vendor, pinned, engine, Policy.NEVER, Events())
    assert (again.did, again.id) == ("found", ready.id)
    assert not any("pinned" in text for text in again.warnings)


@pytest.mark.parametrize(("digest", "told"), [(OTHER, f"is {OTHER} here"), (None, "no digest")])
def test_an_image_of_the_tag_that_is_not_the_pinned_one_is_doubted(
    place, engine, pinned, digest, told
):
    engine.here[place.vendor.tag] = info(place.vendor.tag, {}, digest=digest)
    ready = store.ensure(place.vendor, pinned, engine, Policy.AUTO, Events())
    assert (ready.did, ready.digest) == ("found", digest)
    doubt = ready.warnings[0]
    assert told in doubt
    assert f"{DIGEST} is pinned: run `benchdock images pull vendor-tiny` to get that" in doubt


def test_an_image_is_pulled_by_id_or_by_reference(place, engine, pinned):
    engine.registry[PINNED] = info(PINNED, {}, digest=DIGEST)
    engine.registry["mine/x:1"] = info("mine/x:1", {}, digest=OTHER)
    for did in ("pulled", "found"):
        assert store.pull("vendor-tiny", pinned, engine, Events()).did == did
    for _ in range(2):  # what a tag is may have changed since
        ready = store.pull("mine/x:1", pinned, engine, Events())
        assert (ready.did, ready.digest, ready.image) == ("pulled", OTHER, None)
    engine.registry[place.vendor.tag] = info(place.vendor.tag, {}, digest=OTHER)
    for _ in range(2):
        assert store.pull(place.vendor.tag, place.table, engine, Events()).did == "pulled"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("tiny-cpu", "tiny-cpu is built here; `benchdock images build tiny-cpu`"),
        ("vendor-tinny", "unknown image 'vendor-tinny'; did you mean 'vendor-tiny'"),
        ("UPPER/x", "'UPPER/x' is not an image reference"),
    ],
)
def test_what_cannot_be_pulled_is_refused_before_any_registry_is_asked(place, engine, name, told):
    with pytest.raises(RequestError, match=told):
        store.pull(name, place.table, engine, Events())


def resolve(place, engine, reference, policy=Policy.AUTO):
    return store.resolve(reference, place.table, engine, policy, Events())


@pytest.mark.slow
def test_a_reference_that_the_table_knows_is_that_row(place, engine):
    assert resolve(place, engine, "tiny-cpu").did == "built"
    assert resolve(place, engine, TAG).did == "found"
    assert resolve(place, engine, "benchdock/tiny-cpu").did == "found"
    assert resolve(place, engine, name(place)).did == "found"
    change_backends(place)
    assert resolve(place, engine, TAG).did == "built"


def test_another_build_is_run_only_if_it_is_here_and_has_this_code(place, engine):
    before = ensure(place, engine).reference
    change_recipe(place)
    assert resolve(place, engine, before).reference == before
    change_backends(place)
    with pytest.raises(
        ImageError, match=f"{before} is out of date: it contains different benchmark programs"
    ):
        resolve(place, engine, before)
    gone = "benchdock/tiny-cpu:1.0-0123456789ab"
    engine.registry[gone] = info(gone, {})  # somebody else's
    with pytest.raises(
        ImageError, match=r"another build of tiny-cpu, which is not here; use `--image"
    ):
        resolve(place, engine, gone)


def test_a_foreign_image_is_run_as_it_is_with_our_code_mounted(place, engine):
    engine.add("mine/framework:1", maintainer="me")
    ready = resolve(place, engine, "mine/framework:1", Policy.NEVER)
    assert (ready.image, ready.mount_backends, ready.did) == (None, True, "found")
    assert ready.reference == "mine/framework:1"


def test_a_foreign_image_that_is_missing_is_pulled_or_refused(place, engine):
    with pytest.raises(ImageError, match="could not be pulled"):
        resolve(place, engine, "mine/framework:1")
    with pytest.raises(ImageError, match=r"`benchdock images pull mine/framework:1`"):
        resolve(place, engine, "mine/framework:1", Policy.NEVER)
    engine.registry["mine/framework:1"] = info("mine/framework:1", {})
    assert resolve(place, engine, "mine/framework:1").did == "pulled"


def test_our_image_under_another_name_must_be_up_to_date(place, engine):
    ensure(place, engine)
    engine.here["registry.mine/tiny:7"] = engine.here[TAG]
    ready = resolve(place, engine, "registry.mine/tiny:7")
    assert ready.image is place.image
    assert not ready.mount_backends

    change_backends(place)
    engine.builds.clear()
    with pytest.raises(ImageError, match=r"registry.mine/tiny:7 is out of date: .*remove --image"):
        resolve(place, engine, "registry.mine/tiny:7")
    assert engine.builds == []


def test_an_image_of_another_version_of_ours_is_not_taken_for_a_foreign_one(place, engine):
    ensure(place, engine)
    stranger = {**engine.here[TAG].labels, digests.IMAGE: "no-such-row"}
    engine.here["registry.mine/other:1"] = info("registry.mine/other:1", stranger)
    assert not resolve(place, engine, "registry.mine/other:1").mount_backends
    change_backends(place)
    with pytest.raises(ImageError, match=r"registry\.mine/other:1 is out of date"):
        resolve(place, engine, "registry.mine/other:1")


def test_a_pull_tells_layers_and_the_sum_but_not_every_byte(engine):
    from orchestrator.runtimes.docker.client import PullProgress

    class Pulling(FakeImages):
        def pull(self, reference, on_progress):
            on_progress(PullProgress(status="Pulling from tiny"))
            for layer in "ab":
                for done in range(0, 300 * 2**20, 2**20):
                    on_progress(PullProgress(status="Downloading", layer=layer, done=done, total=1))
                on_progress(PullProgress(status="Pull complete", layer=layer))
            return info(reference, {})

    events = Events()
    builder.pull("tiny", Pulling(), events)
    lines = [event.text for event in events if event.kind == "line"]
    assert lines == [
        "Pulling from tiny",
        "0.25 GiB downloaded",
        "a: Pull complete",
        "0.50 GiB downloaded",
        "b: Pull complete",
    ]


@pytest.mark.slow
def test_a_disk_with_too_little_room_is_reported_before_the_build(
    place, engine, tmp_path, monkeypatch
):
    row = place.image.model_copy(update={"size": "1.0 GB"})
    engine.data_root = tmp_path
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=2**29))
    events = Events()
    store.ensure(row, place.table, engine, Policy.AUTO, events)
    first = next(event for event in events if event.kind == "warning")
    assert events.index(first) == 0
    assert re.fullmatch(
        r"a build of tiny-cpu needs about \d\.\d+ GiB in \S+ and \S+, but only 512.0 MiB are free; "
        r"run `benchdock images prune` to free some",
        first.text,
    )
    assert str(tmp_path) in first.text

    # Only the last layers: little is enough.
    change_backends(place)
    events = Events()
    store.ensure(row, place.table, engine, Policy.AUTO, events)
    assert not any(event.kind == "warning" for event in events)
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=2**20))
    (place.backends / "tiny" / "more.py").write_text("")
    store.ensure(row, place.table, engine, Policy.AUTO, events)
    assert any(event.kind == "warning" for event in events)


def test_a_disk_with_too_little_room_is_reported_before_a_pull(
    place, engine, tmp_path, monkeypatch
):
    row = place.vendor.model_copy(update={"size": "20 GB"})
    engine.data_root = tmp_path
    engine.registry[row.tag] = info(row.tag, {})
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=2**30))
    events = Events()
    store.ensure(row, place.table, engine, Policy.AUTO, events)
    assert events[0].text.startswith("a pull of vendor-tiny needs about 20.00 GiB in ")


@pytest.mark.parametrize(
    "line", ["write /x: no space left on device", "OSError: [Errno 28] No space left on device"]
)
def test_a_build_that_fills_the_disk_is_told_of_prune(place, engine, line):
    engine.build_error = ImageError("step 3/9 (RUN pip): code 1", details=(line,))
    with pytest.raises(ImageError, match="disk is full; run `benchdock images prune`"):
        ensure(place, engine)
