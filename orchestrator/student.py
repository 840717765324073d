"""Student's t: how many standard errors a 95 % interval extends to each side."""

from __future__ import annotations

# Two-sided 95 % quantiles of Student's t by degrees of freedom, from any textbook.
_TABLE = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
)  # fmt: skip
_NORMAL = 1.96
_BEYOND_TABLE = 2.5  # t(n) - 1.96 is about 2.5 / n beyond the table


def quantile_95(freedom: int) -> float:
    """Return the two-sided 95 % quantile. Raises ValueError below one degree of freedom."""
    if freedom < 1:
        raise ValueError("one value says nothing about variation")
    return _TABLE[freedom - 1] if freedom <= len(_TABLE) else _NORMAL + _BEYOND_TABLE / freedom
