"""DLBS's plans: which benchmarks a configuration makes there, and what it does silently.

The expected plans were made with DLBS's own builder.
"""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.dlbs import json_text
from orchestrator.dlbs.configuration import configuration
from orchestrator.dlbs.expansion import expand
from orchestrator.dlbs.references import References, Unresolved
from orchestrator.errors import RequestError

ENVIRONMENT = {"ROOT": "/root0"}


def read(config, *, parameters=(), variables=(), extensions=()):
    text = config if isinstance(config, str) else json.dumps(config)
    return configuration(json_text.parse(text, "c.json")).with_options(
        [(name, json_text.parse(value, f"-P {name}")) for name, value in parameters],
        [(name, json_text.parse(value, f"-V {name}")) for name, value in variables],
        [json_text.parse(value, "-E") for value in extensions],
    )


def plan(config, names, **options):
    """Return the values of some parameters in each benchmark, None for a missing one."""
    expansion = expand(read(config, **options), {})
    rows = []
    for benchmark in expansion.benchmarks:
        values = References(benchmark, ENVIRONMENT)
        rows.append(tuple(values.value(name) if name in benchmark else None for name in names))
    return rows


def refused(config, **options):
    with pytest.raises(RequestError) as raised:
        expand(read(config, **options), {})
    message = str(raised.value)
    assert message.isprintable()
    return message


ON_AND_OFF = {
    "parameters": {"s": "off", "n": 1},
    "variables": {"net": ["small", "big"], "fw": ["p", "q"], "b": [8, 16, 32, 64]},
    "extensions": [
        {"condition": {"net": "small", "b": [32, 64]}, "parameters": {"s": ""}},
        {"condition": {"net": "big", "b": [8, 16]}, "parameters": {"s": ""}},
        {"condition": {"fw": "q", "net": "big"}, "parameters": {"n": 2}},
    ],
}
NOBODY_SET = {
    "parameters": {"pre": "${o1} ${o2}", "dir": "/l/c${c}", "o1": "-", "o2": "-"},
    "variables": {"b": [1, 2], "m": ["N-A/F32"], "c": [1, 2]},
    "extensions": [
        {"condition": {"box": "gold"}, "parameters": {"title": "Gold"}},
        {"condition": {"box": "gold", "c": 1}, "parameters": {"o1": "T=80"}},
        {"condition": {"box": "gold", "c": 2}, "parameters": {"o1": "T=40"}},
        {"condition": {"box": "silver"}, "parameters": {"title": "Silver"}},
        {"condition": {"box": "silver", "c": 1}, "parameters": {"o1": "T=72"}},
        {"condition": {"v": "on"}, "parameters": {"o2": "V=1"}},
    ],
}
GROUPS = {
    "parameters": {"file": "", "more": ""},
    "variables": {"net": ["vgg16", "resnet50", "inception3", "alexnet", "wide_resnet50"]},
    "extensions": [
        {
            "condition": {"net": "inception(3|4)"},
            "parameters": {"file": "inception_v${__condition.net_1}"},
        },
        {
            "condition": {"net": "(vgg|resnet)([0-9]+)"},
            "parameters": {
                "file": "${__condition.net_1}",
                "more": ["--layers=${__condition.net_2}"],
            },
        },
    ],
}
CASES = {
    "parameters": {"d": "cpu"},
    "variables": {"fw": ["p", "q"]},
    "extensions": [
        {
            "condition": {"fw": "p"},
            "parameters": {"k": "v"},
            "cases": [{"i": 1}, {"i": 2, "d": "gpu"}],
        },
        {
            "condition": {"d": "gpu"},
            "parameters": {"fast": True},
            "cases": [{"t": "f32"}, {"t": "f16"}],
        },
    ],
}
PREFIXES = {
    "parameters": {"n": 0},
    "variables": {"m": ["resnet10", "resnet101", "my_resnet10", ""]},
    "extensions": [
        {"condition": {"m": "resnet10"}, "parameters": {"n": 1}},
        {"condition": {"m": ""}, "parameters": {"n": 2}},
    ],
}


