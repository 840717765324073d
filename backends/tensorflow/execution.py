"""Two ways to run the constructed operations, with the same six methods.

`work` is a function without arguments that adds operations on variables and returns (tensors to
return, operations that must have run).
"""

import inspect

import tensorflow as tf

from backends.tensorflow.build import v1


class Function(object):
    """TensorFlow 2: work is traced once and called as one function."""

    def __init__(self, _config, xla, around=None):
        """`xla` compiles the whole function; `around` makes work part of what processes share."""
        self._around = around
        self._keywords = {}
        # In some releases (2.6) a concrete function does not keep alive what it reads.
        self._variables = []
        if xla:
            known = inspect.signature(tf.function).parameters
            name = "jit_compile" if "jit_compile" in known else "experimental_compile"
            self._keywords = {name: True}

    def variable(self, name, array):
        """A variable on the device."""
        found = tf.Variable(array, name=name.replace(".", "_"), trainable=False)
        self._variables.append(found)
        return found

    def compile(self, work):
        """A callable that does the work and returns a list of tensors."""

        def outputs():
            tensors, operations = work()
            with tf.control_dependencies(operations):
                return [tf.identity(tensor) for tensor in tensors]

        if self._around is not None:
            outputs = self._around(outputs)
        return tf.function(outputs, autograph=False, **self._keywords).get_concrete_function()

    def assign(self, variable, array):
        """Another value for a variable."""
        variable.assign(array)

    def values(self, variables):
        """As arrays, in their order."""
        return [variable.numpy() for variable in variables]

    def array(self, tensor):
        """What a compiled callable returned, as an array; waits for the device."""
        return tensor.numpy()

    def close(self):
        """Nothing to free."""


class Session(object):
    """TensorFlow 1: work is drawn into one graph and run in a session."""

    def __init__(self, config, xla, around=None):
        """`xla` lets it cluster operations."""
        del around  # a graph needs nothing around it
        if xla:
            jit = config.graph_options.optimizer_options
            jit.global_jit_level = v1.OptimizerOptions.ON_1
        self._graph = tf.Graph()
        self._session = v1.Session(graph=self._graph, config=config)
        self._pending = []  # variables and the values they are to get

    def variable(self, name, array):
        """A variable on the device; its value is outside of the graph, which has at most 2 GiB."""
        with self._graph.as_default():
            found = v1.get_variable(
                name.replace(".", "_"),
                array.shape,
                tf.as_dtype(array.dtype),
                initializer=v1.zeros_initializer(),
                trainable=False,
                use_resource=True,
            )
        self._pending.append((found, array))
        return found

    def _settle(self):
        """Give variables their pending values.

        All in one run: a run after the graph grew takes as long as the graph is large, so that one
        for each variable of inception3 took two minutes (1.15.5).
        """
        if self._pending:
            operations = [variable.initializer for variable, _ in self._pending]
            feeds = {variable.initializer.inputs[1]: array for variable, array in self._pending}
            self._session.run(operations, feeds)
            self._pending = []

    def compile(self, work):
        """A callable that does the work and returns a list of arrays."""
        with self._graph.as_default():
            tensors, operations = work()
            with tf.control_dependencies(operations):
                tensors = [tf.identity(tensor) for tensor in tensors]
        self._settle()
        return self._session.make_callable(tensors)

    def assign(self, variable, array):
        """Another value for a variable."""
        self._pending.append((variable, array))
        self._settle()

    def values(self, variables):
        """As arrays, in their order.

        One run fetches them all: TensorFlow 1 prunes the whole graph for every new set of fetches,
        seconds each in a large network.
        """
        self._settle()
        return self._session.run(list(variables))

    def array(self, array):
        """Sessions return arrays."""
        return array

    def close(self):
        """Free the device."""
        self._session.close()


KINDS = {"function": Function, "session": Session}
