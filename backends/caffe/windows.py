"""Windows of convolutions and pooling, as Caffe slides them.

Caffe cannot pad only at the end and rounds pooling up, so the geometry of a window is translated,
and refused if Caffe cannot do exactly the same.
"""

from backends.harness.errors import Unsupported


def _pair(name, pair):
    """One or two fields of a window: kernel, stride or pad."""
    if name == "kernel":
        return [("kernel_h", pair[0]), ("kernel_w", pair[1])]
    return [(name + "_h", pair[0]), (name + "_w", pair[1])]


def window_fields(node):
    """The fields of kernel, stride and (beginning) padding."""
    a = node.attrs
    return _pair("kernel", a["kernel"]) + _pair("stride", a["stride"]) + _pair("pad", a["pad"][:2])


def check_conv(node):
    """Raise Unsupported if Caffe's convolution would make another number of windows."""
    a = node.attrs
    for axis in (0, 1):
        # Caffe pads both ends alike; more at the end than requested must not add a window.
        size, pad = node.inputs[0].shape[1 + axis], a["pad"][axis]
        count = (size + 2 * pad - a["kernel"][axis]) // a["stride"][axis] + 1
        if count != node.shape[1 + axis]:
            raise Unsupported("Caffe cannot pad %s only at one end" % node.name)


def pooled_size(node, axis):
    """How many windows Caffe makes: rounded up, but none that starts in the end padding."""
    a = node.attrs
    size, pad, stride = node.inputs[0].shape[1 + axis], a["pad"][axis], a["stride"][axis]
    count = -(-(size + 2 * pad - a["kernel"][axis]) // stride) + 1
    if pad and (count - 1) * stride >= size + pad:
        count -= 1
    return count


def is_whole(node, axis):
    """Whether the last window ends within the padding, which Caffe counts as zeros."""
    a = node.attrs
    end = (node.shape[1 + axis] - 1) * a["stride"][axis] + a["kernel"][axis]
    return end <= node.inputs[0].shape[1 + axis] + 2 * a["pad"][axis]
