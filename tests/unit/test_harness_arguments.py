"""The command line of the in-image programs."""

from __future__ import annotations

import pytest

from backends import options
from backends.harness import arguments, machine
from backends.harness.errors import Unsupported
from backends.options import Option

OPTIONS = (
    Option("layout", ("contiguous", "channels_last"), "memory order"),
    Option("compile", ("on", "off"), "100 % compiled"),
)
NEEDED = {
    "--model": "alexnet",
    "--phase": "training",
    "--dtype": "float32",
    "--batch": "2",
    "--device": "cpu",
    "--steps": "10",
    "--warmup": "1",
}


def parse(*extra, **changed):
    words = dict(NEEDED, **{"--" + key: value for key, value in changed.items()})
    argv = [word for pair in words.items() if pair[1] is not None for word in pair]
    return arguments.parse(argv + list(extra), "backends.fake", OPTIONS)


def test_defaults():
    settings = parse()
    assert (settings.devices, settings.seed, settings.threads, settings.data) == (1, 1, None, None)
    assert settings.warmup_seconds == arguments.WARMUP_SECONDS
    assert dict(settings.options) == {"layout": "auto", "compile": "auto"}


def test_options_are_kept():
    settings = parse("--option", "layout=channels_last", "--option", "compile=off")
    assert dict(settings.options) == {"layout": "channels_last", "compile": "off"}


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (
            "layuot=contiguous",
            "unknown option 'layuot'; did you mean layout? possible: layout, compile",
        ),
        ("layout=chanels_last", "cannot be 'chanels_last'; did you mean channels_last?"),
        ("zzz=on", "unknown option 'zzz'; possible: layout, compile"),
        ("layout", "write key=value"),
        ("layout=", "write key=value"),
    ],
)
def test_wrong_options_say_what_is_possible(option, message):
    with pytest.raises(Unsupported) as caught:
        parse("--option", option)
    assert message in str(caught.value)


FEEDING = options.feeding("pytorch")


def fed(*pairs, device="cpu", **changed):
    words = [word for pair in pairs for word in ("--option", pair)]
    needed = {**NEEDED, "--device": device}
    argv = [word for pair in needed.items() for word in pair]
    argv += [f"--{name}={text}" for name, text in changed.items()]
    return arguments.parse(argv + words, "backends.fake", FEEDING)


@pytest.mark.parametrize(
    ("text", "fine"),
    [
        *((text, True) for text in ("1", "4096", "auto")),
        *((text, False) for text in ("0", "4097", "-1", "1e2", "9" * 5000)),
    ],
)
def test_a_number_is_an_option_too(text, fine):
    if fine:
        assert fed("workers=" + text, data="/d").options["workers"] == text
        return
    with pytest.raises(Unsupported, match="option workers cannot be"):
        fed("workers=" + text, data="/d")


@pytest.mark.parametrize(
    ("pairs", "changed", "message"),
    [
        (("workers=2",), {}, "option workers needs --data"),
        (("augment=on",), {}, "option augment needs --data"),
        (("augment=on",), {"data": "/d", "phase": "inference"}, "option augment is for training"),
        (("data_place=pinned",), {}, "pinned memory is copied to a GPU"),
        (("data_place=device",), {"data": "/d"}, "real data is read to the host's memory"),
        (("data_place=pageable",), {"data": "/d", "measure": "compute"}, "on the device"),
        (("data_place=pageable",), {"data": "/d", "measure": "input"}, "puts its batch nowhere"),
        (("data_place=device",), {"data": "/d", "measure": "copy"}, "read to the host's memory"),
    ],
)
def test_options_without_effect_are_refused(pairs, changed, message):
    with pytest.raises(Unsupported, match=message):
        fed(*pairs, **changed)


@pytest.mark.parametrize(
    ("pairs", "changed"),
    [
        (("data_place=device",), {}),
        (("data_place=pageable",), {}),
        (("data_place=pinned",), {"device": "gpu"}),
        (("data_place=pinned",), {"device": "gpu", "data": "/d"}),
        (("data_place=pinned",), {"device": "gpu", "data": "/d", "measure": "copy"}),
        (("data_place=device",), {"data": "/d", "measure": "compute"}),
        (("augment=off",), {"phase": "inference", "data": "/d"}),
    ],
)
def test_places_that_exist_are_accepted(pairs, changed):
    assert fed(*pairs, **changed)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"phase": "train"}, "invalid choice"),
        ({"dtype": "float64"}, "invalid choice"),
        ({"batch": "0"}, "must be at least 1, not 0"),
        ({"batch": "2.5"}, "invalid integer value: '2.5'"),
        ({"steps": "0"}, "must be at least 1"),
        ({"warmup": "-1"}, "must be at least 0"),
        ({"warmup-seconds": "nan"}, "must be at least 0"),
        ({"warmup-seconds": "inf"}, "must be at least 0"),
        ({"model": None}, "--model"),
    ],
)
def test_wrong_arguments_are_exceptions_not_exits(changed, message):
    with pytest.raises(Unsupported) as caught:
        parse(**changed)
    assert message in str(caught.value)


def test_help_survives_a_per_cent_sign(capsys):
    with pytest.raises(SystemExit) as caught:
        parse("--help")
    assert caught.value.code == 0
    assert "100 % compiled" in " ".join(capsys.readouterr().out.split())


def test_parity_arguments():
    def parity(*argv):
        return arguments.parse_parity(argv, "x", OPTIONS, ["P1", "P2"], ["float32", "float16"])

    asked = parity("--level", "P1", "--level", "P2", "vgg11", "alexnet")
    assert asked.levels == ["P1", "P2"]
    assert asked.models == ["vgg11", "alexnet"]
    assert (asked.dtype, asked.device) == ("float32", "cpu")
    asked = parity("--level=P2", "--dtype=float16", "--device=gpu", "vgg11")
    assert (asked.dtype, asked.device) == ("float16", "gpu")
    for wrong in ("--level=P9", "--dtype=int8", "--device=tpu"):
        with pytest.raises(Unsupported):
            parity("--level=P1", wrong, "vgg11")


def test_cpus_respect_a_quota(tmp_path, monkeypatch):
    quota = tmp_path / "cpu.max"
    monkeypatch.setattr(machine, "CPU_MAX", str(quota))
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda _: set(range(8)))
    for text, expected in (("max 100000", 8), ("250000 100000", 3), ("1000 100000", 1)):
        quota.write_text(text + "\n")
        assert machine.cpus() == expected


def test_cpus_respect_a_quota_of_the_first_control_groups(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "CPU_MAX", str(tmp_path / "absent"))
    monkeypatch.setattr(machine.os, "sched_getaffinity", lambda _: set(range(8)))
    for name, text in (("CFS_QUOTA", "-1"), ("CFS_PERIOD", "100000")):
        (tmp_path / name).write_text(text)
        monkeypatch.setattr(machine, name, str(tmp_path / name))
    assert machine.cpus() == 8
    (tmp_path / "CFS_QUOTA").write_text("400000\n")
    assert machine.cpus() == 4


def test_cpu_name(tmp_path):
    info = tmp_path / "cpuinfo"
    info.write_text("processor\t: 0\nmodel name\t: Some: CPU\n")
    assert machine.cpu_name(str(info)) == "Some: CPU"
    assert machine.cpu_name(str(tmp_path / "absent"))
