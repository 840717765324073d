"""GoogLeNet as released by BVLC, without the auxiliary heads, which are only for training."""

from backends.zoo.plain import ACROSS_CHANNELS

# Block: 1x1 | 1x1, 3x3 | 1x1, 5x5 | pool, 1x1.
STAGES = (
    (
        ("3a", 64, 96, 128, 16, 32, 32),
        ("3b", 128, 128, 192, 32, 96, 64),
    ),
    (
        ("4a", 192, 96, 208, 16, 48, 64),
        ("4b", 160, 112, 224, 24, 64, 64),
        ("4c", 128, 128, 256, 24, 64, 64),
        ("4d", 112, 144, 288, 32, 64, 64),
        ("4e", 256, 160, 320, 32, 128, 128),
    ),
    (
        ("5a", 256, 160, 320, 32, 128, 128),
        ("5b", 384, 192, 384, 48, 128, 128),
    ),
)


def googlenet(g, x):
    """GoogLeNet; pools that halve round up (112, 56, 28, 14, 7)."""
    x = _shrink(g, g.relu(g.conv(x, 64, 7, stride=2, pad=3)))
    x = g.lrn(x, **ACROSS_CHANNELS)
    x = g.relu(g.conv(x, 64, 1))
    x = g.relu(g.conv(x, 192, 3, pad=1))
    x = g.lrn(x, **ACROSS_CHANNELS)
    for blocks in STAGES:
        x = _shrink(g, x)
        for block in blocks:
            with g.scope("inception_" + block[0]):
                x = _inception(g, x, block[1:])
    x = g.flatten(g.avg_pool(x, 7))
    return g.dense(g.dropout(x, 0.4), g.classes)


def _shrink(g, x):
    return g.max_pool(x, 3, stride=2, round_up=True)


def _inception(g, x, widths):
    a, b1, b2, c1, c2, d = widths

    def convolve(x, filters, kernel):
        return g.relu(g.conv(x, filters, kernel, pad=kernel // 2))

    return g.concat(
        [
            convolve(x, a, 1),
            convolve(convolve(x, b1, 1), b2, 3),
            convolve(convolve(x, c1, 1), c2, 5),
            convolve(g.max_pool(x, 3, pad=1), d, 1),
        ]
    )
