"""NGC's banners, printed by the entrypoint of a stand-in, because the images are not available
here.
"""

import json
import os
import secrets
import subprocess
import sys

import pytest

from tests import misbehaving
from tests.support.vendor_samples import NGC_BANNER, NGC_GPU_TOO_NEW, NGC_GPU_TOO_OLD

pytestmark = pytest.mark.engine

DOCKERFILE = """
FROM {base}
COPY banner.txt entrypoint.sh /
ENTRYPOINT ["/bin/bash", "/entrypoint.sh"]
"""
ENTRYPOINT = """printf '%s\\n' "$(</banner.txt)"
exec "$@"
"""


@pytest.fixture
def image(engine, misbehaving_image, tmp_path):
    """Return a function that builds the stand-in of a banner's image."""
    built = []

    def build(banner):
        context = tmp_path / "context"
        context.mkdir()
        (context / "banner.txt").write_text(banner)
        (context / "entrypoint.sh").write_text(ENTRYPOINT)
        (context / "Dockerfile").write_text(DOCKERFILE.format(base=misbehaving_image))
        tag = f"benchdock-test-banner:{secrets.token_hex(4)}"
        engine.build(context, tag=tag, on_line=lambda line: None)
        built.append(tag)
        return tag

    yield build
    for tag in built:
        engine.remove_image(tag)


def benchdock(home, *words):
    return subprocess.run(
        [sys.executable, "-m", "tests.misbehaving", *words],
        env={**os.environ, "BENCHDOCK_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize(
    ("banner", "kept"),
    [
        (NGC_BANNER, {"release": "19.08", "framework_version": "1.2.0a0+abc1234"}),
        (NGC_GPU_TOO_OLD, {"too_old": ["NVIDIA Tesla K40m"]}),
        (NGC_GPU_TOO_NEW, {"too_new": ["NVIDIA GeForce RTX 4080"]}),
    ],
    ids=["release", "too old", "too new"],
)
def test_a_banner_is_kept_and_does_not_end_a_run(image, tmp_path, banner, kept):
    tag = image(banner)
    run = benchdock(tmp_path, "run", *misbehaving.RUN_OPTIONS, f"--image={tag}", "--json")
    assert run.returncode == 0, run.stderr
    result = json.loads(run.stdout)
    container = result["environment"]["container"]
    assert container["supported"] is False
    assert kept.items() <= container.items()
    bundle = str(tmp_path / "run.zip")
    assert benchdock(tmp_path, "bundle", result["run"], "-o", bundle).returncode == 0
    assert benchdock(tmp_path, "verify", bundle).returncode == 0


def test_a_banner_is_not_a_reason_for_a_failure(image, tmp_path):
    tag = image(NGC_BANNER)
    words = ("run", *misbehaving.RUN_OPTIONS, f"--image={tag}", "--option=behaviour=noresult")
    run = benchdock(tmp_path, *words, "--json")
    assert run.returncode == 1
    result = json.loads(run.stdout)
    assert result["failure"]["kind"] == "no_result"
    assert "MOFED" not in json.dumps(result["failure"])