def test_the_last_variable_turns_fastest_and_extensions_switch_on():
    rows = plan(ON_AND_OFF, ("net", "fw", "b", "s", "n"))
    assert [row[:3] for row in rows] == [
        (net, fw, b) for net in ("small", "big") for fw in "pq" for b in (8, 16, 32, 64)
    ]
    on = {("small", b) for b in (32, 64)} | {("big", b) for b in (8, 16)}
    assert all((s == "") == ((net, b) in on) for net, _, b, s, _ in rows)
    assert all((n == 2) == ((net, fw) == ("big", "q")) for net, fw, _, _, n in rows)


def test_a_condition_on_a_parameter_that_nobody_set_is_ignored_and_said():
    rows = plan(NOBODY_SET, ("b", "c", "title", "pre", "dir"))
    assert rows == [
        (b, c, "Silver", f"T={72 if c == 1 else 40} V=1", f"/l/c{c}")
        for b in (1, 2)
        for c in (1, 2)
    ]
    traps = expand(read(NOBODY_SET), {}).traps
    assert len(traps) == 6
    assert traps[0].startswith("c.json:1:")
    assert "no parameter is called 'box'" in traps[0]


def test_options_set_what_the_file_leaves_open():
    options = {"parameters": [("box", '"gold"')], "variables": [("v", '["on", "off"]')]}
    assert plan(NOBODY_SET, ("b", "c", "v", "title", "pre"), **options) == [
        (b, c, v, "Gold", f"T={80 if c == 1 else 40} {'V=1' if v == 'on' else '-'}")
        for b in (1, 2)
        for c in (1, 2)
        for v in ("on", "off")
    ]
    assert expand(read(NOBODY_SET, **options), {}).traps == ()


def test_a_pattern_matches_from_the_first_character_and_has_groups():
    assert plan(GROUPS, ("net", "file", "more")) == [
        ("vgg16", "vgg", "--layers=16"),
        ("resnet50", "resnet", "--layers=50"),
        ("inception3", "inception_v3", ""),
        ("alexnet", "", ""),
        ("wide_resnet50", "", ""),
    ]


def test_cases_replace_the_benchmark_and_chain():
    assert plan(CASES, ("fw", "d", "k", "i", "fast", "t")) == [
        ("p", "cpu", "v", 1, None, None),
        ("p", "gpu", "v", 2, True, "f32"),
        ("p", "gpu", "v", 2, True, "f16"),
        ("q", "cpu", None, None, None, None),
    ]


def test_a_text_is_a_prefix_and_an_empty_text_is_not():
    assert [n for (n,) in plan(PREFIXES, ("n",))] == [1, 1, 0, 2]
    (trap,) = expand(read(PREFIXES), {}).traps
    assert "'resnet10' also matches 'resnet101'" in trap


def test_options_replace_and_make_variables():
    config = {"parameters": {"x": 1, "y": "a"}, "variables": {"z": [1, 2, 3], "w": "one"}}
    rows = plan(
        config,
        ("z", "w", "y", "x"),
        parameters=[("x", "5")],
        variables=[("z", "[7, 8]"), ("y", '["b", "c"]')],
    )
    assert rows == [(7, "one", "b", 5), (7, "one", "c", 5), (8, "one", "b", 5), (8, "one", "c", 5)]


def test_a_parameter_option_on_a_variable_has_no_effect_and_that_is_said():
    found = read({"variables": {"b": [1, 2]}}, parameters=[("b", "9")])
    expansion = expand(found, {})
    assert [one["b"] for one in expansion.benchmarks] == [1, 2]
    assert expansion.traps == ("-P b: b is a variable, so its value 9 has no effect",)


def test_an_extension_option_comes_last():
    rows = plan(
        {"variables": {"b": [1, 2]}, "extensions": [{"parameters": {"a": 1}}]},
        ("b", "a"),
        extensions=['{"condition": {"b": 2}, "parameters": {"a": 5}}'],
    )
    assert rows == [(1, 1), (2, 5)]


def test_named_variables_are_the_outer_loops():
    config = {
        "parameters": {"sys.plan_builder.var_order": ["c", "other", "b"]},
        "variables": {"a": [1, 2], "b": ["x", "y"], "c": [True, False]},
    }
    assert plan(config, ("c", "b", "a")) == [
        (c, b, a) for c in (True, False) for b in "xy" for a in (1, 2)
    ]


