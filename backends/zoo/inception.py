"""Inception-v3, Inception-v4 and Inception-ResNet-v2.

Every cell is a convolution without bias, batch normalisation and ReLU. A branch is a row of
``(filters, kernel)`` cells that keep height and width.
"""

EPS = 1e-3
DROPOUT = 0.2

# Kernels are (height, width).
ROW3, COLUMN3 = (1, 3), (3, 1)
ROW7, COLUMN7 = (1, 7), (7, 1)


def _unit(g, x, filters, kernel, *, stride=1, pad=0):
    """One cell; without `pad` it narrows."""
    x = g.conv(x, filters, kernel, stride=stride, pad=pad, bias=False)
    return g.relu(g.batch_norm(x, EPS))


def _same(g, x, filters, kernel):
    height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
    return _unit(g, x, filters, (height, width), pad=(height // 2, width // 2))


def _chain(g, x, *cells):
    """Units in a row that keep height and width."""
    for filters, kernel in cells:
        x = _same(g, x, filters, kernel)
    return x


def _halved(g, x, filters):
    return _unit(g, x, filters, 3, stride=2)


def _pool(g, x):
    return g.max_pool(x, 3, stride=2)


def _average(g, x, filters):
    return _same(g, g.avg_pool(x, 3, pad=1), filters, 1)


def _forked(g, x, filters):
    """1x3 and 3x1 side by side."""
    return [_same(g, x, filters, ROW3), _same(g, x, filters, COLUMN3)]


def _classifier(g, x):
    x = g.flatten(g.avg_pool(x, 8))
    return g.dense(g.dropout(x, DROPOUT), g.classes)


def _first_units(g, x):
    """Three units: 299 to 147."""
    x = _unit(g, _halved(g, x, 32), 32, 3)
    return _same(g, x, 64, 3)


def _stem(g, x):
    """192 channels at 35, in Inception-v3 and Inception-ResNet-v2."""
    x = _pool(g, _first_units(g, x))
    x = _unit(g, _same(g, x, 80, 1), 192, 3)
    return _pool(g, x)


# -- Inception-v3 --------------------------------------------------------------------------


def inception3(g, x):
    """Inception-v3 without the auxiliary head."""
    with g.scope("stem"):
        x = _stem(g, x)
    for index, filters in enumerate((32, 64, 64), 1):
        with g.scope("a%d" % index):
            x = _v3_a(g, x, filters)
    with g.scope("reduction_a"):
        x = g.concat([_halved(g, x, 384), _v3_shrunk(g, x), _pool(g, x)])
    for index, filters in enumerate((128, 160, 160, 192), 1):
        with g.scope("b%d" % index):
            x = _v3_b(g, x, filters)
    with g.scope("reduction_b"):
        x = _v3_reduction_b(g, x)
    with g.scope("c1"):
        x = _v3_c(g, x, g.avg_pool)
    with g.scope("c2"):
        x = _v3_c(g, x, g.max_pool)
    return _classifier(g, x)


def _v3_a(g, x, projected):
    return g.concat(
        [
            _same(g, x, 64, 1),
            _chain(g, x, (48, 1), (64, 5)),
            _chain(g, x, (64, 1), (96, 3), (96, 3)),
            _average(g, x, projected),
        ]
    )


def _v3_shrunk(g, x):
    return _halved(g, _chain(g, x, (64, 1), (96, 3)), 96)


def _v3_b(g, x, n):
    return g.concat(
        [
            _same(g, x, 192, 1),
            _chain(g, x, (n, 1), (n, ROW7), (192, COLUMN7)),
            _chain(g, x, (n, 1), (n, COLUMN7), (n, ROW7), (n, COLUMN7), (192, ROW7)),
            _average(g, x, 192),
        ]
    )


def _v3_reduction_b(g, x):
    return g.concat(
        [
            _halved(g, _same(g, x, 192, 1), 320),
            _halved(g, _chain(g, x, (192, 1), (192, ROW7), (192, COLUMN7)), 192),
            _pool(g, x),
        ]
    )


def _v3_c(g, x, pool):
    """The last block pools by maximum, as released; every other one averages."""
    return g.concat(
        [_same(g, x, 320, 1)]
        + _forked(g, _same(g, x, 384, 1), 384)
        + _forked(g, _chain(g, x, (448, 1), (384, 3)), 384)
        + [_same(g, pool(x, 3, pad=1), 192, 1)]
    )


# -- Inception-v4 --------------------------------------------------------------------------


def inception4(g, x):
    """Inception-v4; the stem's first join has the pool first, as in the Caffe release."""
    with g.scope("stem"):
        x = _v4_stem(g, x)
    for index in range(1, 5):
        with g.scope("a%d" % index):
            x = _v4_a(g, x)
    with g.scope("reduction_a"):
        shrunk = _halved(g, _chain(g, x, (192, 1), (224, 3)), 256)
        x = g.concat([_halved(g, x, 384), shrunk, _pool(g, x)])
    for index in range(1, 8):
        with g.scope("b%d" % index):
            x = _v4_b(g, x)
    with g.scope("reduction_b"):
        x = _v4_reduction_b(g, x)
    for index in range(1, 4):
        with g.scope("c%d" % index):
            x = _v4_c(g, x)
    return _classifier(g, x)


def _v4_stem(g, x):
    x = _first_units(g, x)
    x = g.concat([_pool(g, x), _halved(g, x, 96)])
    x = g.concat(
        [
            _unit(g, _same(g, x, 64, 1), 96, 3),
            _unit(g, _chain(g, x, (64, 1), (64, ROW7), (64, COLUMN7)), 96, 3),
        ]
    )
    return g.concat([_halved(g, x, 192), _pool(g, x)])


def _v4_a(g, x):
    return g.concat(
        [
            _same(g, x, 96, 1),
            _chain(g, x, (64, 1), (96, 3)),
            _chain(g, x, (64, 1), (96, 3), (96, 3)),
            _average(g, x, 96),
        ]
    )


def _v4_b(g, x):
    long = ((192, 1), (192, COLUMN7), (224, ROW7), (224, COLUMN7), (256, ROW7))
    return g.concat(
        [
            _same(g, x, 384, 1),
            _chain(g, x, (192, 1), (224, ROW7), (256, COLUMN7)),
            _chain(g, x, *long),
            _average(g, x, 128),
        ]
    )


def _v4_reduction_b(g, x):
    return g.concat(
        [
            _halved(g, _same(g, x, 192, 1), 192),
            _halved(g, _chain(g, x, (256, 1), (256, ROW7), (320, COLUMN7)), 320),
            _pool(g, x),
        ]
    )


def _v4_c(g, x):
    return g.concat(
        [_same(g, x, 256, 1)]
        + _forked(g, _same(g, x, 384, 1), 256)
        + _forked(g, _chain(g, x, (384, 1), (448, COLUMN3), (512, ROW3)), 256)
        + [_average(g, x, 256)]
    )


# -- Inception-ResNet-v2 -------------------------------------------------------------------

TOWERS_35 = (((32, 1),), ((32, 1), (32, 3)), ((32, 1), (48, 3), (64, 3)))
TOWERS_17 = (((192, 1),), ((128, 1), (160, ROW7), (192, COLUMN7)))
TOWERS_8 = (((192, 1),), ((192, 1), (224, ROW3), (256, COLUMN3)))


def inception_resnet_v2(g, x):
    """Inception-ResNet-v2 as its authors released it (TF-Slim)."""
    with g.scope("stem"):
        x = _stem(g, x)
    with g.scope("mixed_5"):
        x = _mixed_5(g, x)
    for index in range(1, 11):
        with g.scope("block35_%d" % index):
            x = g.relu(_residual(g, x, TOWERS_35, 0.17))
    with g.scope("reduction_a"):
        shrunk = _halved(g, _chain(g, x, (256, 1), (256, 3)), 384)
        x = g.concat([_halved(g, x, 384), shrunk, _pool(g, x)])
    for index in range(1, 21):
        with g.scope("block17_%d" % index):
            x = g.relu(_residual(g, x, TOWERS_17, 0.1))
    with g.scope("reduction_b"):
        x = _resnet_reduction_b(g, x)
    for index in range(1, 10):
        with g.scope("block8_%d" % index):
            x = g.relu(_residual(g, x, TOWERS_8, 0.2))
    with g.scope("block8_10"):
        x = _residual(g, x, TOWERS_8, 1.0)
    return _classifier(g, _same(g, x, 1536, 1))


def _mixed_5(g, x):
    return g.concat(
        [
            _same(g, x, 96, 1),
            _chain(g, x, (48, 1), (64, 5)),
            _chain(g, x, (64, 1), (96, 3), (96, 3)),
            _average(g, x, 64),
        ]
    )


def _resnet_reduction_b(g, x):
    return g.concat(
        [
            _halved(g, _same(g, x, 256, 1), 384),
            _halved(g, _same(g, x, 256, 1), 288),
            _halved(g, _chain(g, x, (256, 1), (288, 3)), 320),
            _pool(g, x),
        ]
    )


def _residual(g, x, towers, factor):
    """Towers joined and projected back with a bias, not normalised, then scaled."""
    joined = g.concat([_chain(g, x, *tower) for tower in towers])
    projected = g.conv(joined, x.shape[0], 1, name="up_conv")
    return g.add(x, g.scale(projected, factor))
