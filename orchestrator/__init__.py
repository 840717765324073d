"""Host side of benchdock: plans, runs and files containerized deep-learning benchmarks."""
