"""Residual networks, activation after the sum.

The v1 networks are the authors' (stride in a bottleneck's first 1x1, pool1 not padded and
rounded up, a projection in every stage's first unit, a bias in resnet50's conv1 only);
v1.5 has the stride in the 3x3 and pool1 padded by 1, as torchvision has.
"""

EPS = 1e-5
WIDTHS = (64, 128, 256, 512)
# The last normalization of a residual branch has a separate name: test weights damp its gamma, or
# the sum would grow with depth.
LAST = "last_batch_norm"


def resnet(g, x, depths, unit, *, first_bias=False, padded_pool=False):
    """`depths` counts the units of each stage; `unit` draws one unit's branch."""
    x = g.conv(x, 64, 7, stride=2, pad=3, bias=first_bias)
    x = g.relu(g.batch_norm(x, EPS))
    x = g.max_pool(x, 3, stride=2, pad=1) if padded_pool else g.max_pool(x, 3, 2, round_up=True)
    for stage, (depth, width) in enumerate(zip(depths, WIDTHS), 1):
        for index in range(1, depth + 1):
            with g.scope("stage%d_unit%d" % (stage, index)):
                stride = 2 if stage > 1 and index == 1 else 1
                x = _residual(g, x, unit(g, x, width, stride), stride, project=index == 1)
    x = g.flatten(g.avg_pool(x, 7))
    return g.dense(x, g.classes)


def basic(g, x, width, stride):
    """Two 3x3 convolutions."""
    x = _normalised_relu(g, g.conv(x, width, 3, stride=stride, pad=1, bias=False))
    x = g.conv(x, width, 3, pad=1, bias=False)
    return g.batch_norm(x, EPS, name=LAST)


def bottleneck(g, x, width, stride):
    """1x1, 3x3, 1x1 with the stride in the first: v1."""
    return _bottleneck(g, x, width, (stride, 1))


def bottleneck_v1_5(g, x, width, stride):
    """1x1, 3x3, 1x1 with the stride in the 3x3: v1.5."""
    return _bottleneck(g, x, width, (1, stride))


def _bottleneck(g, x, width, strides):
    x = _normalised_relu(g, g.conv(x, width, 1, stride=strides[0], bias=False))
    x = _normalised_relu(g, g.conv(x, width, 3, stride=strides[1], pad=1, bias=False))
    x = g.conv(x, 4 * width, 1, bias=False)
    return g.batch_norm(x, EPS, name=LAST)


def _residual(g, x, branch, stride, project):
    if project:
        x = g.conv(x, branch.shape[0], 1, stride=stride, bias=False, name="shortcut_conv")
        x = g.batch_norm(x, EPS, name="shortcut_batch_norm")
    return g.relu(g.add(x, branch))


def _normalised_relu(g, x):
    return g.relu(g.batch_norm(x, EPS))
