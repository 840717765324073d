"""Reproduces a published result: what it needs, the run, and the judgement."""
