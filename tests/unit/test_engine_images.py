"""Pulling and building with an engine and a registry that misbehave."""

import pytest

from orchestrator.errors import EngineError, ImageError
from orchestrator.runtimes.docker.client import BuildError, Engine, PullProgress
from tests.fakes import Answer, FakeEngine, fake_image

TINY = "registry.example/tiny:1"
PULL = "^POST /images/create"
DIGEST = "sha256:" + "d" * 64


@pytest.fixture
def fake(tmp_path, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/engine.sock")
    monkeypatch.setattr("orchestrator.runtimes.docker.images.FIRST_PAUSE", 0.01)
    with FakeEngine(tmp_path) as engine:
        yield engine


@pytest.fixture
def engine(fake):
    with Engine.connect() as connected:
        yield connected


def refusal(status, message):
    return Answer(status, {"message": message})


UNREACHABLE = refusal(500, 'Get "https://registry.example/v2/": dial tcp: no such host')


def test_an_image_as_plain_data(fake, engine):
    fake.images[TINY] = fake_image(
        TINY, Labels={"a": "b"}, Env=["PATH=/bin", "X=a=b"], Entrypoint=["/start"]
    ) | {"RepoDigests": [f"other/tiny@{'sha256:' + 'e' * 64}", f"registry.example/tiny@{DIGEST}"]}
    image = engine.image(TINY)
    assert image is not None
    assert image.digest == DIGEST
    assert image.environment == {"PATH": "/bin", "X": "a=b"}
    assert image.entrypoint == ("/start",)
    assert image.labels == {"a": "b"}


def test_an_image_without_any_configuration(fake, engine):
    fake.images[TINY] = fake_image(TINY) | {"Config": None, "RepoDigests": None}
    image = engine.image(TINY)
    assert image is not None
    assert (image.digest, image.entrypoint, image.environment) == (None, (), {})


def test_no_such_image_here(engine):
    assert engine.image("absent:1") is None


def test_pull_tells_its_progress(fake, engine):
    fake.images[TINY] = fake_image(TINY)
    fake.plan(
        PULL,
        Answer(
            lines=(
                {"status": "Pulling from tiny", "id": "1"},
                {
                    "status": "Downloading",
                    "id": "ab12",
                    "progressDetail": {"current": 5, "total": 9},
                },
            )
        ),
    )
    events: list[PullProgress] = []
    assert engine.pull(TINY, events.append).reference == TINY
    assert events[1] == PullProgress(status="Downloading", layer="ab12", done=5, total=9)


@pytest.mark.parametrize(
    "trouble",
    [
        UNREACHABLE,
        Answer(lines=({"status": "x"}, {"error": "unexpected EOF"})),
        Answer(lines=({"status": "x"},), broken=True),
    ],
)
def test_trouble_of_the_network_is_tried_again(fake, engine, trouble):
    fake.images[TINY] = fake_image(TINY)
    fake.plan(PULL, trouble, trouble, Answer(lines=({"status": "done"},)))
    events: list[PullProgress] = []
    engine.pull(TINY, events.append)
    assert fake.count(PULL) == 3
    assert [e.status.split(":")[0] for e in events if e.status.startswith("trying")] == [
        "trying again, 2 of 3",
        "trying again, 3 of 3",
    ]


def test_an_unreachable_registry_is_given_up(fake, engine):
    fake.plan(PULL, *[UNREACHABLE] * 9)
    with pytest.raises(ImageError, match=r"in 3 attempts: .*no such host"):
        engine.pull(TINY, lambda event: None)
    assert fake.count(PULL) == 3


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (refusal(404, "manifest for tiny:1 not found: manifest unknown"), "no such image"),
        (
            refusal(404, "pull access denied for tiny, repository does not exist"),
            "docker login",
        ),
        (refusal(500, "unauthorized: authentication required"), "docker login"),
        (Answer(lines=({"error": "no matching manifest for linux/arm64"},)), "no such image"),
        (refusal(400, "invalid reference format"), "not an image reference"),
    ],
)
def test_what_cannot_change_is_not_tried_again(fake, engine, answer, words):
    fake.plan(PULL, *[answer] * 3)
    with pytest.raises(ImageError, match=words):
        engine.pull(TINY, lambda event: None)
    assert fake.count(PULL) == 1


