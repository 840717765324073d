"""The check of a GPU: what it says is missing, and what it concludes."""

import json
import sys

import pytest

from tests.gpu_check import needs, nvml_calls
from tests.gpu_check.__main__ import Check, judged, pairs, summary
from tests.gpu_check.steps import steps


def measured(name, rate, **more):
    said = {"metrics": {"throughput": {"value": rate, "unit": "samples/s"}}, **more}
    return {"name": name, "status": 0, "seconds": 1.0, "said": said, "errors": ""}


def test_the_steps_of_a_gpu_cover_the_list():
    found = list(steps("gpu", "/opt/torch"))
    names = [one.name for one in found]
    for network in ("resnet50_v1.5", "vgg16", "deep_speech2"):
        for phase in ("training", "inference"):
            for dtype in ("float32", "tf32", "bfloat16", "float16"):
                assert f"{network} {phase} {dtype}" in names
    assert names.index("probe") < names.index("published 3078 images/s, float16")
    assert sum("without monitor" in name for name in names) == 3
    assert all("--python" in one.words and "host" in one.words for one in found)
    # The last ones are the rest of the zoo: they take what time is left.
    assert names[-1].startswith("zoo ")


def test_the_rehearsal_needs_no_gpu():
    found = list(steps("cpu", ""))
    assert all(one.words[one.words.index("--gpus") + 1] == "none" for one in found)
    assert {one.words[0] for one in found} == {"run", "probe", "parity"}


def test_pairs_give_a_difference_with_its_interval():
    rates: dict[str, float | None] = {}
    for number, ratio in enumerate((1.001, 0.999, 1.0), start=1):
        rates |= {f"pair {number} with monitor": 100 * ratio, f"pair {number} without monitor": 100}
    (text,) = pairs(rates)
    assert text == ("throughput with / without monitor: -0.00 %, 95 % interval +- 0.25 % (3 pairs)")
    assert pairs({}) == []


def test_figures_are_compared_with_published_and_known_ones():
    ceiling = {"what": "multiply", "dtype": "bfloat16", "median": 7.11e14}
    probe = measured("probe", 1.0, devices=[{"device": "GPU-1", "ceilings": [ceiling]}])
    found = judged([measured("published 3078 images/s, float16", 3000.0), probe])
    assert found[0].endswith("3000 images/s, 97 % of the published 3078 of an H200")
    assert found[1] == "probe, multiply: 90 % of what an H200 is known for"


def test_a_step_that_has_no_time_left_is_skipped(tmp_path, capsys):
    check = Check(tmp_path, 20.0)
    assert check.do("a", [sys.executable, "-c", "print(1)"], 10)["status"] == 0
    assert check.do("b", [sys.executable, "-c", ""], 10, reserve=60)["status"] == "skipped"
    assert "skipped  b: no time left" in capsys.readouterr().out


def test_a_step_that_hangs_or_fails_is_said(tmp_path):
    check = Check(tmp_path, 60.0)
    hung = check.do("hangs", [sys.executable, "-c", "import time; time.sleep(60)"], 0.5)
    failed = check.do("fails", [sys.executable, "-c", "raise SystemExit('no GPU')"], 10)
    assert (hung["status"], failed["status"]) == (124, 1)
    assert summary(failed).endswith("no GPU")


def test_what_is_missing_is_named(tmp_path, monkeypatch):
    assert [one.name for one in needs.of_python("") if not one.there] == ["PYTHON"]
    absent = needs.of_python(str(tmp_path / "python"))
    assert "does not answer" in absent[0].detail
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "torch.py").write_text("raise ImportError('no torch here')")
    found = {one.name: one for one in needs.of_python(sys.executable)}
    assert found["PyTorch in it"].detail == "no torch here"
    assert not found["CUDA in PyTorch"].there


def test_nvml_that_does_not_open_is_an_answer(monkeypatch, capsys):
    def refuse():
        raise nvml_calls.pynvml.NVMLError(12)

    monkeypatch.setattr(nvml_calls.pynvml, "nvmlInit", refuse)
    assert nvml_calls.main() == 3
    assert json.loads(capsys.readouterr().out)["Init"]["code"] == 12


@pytest.mark.parametrize("answer", [1, "a", None, (1, 2), [b"x"]])
def test_answers_are_written_as_json(answer):
    assert json.loads(json.dumps(nvml_calls.plain(answer))) is not ...
