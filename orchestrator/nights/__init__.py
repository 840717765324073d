"""Judges nights: what got slower, whether it is real, and what can be seen at all.

`judge` is the rule of docs/nights.md; everything here is pure and works on plain numbers.
"""

from orchestrator.nights.judgement import Judgement, judge
from orchestrator.nights.rule import CONTROL, SERIES, Rule

__all__ = ["CONTROL", "SERIES", "Judgement", "Rule", "judge"]