def test_a_pull_that_brought_nothing(fake, engine):
    fake.plan(PULL, Answer(lines=({"status": "done"},)))
    with pytest.raises(ImageError, match="could not be pulled"):
        engine.pull(TINY, lambda event: None)


def built(*lines):
    return Answer(lines=tuple({"stream": line} for line in lines))


STAGES = (
    "Step 1/4 : FROM base AS one\n",
    " ---> aaaaaaaaaaaa\n",
    "Step 2/4 : RUN make\n",
    " ---> Running in 123\n",
    "\x1b[91mwarning\x1b[0m\n",
    "half a",
    " line\n",
    " ---> bbbbbbbbbbbb\n",
    "Step 3/4 : FROM base\n",
    " ---> aaaaaaaaaaaa\n",
    "Step 4/4 : COPY --from=one /x /x\n",
    " ---> cccccccccccc\n",
    "Successfully built cccccccccccc\n",
    "Successfully tagged tiny:2\n",
)


def test_build_prints_plain_lines_and_removes_inner_stages(fake, engine, tmp_path):
    for layer, tags in (("a", ["base:1"]), ("b", []), ("c", ["tiny:2"])):
        fake.images[layer * 12] = fake_image("x") | {"RepoTags": tags}
    fake.plan("^POST /build", built(*STAGES))
    lines: list[str] = []
    image = engine.build(tmp_path, tag="tiny:2", on_line=lines.append)
    assert image.reference == "tiny:2"
    assert "warning" in lines
    assert "half a line" in lines
    assert sorted(fake.images) == ["a" * 12, "c" * 12]


def test_a_stage_that_is_tagged_stays(fake, engine, tmp_path):
    for layer in "abc":
        fake.images[layer * 12] = fake_image("x:1")
    fake.plan("^POST /build", built(*STAGES))
    engine.build(tmp_path, tag="tiny:2", on_line=lambda line: None)
    assert len(fake.images) == 3


def test_a_failed_build_names_its_step(fake, engine, tmp_path):
    failure = {"error": "The command '/bin/sh -c make' returned a non-zero code: 42"}
    many = [{"stream": f"line {n}\n"} for n in range(50)]
    lines = tuple({"stream": line} for line in STAGES[:3])
    fake.plan("^POST /build", Answer(lines=(*lines, *many, failure)))
    with pytest.raises(BuildError, match=r"failed in step 2/4 \(RUN make\): .* 42") as raised:
        engine.build(tmp_path, tag="tiny:2", on_line=lambda line: None)
    assert raised.value.tail == tuple(f"line {n}" for n in range(35, 50))


def test_podman_counts_steps_by_stage(fake, engine, tmp_path):
    fake.plan(
        "^POST /build",
        Answer(lines=({"stream": "[1/2] STEP 2/2: RUN make\n"}, {"error": "exit status 1"})),
    )
    with pytest.raises(BuildError, match=r"step 2/2 \(RUN make\): exit status 1"):
        engine.build(tmp_path, tag="tiny:2", on_line=lambda line: None)


def test_a_dockerfile_that_cannot_be_read(fake, engine, tmp_path):
    fake.plan("^POST /build", refusal(400, "dockerfile parse error line 3: unknown instruction"))
    with pytest.raises(BuildError, match=r"building image tiny:2 failed: dockerfile parse error"):
        engine.build(tmp_path, tag="tiny:2", on_line=lambda line: None)


@pytest.mark.parametrize("broken", [True, False])
def test_a_build_that_breaks_off(fake, engine, tmp_path, broken):
    fake.plan("^POST /build", Answer(lines=({"stream": STAGES[0]},), broken=broken))
    with pytest.raises(EngineError):
        engine.build(tmp_path, tag="tiny:2", on_line=lambda line: None)


def test_a_build_without_its_folder(engine, tmp_path):
    with pytest.raises(ImageError, match="no such folder"):
        engine.build(tmp_path / "absent", tag="tiny:2", on_line=lambda line: None)


def test_an_import_without_its_file(engine, tmp_path):
    with pytest.raises(ImageError, match="no such file"):
        engine.import_image(tmp_path / "absent.tar", "tiny:2")
