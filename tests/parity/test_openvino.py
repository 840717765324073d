"""Special to OpenVINO: the types that a processor has instructions for."""

import pytest

from backends.harness.errors import Unsupported

pytest.importorskip("openvino", reason="OpenVINO is not installed in this environment")

from backends.openvino import step
from tests.parity.running import Backend

pytestmark = pytest.mark.parity

BACKEND = Backend(step, phase="inference")


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_the_referees_but_for_its_rounding(dtype):
    if dtype not in step.dtypes():
        with pytest.raises(Unsupported, match=f"does not support {dtype} on this CPU"):
            BACKEND.compare("P2", "deep_mnist", dtype=dtype)
        return
    for model in ("deep_mnist", "alexnet", "resnet18"):
        BACKEND.prove("P2", model, dtype=dtype)
