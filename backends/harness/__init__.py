"""What every backend shares: arguments, data, warm-up, the timed loop, events, parity.

Framework-free: the standard library and NumPy, Python 3.5 and later. A framework plugs
in as one object or module (`backends/<framework>/step.py`) that has:

``FRAMEWORK``
    The framework's id, as a user types it.
``OPTIONS``
    Tuple of `backends.knobs.Option`: the knobs ``--option key=value`` may set. A knob that is
    not set reaches `prepare` as ``"auto"``.
``version()``
    The framework's version. The first thing called; may import the framework.
``classify(error)``
    "out_of_memory" for an exception that means so, "unsupported" likewise, else None.
``prepare(settings, graph)``
    A `job.Job`, ready to step: weights and synthetic data are where they are used, and
    what cannot run has raised `errors.Unsupported`. `settings` is `arguments.Settings`.
``self_check()``
    One line on what was checked; raises when something is wrong. Seconds, not minutes.

optionally, for files of the user's own (see `own`):

``FILES``, ``read_file(path, settings)``, ``prepare_file(settings, network)``
    The ends of their names; the network in such a file, an `own.OwnNetwork`; a `job.Job` of it,
    which has run once.

and for parity, where `settings` are those of the benchmark whose computation is compared: its
phase, number type, device, batch and options:

``shapes(graph)``
    Yields (node name, shape without batch) of the built network, in drawing order.
``forward(settings, graph, values, inputs)``
    Logits as the benchmark computes them, as a float32 array.
``BIASED_VARIANCE``
    Optional: the devices on which the framework feeds running variances the biased batch
    variance, which the zoo's definition does not. P3 then expects that.
``REPLACES_STATISTICS``
    Optional: True where the first step's statistics replace the running ones.
``LOSS_CEILING``
    Optional: the largest loss of one sample that the framework can tell, where it keeps a
    probability from being zero; gradients know no such limit.
``activations(settings, graph, values, inputs)``
    Yields (node name, float32 array) in drawing order, nothing fused or overwritten.
``training_step(settings, graph, values, inputs, labels, precise=False)``
    The benchmark's step of SGD, at `parity.RATE` with dropout off, as `parity.Step`; in
    float64 when `precise`, for which a framework that has none raises `errors.Unsupported`.
    Half precision: gradients as they are without the scale of the loss, weights as they are
    kept for the next step.
    If the steps it returns have `decisions`, it must also take them by that name, and then
    fall on the same side at every ReLU and max pooling.
"""

VERSION = "0.1.0"
