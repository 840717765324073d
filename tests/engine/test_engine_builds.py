"""Images on a real engine, without a registry."""

import itertools
import re
import secrets

import pytest

from orchestrator.errors import ImageError
from orchestrator.runtimes.docker.client import BuildError

pytestmark = pytest.mark.engine

STAGES = """
FROM {base} AS one
RUN echo made >/made && echo warning >&2
FROM {base}
COPY --from=one /made /made
ENV GREETING="a=b c"
ENTRYPOINT ["/bin/sh"]
"""


@pytest.fixture
def build(engine, tmp_path):
    tag = f"benchdock-test-build:{secrets.token_hex(4)}"
    lines: list[str] = []

    def from_text(text: str, **more):
        (tmp_path / "Dockerfile").write_text(text)
        image = engine.build(tmp_path, tag=tag, on_line=lines.append, network_mode="none", **more)
        return image, lines

    yield from_text
    if engine.image(tag):
        engine.remove_image(tag)


def test_a_build_of_two_stages(engine, tiny, build):
    image, lines = build(STAGES.format(base=tiny), labels={"benchdock.fingerprint": "f"})
    assert image.labels == {"benchdock.fingerprint": "f"}
    assert image.environment["GREETING"] == "a=b c"
    assert image.entrypoint == ("/bin/sh",)
    assert image.digest is None
    assert engine.image(image.reference) == image
    assert "warning" in lines
    first_stage = itertools.takewhile(lambda line: "Step 3/" not in line, lines)
    (*_, last_layer) = (line.split()[1] for line in first_stage if re.match(" ---> [0-9a-f]", line))
    assert engine.image(last_layer) is None


def test_build_arguments(engine, tiny, build):
    text = f"FROM {tiny}\nARG WORD\nRUN echo word-$WORD\n"
    assert "word-here" in build(text, buildargs={"WORD": "here"})[1]


def test_a_failing_step_is_named(tiny, build):
    with pytest.raises(BuildError, match=r"failed in step 2/3 \(RUN echo before") as raised:
        build(f"FROM {tiny}\nRUN echo before; false\nRUN true\n")
    assert "before" in raised.value.tail


def test_an_unknown_instruction(tiny, build):
    with pytest.raises(BuildError, match=r"(?i)unknown instruction: NOSUCH"):
        build(f"FROM {tiny}\nNOSUCH\n")


def test_an_image_that_is_absent_cannot_be_removed(engine):
    with pytest.raises(ImageError, match="stays"):
        engine.remove_image("benchdock-test-absent:1")


def test_a_tar_that_is_none(engine, tmp_path):
    (tmp_path / "x.tar").write_bytes(b"not a tar" * 100)
    with pytest.raises(ImageError, match="cannot be imported"):
        engine.import_image(tmp_path / "x.tar", "benchdock-test-bad:1")


def test_the_engine_says_what_it_is(engine):
    info = engine.info()
    assert info.name in {"docker", "podman"}
    assert info.version
    assert info.cpus >= 1
    assert info.memory > 2**20
    assert "runc" in info.runtimes or info.name == "podman"
