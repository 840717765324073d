"""Some of the mutants, in real containers; `make mutants` tries them all."""

import pytest

from tests.engine import in_image
from tests.mutants import mutant

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]

HERE = [
    one
    for framework in mutant.IMAGES
    for one in [m for m in mutant.load(framework) if m.model == "deep_mnist"][:3]
]


@pytest.mark.parametrize("one", HERE, ids=lambda one: f"{one.framework}-{one.name}")
def test_parity_finds_it(engine, tmp_path, one):
    tree = mutant.copied(tmp_path)
    mutant.apply(one, tree)
    image = in_image.ready(engine, mutant.IMAGES[one.framework])
    outcome = mutant.compare(image, one.framework, tree, [(one.level, one.model)])
    assert not outcome.held, outcome.detail
