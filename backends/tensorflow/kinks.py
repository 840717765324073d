"""Which way ReLU and max pooling decided, so that two precisions can be compared.

A value within rounding of zero may fall on either side, and one such decision moves a
gradient norm far more than rounding does; the double-precision step that judges a
single-precision one takes the same decisions.
"""

import tensorflow as tf


class Recorder(object):
    """Computes as usual and remembers the decisions, in order."""

    def __init__(self):
        """Nothing is decided yet."""
        self.decisions = []

    def relu(self, x):
        """Remember what was positive."""
        self.decisions.append(x > 0)
        return tf.nn.relu(x)

    def max_pool(self, x, kernel, stride, padding):
        """Remember where the largest values were, as places in the flat input, channels last."""
        y, places = tf.nn.max_pool_with_argmax(
            x, [1, *kernel, 1], [1, *stride, 1], padding, include_batch_in_index=True
        )
        self.decisions.append(places)
        return y


class Player(object):
    """Takes the decisions of a `Recorder`, given as arrays."""

    def __init__(self, decisions):
        """One drawing uses them up."""
        self.decisions = []
        self._left = iter(decisions)

    def relu(self, x):
        """Let the same numbers through."""
        return x * tf.cast(tf.constant(next(self._left)), x.dtype)

    def max_pool(self, x, _kernel, _stride, _padding):
        """Take the same numbers."""
        return tf.gather(tf.reshape(x, [-1]), tf.constant(next(self._left)))