def test_a_later_extension_sees_what_an_earlier_one_set():
    config = {
        "variables": {"b": [1, 2]},
        "extensions": [
            {"condition": {"b": 2}, "parameters": {"b": 4}},
            {"condition": {"b": 4}, "parameters": {"c": 1}},
        ],
    }
    assert plan(config, ("b", "c")) == [(1, None), (4, 1)]


def test_a_list_in_a_condition_is_compared_and_a_list_value_is_one_text():
    config = {
        "parameters": {"v": "ab", "args": ["--n=${n}", "--end"], "n": 3, "on": True, "t": "${on}"},
        "extensions": [
            {"condition": {"v": ["a.*"]}, "parameters": {"n": 9}},
            {"condition": {"v": ["ab", "cd"]}, "parameters": {"y": 1}},
        ],
    }
    assert plan(config, ("args", "y", "t")) == [("--n=3 --end", 1, "True")]


def test_extensions_without_condition_always_apply():
    config = {"extensions": [{"parameters": {"z": 1}}, {"cases": [{"y": 1}, {"y": 2}]}]}
    assert plan(config, ("z", "y")) == [(1, 1), (1, 2)]


def test_no_variables_make_one_benchmark_and_an_empty_one_none():
    assert plan({"parameters": {"a": 1}}, ("a",)) == [(1,)]
    assert plan({"variables": {"b": []}}, ("b",)) == []


def test_references_nest_and_reach_the_environment():
    config = {
        "parameters": {
            "fam": "x",
            "x.img": "i:1",
            "img": "${${fam}.img}",
            "keep": "$ROOT",
            "out": "${ROOT}/${fam}",
        }
    }
    assert plan(config, ("img", "keep", "out")) == [("i:1", "$ROOT", "/root0/x")]


@pytest.mark.parametrize(
    ("parameters", "name", "why"),
    [
        ({"a": "x $(1 + 1)$"}, "a", "'a' has a Python expression"),
        ({"a": "${b}", "b": "$(open('f').read())$"}, "a", "'b' has a Python expression"),
        ({"a": "${NOWHERE}"}, "a", "neither a parameter nor an environment variable"),
        ({"a": "${b}", "b": "${a}"}, "a", "'a' depends on itself"),
    ],
)
def test_a_value_that_cannot_be_known_is_refused(parameters, name, why):
    (benchmark,) = expand(read({"parameters": parameters}), {}).benchmarks
    with pytest.raises(Unresolved, match=why.replace("(", r"\(")):
        References(benchmark, ENVIRONMENT).value(name)


def test_a_parameter_may_be_described():
    config = {"parameters": {"a": {"val": 3, "type": "int", "desc": ["how", "many"]}}}
    assert plan(config, ("a",)) == [(3,)]


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (
            {"parameters": {"a": "${b}", "b": "1"}, "extensions": [{"condition": {"a": "1"}}]},
            'whose value "${b}" depends on others',
        ),
        (
            {"parameters": {"v": 1}, "extensions": [{"condition": {"v": "1"}}]},
            "the condition on 'v' is a text, but its value is 1",
        ),
        (
            {"parameters": {"v": "1"}, "extensions": [{"condition": {"v": "("}}]},
            "'(' is not a regular expression",
        ),
        (
            {
                "parameters": {"v": "1"},
                "extensions": [
                    {"condition": {"v": "1"}, "parameters": {"a": "${__condition.v_1}"}}
                ],
            },
            "'${__condition.v_1}' does not exist; the condition gives '${__condition.v_0}'",
        ),
        ({"variables": {name: list(range(100)) for name in "abc"}}, "1,000,000 benchmarks or more"),
        pytest.param(
            {"extensions": [{"cases": [{"a": n} for n in range(400)]}] * 3},
            "the limit is 100,000",
            marks=pytest.mark.slow,
        ),
        ({"parameters": {"sys.plan_builder.var_order": "b"}}, 'is "b", not a list of names'),
    ],
)
def test_what_breaks_off_in_dlbs_is_one_line_here(config, said):
    assert said in refused(config)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{\n  // a comment\n}", "c.json:2:3: this is not JSON: "),
        ("{\n  // a comment\n}", "; remove the comment"),
        ('{"parameters": {"a": 1,}}', "remove the comma before it"),
        ("{'a': 1}", "c.json:1:2: this is not JSON"),
        ('{"parameters": {"a": NaN}}', "NaN is not a value of JSON"),
        ("[" * 100_000, "nested too deep"),
        ("[]", "c.json:1:1: a configuration is [], not an object"),
        ('{\n  "extention": []\n}', "c.json:2:3: unknown key 'extention'; did you mean"),
        (
            '{"extensions": [\n  {"condition": {}},\n  {"conditions": {}}]}',
            "c.json:3:4: unknown key 'conditions'; did you mean 'condition'?",
        ),
        ('{"extensions": {}}', "c.json:1:2: extensions is {}, not a list"),
        ('{"extensions": [1]}', "c.json:1:17: an extension is 1, not an object"),
        ('{"variables": {\n"a": [[1], {"b": 2}]}}', "c.json:2:12: the value of 'a' is"),
        ('{"parameters": {"a": {"value": 1}}}', "c.json:1:17: the description of 'a' has no 'val'"),
        ('{"parameters": {"a\\u001b": {}}}', "'a\\x1b'"),
    ],
)
def test_a_mistake_has_a_line_and_a_column(text, said):
    message = refused(text)
    assert said in message


