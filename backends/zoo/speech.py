"""Deep Speech 2 as the published benchmarks time it: a proxy for the paper's network."""

EPS = 2e-5


def deep_speech2(g, x):
    """Two convolutions over (time, frequency), three bidirectional ReLU layers, bigrams."""
    x = g.conv(x, 32, (11, 41), stride=(3, 2), pad=(5, 20), bias=False)
    x = g.relu(g.batch_norm(x, EPS))
    x = g.conv(x, 32, (11, 21), stride=(1, 2), pad=(5, 10), bias=False)
    x = g.relu(g.batch_norm(x, EPS))
    return g.per_step(g.rnn(g.sequence(x), 2048, 3), g.classes)
