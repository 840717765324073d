"""Which runs are of one series: what was requested and decided, and where it ran."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.plan import DataFolder, Interpreter, Plan, ProgramFolder
from orchestrator.request import Request
from orchestrator.store import identity
from tests.fakes import plan
from tests.support import stand_in


def what(*, asked=None, planned=None):
    return identity.what(stand_in.request(**asked or {}), plan(**planned or {}))


# Every field of the two records is in one of these, so a new field makes somebody decide.
IN_PLAN = {
    "model": "vgg16",
    "framework": "caffe2",
    "program": "custom",
    "phase": "inference",
    "dtype": "float16",
    "batch": 17,
    "device": "gpu",
    "device_count": 3,
    "steps": 99,
    "warmup": 9,
    "fingerprint": "0" * 16,
    "runtime": "host",
    "data": DataFolder(digest="0" * 64, files=1),
    "interpreter": Interpreter(path="/opt/x/bin/python", version="3.11", package="x", digest="0"),
}
NOT_IN_PLAN = {
    "schema_version": 1,
    "gpus": ("GPU-1",),  # part of the place
    "near_cpus": ("0-1",),  # follow from it
    "runtime_reason": "because",
    "image": "other:1",
    "image_id": "sha256:1",
    "image_digest": "sha256:2",
    "argv": ("true",),
    "prefix": ("nice",),
    "environment": {"A": "1"},
    "mounts": (),
    "user": "7:7",
    "network": "host",
    "capabilities": ("SYS_NICE",),
    "limits": {"memory": 7},
    "lacks": ("network",),  # the runtime says what it lacks
    "timeouts": {"total": 7},
    "options": {"xla": "1"},
    "pattern": "x",
    "unit": "s",
    "estimator": "mean",
    "source": ProgramFolder(commit="1"),
    "script": "true",
    "warnings": ("hot",),
}
IN_REQUEST = {
    "image": "mine:1",
    "options": {"xla": "1"},
    "env": {"A": "1"},
    "prefix": "nice",
    "network": "host",
    "threads": 3,
    "memory": 2**30,
    "pids": 77,
    "shm_size": 2**30,
    "command": "true",
    "pattern": "x",
    "unit": "s",
    "estimator": "mean",
    "data": "/data/imagenet",
    "measure": "copy",
}
NOT_IN_REQUEST = {
    "schema_version": 1,
    "model": "vgg16",  # the plan says what these became
    "framework": "caffe2",
    "phase": "inference",
    "dtype": "float16",
    "batch": 17,
    "gpus": "all",
    "devices": 2,
    "ranks": 2,  # the plan has their number as its devices
    "steps": 99,
    "warmup": 9,
    "runtime": "docker",
    "timeout": 9.0,
    "first_output_timeout": 9.0,
    "silence_timeout": 9.0,
    "seed": 7,
    "source": "/somewhere/program",
    "model_file": "/somewhere/net.onnx",  # its digest is the fingerprint
    "as_root": True,
    "python": "/somewhere/environment",  # its interpreter is in the plan
}


def test_each_field_is_decided_about():
    assert set(IN_PLAN) | set(NOT_IN_PLAN) == set(Plan.model_fields)
    assert set(IN_REQUEST) | set(NOT_IN_REQUEST) == set(Request.model_fields)


@pytest.mark.parametrize("name", IN_PLAN)
def test_another_decision_is_another_series(name):
    assert what(planned={name: IN_PLAN[name]}) != what()


@pytest.mark.parametrize("name", NOT_IN_PLAN)
def test_what_changed_is_no_part_of_the_series(name):
    assert what(planned={name: NOT_IN_PLAN[name]}) == what()


@pytest.mark.parametrize("name", IN_REQUEST)
def test_another_request_is_another_series(name):
    assert what(asked={name: IN_REQUEST[name]}) != what()


@pytest.mark.parametrize("name", NOT_IN_REQUEST)
def test_what_does_not_make_it_faster_is_no_part_of_the_series(name):
    other = {"gpus": None} if name == "devices" else {}  # a request has one of the two
    assert what(asked={**other, name: NOT_IN_REQUEST[name]}) == what()


def test_the_values_of_variables_are_not_kept():
    request = stand_in.request(env={"TOKEN": "secret", "B": "1"})
    told = identity.decided(request, plan())
    assert list(told["env"]) == ["TOKEN", "B"]
    assert "secret" not in str(told)
    assert what(asked={"env": {"A": "1"}}) != what(asked={"env": {"A": "2"}})


def test_the_data_is_known_by_the_name_of_its_folder():
    assert what(asked={"data": "/a/imagenet"}) == what(asked={"data": "/b/imagenet"})


def test_the_digests_stay_the_same():
    """A database keeps them: another way to compute them needs another tag."""
    told = identity.decided(stand_in.request(), plan())
    assert len(told) == 13 + len(identity._ASKED_FOR)
    assert identity.place("m", gpus=("GPU-1", "GPU-2")) == "9b88bab557184d49667462f25ad71205"
    assert what() == "908708cd16e45926d5733090ab9f068d"


def test_a_place_is_a_machine_and_its_devices():
    places = {
        identity.place("m", gpus=("GPU-1",), cpu="Xeon", cpus="0-3"),
        identity.place("m", gpus=("GPU-2",), cpu="Xeon", cpus="0-3"),
        identity.place("m", gpus=("GPU-1", "GPU-2")),
        identity.place("m", gpus=("GPU-2", "GPU-1")),
        identity.place("n", gpus=("GPU-1",)),
        identity.place("m", cpu="Xeon", cpus="0-3"),
        identity.place("m", cpu="Xeon", cpus="0-7"),
        identity.place("m", cpu="EPYC", cpus="0-3"),
        identity.place("m"),
    }
    assert len(places) == 9
    same = identity.place("m", gpus=("GPU-1",), cpu="EPYC", cpus="0")
    assert same in places


@given(st.dictionaries(st.text(max_size=5), st.none() | st.integers() | st.text(max_size=5)))
def test_the_order_of_keys_is_no_part_of_a_digest(told):
    turned = dict(reversed(told.items()))
    assert identity.undecided(told) == identity.undecided(turned)
    assert len(identity.undecided(told)) == 32


@given(st.tuples(*[st.integers(0, 2**40)] * 3))
def test_what_by_counts_is_what(numbers):
    asked, planned = stand_in.request(options={"a": "<batch>"}), plan()
    batch, steps, warmup = numbers
    other = planned.model_copy(update={"batch": batch, "steps": steps, "warmup": warmup})
    found = identity.what_by_counts(asked, planned)(batch, steps, warmup)
    assert found == identity.what(asked, other)