def test_a_repeated_key_is_said():
    found = read('{"parameters": {"a": 1,\n  "a": 2}}')
    assert found.parameters == {"a": 2}
    assert found.traps == ("c.json:2:3: 'a' is here a second time; only the last one counts",)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"{}\n\xff", "c.json:2:1: this is not UTF-8"),
        (b" " * (2**20 + 1), "larger than 1 MiB"),
    ],
)
def test_a_file_that_is_not_text_is_refused(tmp_path, monkeypatch, data, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "c.json").write_bytes(data)
    with pytest.raises(RequestError, match=said):
        json_text.read((tmp_path / "c.json").relative_to(tmp_path))


VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=10,
)


@pytest.mark.slow
@given(VALUES, st.sampled_from([None, 0, 3]))
def test_every_key_and_element_has_its_place(value, indent):
    text = json_text.parse(json.dumps(value, indent=indent), "f")
    assert text.value == value
    lines = text.text.split("\n")

    def check(one, path):
        members = one.items() if isinstance(one, dict) else enumerate(one)
        for step, inner in members:
            _, line, column = text.place((*path, step)).rsplit(":", 2)
            rest = lines[int(line) - 1][int(column) - 1 :]
            start = json.dumps(step if isinstance(one, dict) else inner)
            assert rest.startswith(start if isinstance(one, dict) else start[0])
            if isinstance(inner, dict | list):
                check(inner, (*path, step))

    if isinstance(value, dict | list):
        check(value, ())
    assert list(text.repeated()) == []


SCALARS = st.one_of(st.sampled_from(["", "a", "ab", "${a}", "$(1)$", "["]), st.integers(0, 2))
NAMES = st.sampled_from(["a", "b", "exp.model", "exp.gpus"])
PARAMETERS = st.dictionaries(NAMES, st.one_of(SCALARS, st.lists(SCALARS, max_size=2)), max_size=3)


@pytest.mark.slow
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "parameters": PARAMETERS,
            "variables": st.dictionaries(NAMES, st.lists(SCALARS, max_size=3), max_size=2),
            "extensions": st.lists(
                st.fixed_dictionaries(
                    {},
                    optional={
                        "condition": PARAMETERS,
                        "parameters": PARAMETERS,
                        "cases": st.lists(PARAMETERS, max_size=2),
                    },
                ),
                max_size=3,
            ),
        },
    )
)
def test_any_configuration_gives_a_plan_or_one_line(config):
    message, made = "", None
    try:
        made = len(expand(read(config), {}).benchmarks)
    except RequestError as error:
        message = str(error)
    sizes = [len(values) for values in config.get("variables", {}).values()]
    assert message.isprintable()
    assert made is None or (made == 0) == (0 in sizes)
