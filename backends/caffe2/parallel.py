"""One net for several devices, made by Caffe2's own `data_parallel_model`.

Every device gets a copy of the network in a name scope of its own, such as ``gpu_0/``. The losses
are divided by the number of devices. In each step the gradients of all copies are summed up, by
NCCL or on the first device, and handed to all of them, which make the same update; the running
statistics of the first copy are handed to the others.
"""

import logging

from caffe2.python import core, data_parallel_model, model_helper
from caffe2.python.modeling.parameter_info import ParameterTags

from backends.caffe2 import build as builder

# It describes every step of making a net.
logging.getLogger("data_parallel_model").setLevel(logging.WARNING)


def build(graph, training, place, net_type, nccl, **choices):
    """The `build.Built` of all copies of a `device.Place`; `choices` are those of `build.write`.

    Its blobs are named without the copies' prefixes.
    """
    model = model_helper.ModelHelper(graph.name, init_params=training)
    writers = []

    def forward(model, scale):
        writer = builder.write(model.net, graph, training, place.gpu, **choices)
        writers.append(writer)
        if not training:
            return []
        for parameter in graph.parameters:
            _declare(model, parameter, None)
        for statistic in graph.statistics:
            _declare(model, statistic, ParameterTags.COMPUTED_PARAM)
        return [builder.add_loss(writer, scale)]

    def update(model):
        for parameter in graph.parameters:
            gradient = model.param_to_grad[core.ScopedBlobReference(parameter.name)]
            builder.add_update(writers[0], parameter, gradient)

    data_parallel_model.Parallelize(
        model,
        input_builder_fun=_fed,
        forward_pass_builder_fun=forward,
        param_update_builder_fun=update if training else None,
        devices=list(range(len(place.copies))),
        net_type=net_type,
        use_nccl=nccl,
        **_where(place, choices),
    )
    return builder.Built(model.net, writers[0].blobs)


def _declare(model, array, tag):
    """Make an array one of the model's.

    It must be written by the net that initializes them, which is never run: they are fed.
    """
    shape = list(array.shape)
    model.AddParameter(model.param_init_net.ConstantFill([], [array.name], shape=shape), tag)


def _fed(_model):
    """No operators read the batches: they are fed."""


def _where(place, choices):
    """Arguments of `Parallelize` for the kind of device."""
    if place.gpu:
        return {}
    # More workers would share the threads of one copy; the release of August 2018 has no `ideep`.
    kind = {"ideep": True} if choices.get("ideep") else {"cpu_device": True}
    return dict(kind, num_threads_per_device=1)
