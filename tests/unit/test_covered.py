"""`make coverage`: packages are counted from coverage.py's report, and too little is named."""

import pytest

from tests import covered


def summary(branches, run):
    return {
        "summary": {
            "num_statements": 10,
            "covered_lines": 5,
            "num_branches": branches,
            "covered_branches": run,
        }
    }


def test_files_are_counted_by_package():
    packages = covered.count(
        {
            "orchestrator/run/a.py": summary(4, 1),
            "orchestrator/run/b.py": summary(6, 6),
            "orchestrator/cli.py": summary(2, 2),
        }
    )
    assert packages["orchestrator.run"].branch_share == 70
    assert packages["orchestrator"].branch_share == 100
    head, first, second = covered.table(packages)
    assert head.split() == ["package", "statements", "run", "branches", "run"]
    assert first.split() == ["orchestrator", "10", "50.0", "%", "2", "100.0", "%"]
    assert second.split() == ["orchestrator.run", "20", "50.0", "%", "10", "70.0", "%"]


def test_a_package_without_branches_is_measured_by_its_statements():
    assert covered.count({"orchestrator/x.py": summary(0, 0)})["orchestrator"].branch_share == 50


@pytest.mark.parametrize(
    ("of_run", "of_zoo", "complaints"),
    [
        (90, 80, []),
        (90, 79, ["backends.zoo: the unit tests run 79.0 % of the branches, fewer than 80 %"]),
        (
            89,
            100,
            ["all of orchestrator: the unit tests run 89.0 % of the branches, fewer than 90 %"],
        ),
    ],
)
def test_a_share_below_the_limit_is_named(of_run, of_zoo, complaints):
    files = {
        "orchestrator/run/a.py": summary(100, of_run),
        "backends/zoo/b.py": summary(100, of_zoo),
    }
    assert covered.too_low(covered.count(files)) == complaints
