"""Sliding windows of convolutions and pooling: their attributes and output sizes."""

from backends.zoo.checks import is_positive, require
from backends.zoo.node import GraphError


def _numbers(value):
    if type(value) is int:
        return (value, value)
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def window_attributes(name, kernel, stride, pad):
    """Attributes kernel (kh, kw), stride (sh, sw) and pad (top, left, bottom, right).

    Raises GraphError.
    """
    kernel, stride, pad = _numbers(kernel), _numbers(stride), _numbers(pad)
    pad = pad * 2 if len(pad) == 2 else pad
    for what, pair in (("kernel", kernel), ("stride", stride)):
        good = len(pair) == 2 and is_positive(pair[0]) and is_positive(pair[1])
        require(good, name, what + " must be a positive integer or two", pair)
    good = len(pad) == 4 and all(type(n) is int and n >= 0 for n in pad)
    require(good, name, "pad must be one, two or four integers, none negative", pad)
    return {"kernel": kernel, "stride": stride, "pad": pad}


def slide(name, shape, window):
    """Output height and width of a sliding window; only whole windows count. Raises GraphError."""
    top, left, bottom, right = window["pad"]
    sizes = (shape[1] + top + bottom, shape[2] + left + right)
    kernel, stride = window["kernel"], window["stride"]
    if sizes[0] < kernel[0] or sizes[1] < kernel[1]:
        raise GraphError(
            "%s: window %dx%d is larger than the %dx%d it slides over (padding included)"
            % ((name,) + kernel + sizes)
        )
    return (
        (sizes[0] - kernel[0]) // stride[0] + 1,
        (sizes[1] - kernel[1]) // stride[1] + 1,
    )


def padded_to_edge(shape, window):
    """The padding that turns a size that is rounded up (Caffe's pooling) into one that is rounded
    down.
    """
    top, left, bottom, right = window["pad"]
    kernel, stride = window["kernel"], window["stride"]
    height = shape[1] + top + bottom - kernel[0]
    width = shape[2] + left + right - kernel[1]
    return (top, left, bottom + -height % stride[0], right + -width % stride[1])
