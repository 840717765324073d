"""Flags that launchers write themselves cannot be passed by the user, in any spelling."""

import re
import shlex

import pytest

from orchestrator.errors import ExitStatus, RequestError
from orchestrator.frameworks import catalogue
from orchestrator.run import program_rules, written_flags
from tests.support.launcher_cases import CASES, GOLDEN

ENTRIES = [row for row in catalogue.FRAMEWORKS.values() if row.vendor and row.vendor.flags]
FLAG = re.compile(r"(?<![\w-])--([A-Za-z][\w-]*)")
EVERY = [variant for row in ENTRIES for variant in (row, *row.variants.values())]


def rendered(row):
    """Yield the flags in the golden scripts of a row's launcher, in its program's command."""
    for case in CASES:
        if case.split("-")[0] == row.launcher:
            script = (GOLDEN / f"{case}.sh").read_text(encoding="utf-8")
            command = script[script.index("\nexec ", script.index("2>&1")) :]
            handed_on = {*CASES[case].flags, *FLAG.findall(shlex.join(CASES[case].prefix))}
            yield from (flag for flag in FLAG.findall(command) if flag not in handed_on)


def refusal(row, name):
    with pytest.raises(RequestError) as refused:
        program_rules.check_options(row, {f"flag.{name}": "1"})
    assert refused.value.exit_status is ExitStatus.BAD_REQUEST
    text = str(refused.value)
    assert text.startswith(f"--option flag.{name} is refused: benchdock writes --")
    assert len(text.splitlines()) == 1
    return refused.value.hint


@pytest.mark.slow
@pytest.mark.parametrize("row", ENTRIES, ids=lambda row: row.name)
def test_every_flag_of_every_golden_script_is_refused(row):
    flags = set(rendered(row))
    assert len(flags) > 4
    for flag in flags:
        refusal(row, flag)


@pytest.mark.slow
@pytest.mark.parametrize("row", EVERY, ids=lambda row: f"{row.name}-{row.launcher}")
def test_every_flag_that_a_template_can_write_is_refused_in_every_spelling(row):
    for flag in written_flags.of_template(row.launcher):
        plain = flag.removeprefix("no-").removeprefix("no_").removeprefix("no")
        for spelling in {
            flag,
            flag.replace("-", "_"),
            flag.replace("_", "-"),
            f"no{plain}",
            f"no_{plain}",
            f"no-{plain}",
            plain,
            flag[:-1],
            flag[0],
        }:
            refusal(row, spelling)


@pytest.mark.parametrize(
    ("framework", "flag", "hint"),
    [
        ("tf_cnn_benchmarks", "batch_size", "use --batch"),
        ("tf_cnn_benchmarks", "use_fp16", "use --dtype"),
        ("tf_cnn_benchmarks", "nouse_fp16", "use --dtype"),
        ("tf_cnn_benchmarks", "model", "use a different MODEL"),
        ("tf_cnn_benchmarks", "forward_only", "use --phase"),
        ("tf_cnn_benchmarks", "num_gpus", "use --gpus"),
        ("tf_cnn_benchmarks", "num_batches", "use --steps"),
        ("tf_cnn_benchmarks", "xla_compile", "use --option xla_compile"),
        ("tf_cnn_benchmarks", "all_reduce_spec", "use --option all_reduce"),
        ("tf_cnn_benchmarks", "momentum", "remove --option flag.momentum"),
        ("nvcnn", "fp16", "use --dtype"),
        ("nvtfcnn", "layers", "use a different MODEL"),
        ("nvtfcnn", "precision", "use --dtype"),
        ("deeplearningexamples_pytorch", "amp", "use --dtype"),
        ("deeplearningexamples_pytorch", "b", "use --batch"),
        ("deeplearningexamples_pytorch", "static_loss_scale", "use --option loss_scale"),
        ("deeplearningexamples_pytorch", "no-checkpoints", "remove --option flag.no-checkpoints"),
        ("deeplearningexamples_tensorflow", "mode", "use --phase"),
        ("deeplearningexamples_mxnet", "dtype", "use --dtype"),
        ("horovod_pytorch", "batch_size", "use --batch"),
        ("pytorch_imagenet", "evaluate", "use --phase"),
        ("timm", "precision", "use --dtype"),
        ("timm", "bench", "use --phase"),
        ("mxnet_train_imagenet", "num-layers", "use a different MODEL"),
        ("tensorrt", "fp16", "use --dtype"),
    ],
)
def test_a_refusal_names_what_to_type_instead(framework, flag, hint):
    assert refusal(catalogue.framework(framework), flag) == hint


@pytest.mark.parametrize(
    ("framework", "flag"),
    [
        ("tf_cnn_benchmarks", "sync_on_finish"),
        ("tf_cnn_benchmarks", "datasets_use_prefetch"),
        ("timm", "torchscript"),
        ("timm", "opt-betas"),
        ("deeplearningexamples_pytorch", "lr"),
        ("mxnet_train_imagenet", "data-nthreads"),
        ("tensorrt", "useSpinWait"),
    ],
)
def test_what_no_launcher_writes_is_handed_on(framework, flag):
    program_rules.check_options(catalogue.framework(framework), {f"flag.{flag}": "1"})
