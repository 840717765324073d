"""Common to all backends: arguments, data, warm-up, the timed loop, events, parity.

Framework-free: the standard library and NumPy, Python 3.5 and later. A framework provides one
object or module (`backends/<framework>/step.py`) with:

``FRAMEWORK``
    The framework's id, as a user types it.
``OPTIONS``
    Tuple of `backends.knobs.Option`: the knobs ``--option key=value`` may set. A knob that is
    not set reaches `prepare` as ``"auto"``.
``version()``
    The framework's version. The first thing called; may import the framework.
``classify(error)``
    "out_of_memory" for an exception that means so, "unsupported" likewise, else None.
``prepare(settings, graph, values)``
    A `job.Job`, ready to step: `values`, which map the names of all parameters and running
    statistics to float32 arrays, and synthetic data are where they are used, and what cannot run
    has raised `errors.Unsupported`. `settings` is `arguments.Settings`.
``self_check()``
    One line on what was checked; raises when something is wrong. Seconds, not minutes.

optionally, for the user's files (see `own`):

``FILES``, ``read_file(path, settings)``, ``prepare_file(settings, network)``
    The endings of their names; the network in such a file, an `own.OwnNetwork`; a `job.Job` of it,
    which has run once.

and for parity, which drives the very job that `prepare` returns (see `job.Job.feed`, `logits` and
`state`):

``shapes(graph)``
    Yields (node name, shape without batch) of the built network, in drawing order.
``activations(settings, graph, values, inputs)``
    Yields (node name, float32 array) in drawing order, nothing fused or overwritten; a node that
    the framework computes only as part of another may be left out. It only names the first node
    that differs once the job's logits do.
``BIASED_VARIANCE``
    Optional: the devices on which the framework feeds running variances the biased batch
    variance, which the zoo's definition does not. P3 then expects that.
``EVERY_LARGEST``
    Optional: the devices on which max pooling sends the gradient to every value that equals the
    largest, which P3 then expects.
``REPLACES_STATISTICS``
    Optional: True if the first step's statistics replace the running ones.
"""

VERSION = "0.1.0"
