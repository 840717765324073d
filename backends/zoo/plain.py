"""Networks without branches: fully connected ones, AlexNets, OverFeat and VGG."""

ACROSS_CHANNELS = {"size": 5, "alpha": 1e-4, "beta": 0.75, "k": 1.0}
DROPOUT = 0.5


def fully_connected(g, x, widths):
    """Dense layers with ReLU, then the classifier; an image is flattened first."""
    if len(x.shape) == 3:
        x = g.flatten(x)
    for width in widths:
        x = g.relu(g.dense(x, width))
    return g.dense(x, g.classes)


def _classifier(g, x, widths):
    x = g.flatten(x)
    for width in widths:
        x = g.dropout(g.relu(g.dense(x, width)), DROPOUT)
    return g.dense(x, g.classes)


def alexnet(g, x, widths, normalised):
    """AlexNet with one group everywhere; `normalised` puts an LRN before pools 1 and 2."""

    def convolve(x, index, kernel, stride=1, pad=0):
        return g.relu(g.conv(x, widths[index], kernel, stride=stride, pad=pad))

    def shrink(x):
        if normalised:
            x = g.lrn(x, **ACROSS_CHANNELS)
        return g.max_pool(x, 3, stride=2)

    x = shrink(convolve(x, 0, 11, stride=4))
    x = shrink(convolve(x, 1, 5, pad=2))
    x = convolve(x, 2, 3, pad=1)
    x = convolve(x, 3, 3, pad=1)
    x = g.max_pool(convolve(x, 4, 3, pad=1), 3, stride=2)
    return _classifier(g, x, (4096, 4096))


def overfeat(g, x):
    """The "fast" OverFeat."""
    x = g.max_pool(g.relu(g.conv(x, 96, 11, stride=4)), 2, stride=2)
    x = g.max_pool(g.relu(g.conv(x, 256, 5)), 2, stride=2)
    for width in (512, 1024, 1024):
        x = g.relu(g.conv(x, width, 3, pad=1))
    return _classifier(g, g.max_pool(x, 2, stride=2), (3072, 4096))


def vgg(g, x, depths):
    """Five stages of 3x3 convolutions; `depths` counts them per stage."""
    for stage, (depth, width) in enumerate(zip(depths, (64, 128, 256, 512, 512)), 1):
        with g.scope("stage%d" % stage):
            for _ in range(depth):
                x = g.relu(g.conv(x, width, 3, pad=1))
            x = g.max_pool(x, 2, stride=2)
    return _classifier(g, x, (4096, 4096))
