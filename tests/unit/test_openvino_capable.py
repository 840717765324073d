"""benchmark_app silently computes in float32 if a processor has no bfloat16."""

from backends.openvino.capable import refusal


def test_a_number_type_that_the_processor_lacks_is_refused_with_what_it_has():
    assert refusal("float32", ["float32"]) is None
    assert refusal("bfloat16", ["float32", "bfloat16"]) is None
    assert refusal("bfloat16", ["float32"]) == (
        "OpenVINO does not support bfloat16 on this CPU; use one of: float32"
    )
