"""The user's prototxt: read by Caffe's own schema, fed and run.

If Caffe itself finds a mistake later (a shape that does not fit), it prints it with glog and ends
the process; the host finds that line. Mistakes that can be found earlier are reported here.
"""

import io

import numpy as np

from backends.caffe import dialects, prototxt
from backends.caffe.pycaffe import (
    Forward,
    Placed,
    Solving,
    chosen,
    load,
    parse,
    rewritten,
    run,
)
from backends.caffe.text import as_file, render
from backends.harness.own_network import OwnNetwork, check_outputs
from backends.zoo import weights

# Layers that read a dataset, as named in Caffe's present and former prototxt formats.
DATABASES = ("Data", "ImageData", "HDF5Data", "WindowData", "AnnotatedData", "VideoData")
FORMER = ("DATA", "IMAGE_DATA", "HDF5_DATA", "WINDOW_DATA")
# Layers whose weights stay zero unless the file says how to fill them.
WEIGHTED = ("Convolution", "InnerProduct", "Deconvolution")


class CaffeNetwork(OwnNetwork):
    """A network in prototxt; `text` is what Caffe is given, `message` what it makes of it."""

    def __init__(self, path, dialect, settings):
        """Raise `DataProblem` or `Unsupported`, saying what is wrong with the file."""
        super(CaffeNetwork, self).__init__(path)
        self.training = settings.phase == "training"
        text = self._read()
        self.message = self._parsed(text)
        self._check_layers()
        self._check_engine(settings)
        known = dialects.head(dialect, **chosen(settings))
        fields = [(key, value) for key, value in known if not self.message.HasField(key)]
        self.text = render(fields) + text

    def _check_engine(self, settings):
        asked, named = settings.options.get("engine", "auto"), getattr(self.message, "engine", "")
        if asked != "auto" and named and asked != named:
            raise self.unsupported(
                "names the engine %s: remove --option engine=%s" % (named, asked)
            )

    def _read(self):
        try:
            with io.open(self.path, encoding="utf-8") as file:
                return file.read()
        except UnicodeDecodeError as error:
            raise self.broken(
                "is not text, so it is not prototxt: use the network's file"
            ) from error

    def _parsed(self, text):
        from google.protobuf import text_format

        try:
            message = parse(text)
        except text_format.ParseError as error:
            if "base_lr" in text:
                raise self.broken("is a solver's file: use the network's") from error
            raise self.broken("is not a network of this Caffe: %s; correct it" % error) from error
        if not message.layer and not message.layers:
            raise self.broken("has no layers: use a network's file")
        return message

    def active(self):
        """The layers of the phase; ignores `stage` and `level`."""
        phase = load().TRAIN if self.training else load().TEST
        for layer in list(self.message.layer) + list(self.message.layers):
            included = [rule for rule in layer.include if rule.HasField("phase")]
            excluded = [rule for rule in layer.exclude if rule.HasField("phase")]
            if included and not any(rule.phase == phase for rule in included):
                continue
            if not any(rule.phase == phase for rule in excluded):
                yield layer

    def _check_layers(self):
        known = set(load().layer_type_list())
        lacking = sorted({layer.type for layer in self.message.layer} - known)
        if lacking:
            raise self.unsupported(
                "has layers that this Caffe does not have (%s): use another fork"
                % ", ".join(lacking)
            )
        for layer in self.active():
            kind = layer.type
            if kind in DATABASES or (not isinstance(kind, str) and _former(layer) in FORMER):
                raise self.unsupported(
                    "reads a dataset in its layer %s: replace it by an Input layer with the shape"
                    % layer.name
                )

    def labels(self):
        """Names of blobs with the labels for losses and accuracies."""
        return {
            layer.bottom[1] for layer in self.active() if len(layer.bottom) > 1 and _judges(layer)
        }


def _former(layer):
    """The name of a former layer type, which is a number."""
    return layer.DESCRIPTOR.fields_by_name["type"].enum_type.values_by_number[layer.type].name


def _judges(layer):
    kind = layer.type if isinstance(layer.type, str) else _former(layer)
    return kind.upper().endswith("LOSS") or kind.upper() == "ACCURACY"


def prepare(backend, settings, network):
    """A ready job of the phase, after running one batch."""
    return (Training if network.training else Inference)(backend, settings, network)


class _Own(Placed):
    """Common to both phases: one input, and in training its labels."""

    def __init__(self, backend, settings, network):
        super(_Own, self).__init__(settings, backend.kernel)
        self.backend = backend
        self.net = self.open(settings, network)
        self.options.update(rewritten(backend.dialect, self.net, network.text, network.active()))
        self._input, self._label = self._inputs(network)
        self._set_batch(network, settings.batch)
        fill(self.net, settings.seed, backend.dialect)
        network.published = sum(
            blob.data.size for blobs in self.net.params.values() for blob in blobs
        )
        self.net.blobs[self._input].data[...] = weights.inputs(
            network, settings.batch, settings.seed
        )
        run(self.net)
        if self._label:
            self._fill_labels(network, settings)

    def open(self, settings, network):
        """Caffe's network."""
        raise NotImplementedError

    def _inputs(self, network):
        """Names of the input and, in training, of its labels, else None."""
        truths = network.labels() if network.training else set()
        names = [name for name in self.net.inputs if name not in truths]
        labels = [name for name in self.net.inputs if name in truths]
        if len(names) != 1 or len(labels) > 1:
            raise network.unsupported(
                "has %d inputs in this phase (%s), but only one can be fed%s: move the others to "
                "another phase with include { phase: ... }"
                % (
                    len(self.net.inputs),
                    ", ".join(self.net.inputs) or "none",
                    ", and one for labels" if network.training else "",
                )
            )
        return names[0], labels[0] if labels else None

    def _set_batch(self, network, batch):
        shape = tuple(self.net.blobs[self._input].data.shape)
        if len(shape) < 2:
            raise network.unsupported("has an input of shape %s: add a batch dimension" % (shape,))
        network.input_shape = shape[1:]
        for name in filter(None, (self._input, self._label)):
            blob = self.net.blobs[name]
            blob.reshape(batch, *blob.data.shape[1:])
        self.net.reshape()

    def _fill_labels(self, network, settings):
        """Fill with classes, or with numbers if a loss compares as many of them as it gets."""
        target = self.net.blobs[self._label].data
        stream = np.random.RandomState(settings.seed)
        scores = self._scores(network)
        if scores.size == target.size:
            target[...] = stream.random_sample(target.shape)
        else:
            target[...] = stream.randint(0, scores.shape[1], target.shape)

    def _scores(self, network):
        for layer in network.active():
            if len(layer.bottom) > 1 and layer.bottom[1] == self._label:
                return self.net.blobs[layer.bottom[0]].data
        raise network.unsupported("has labels that no loss uses: remove them")


class Inference(_Own, Forward):
    """Forward in the TEST phase."""

    def open(self, _settings, network):
        """See `_Own`."""
        with as_file(network.text) as path:
            return load().Net(path, load().TEST)

    def __init__(self, backend, settings, network):
        """Check the outputs of the first run."""
        super(Inference, self).__init__(backend, settings, network)
        outputs = [self.net.blobs[name] for name in self.net.outputs]
        check_outputs(network, settings.batch, [output.data.shape for output in outputs])
        self.read_out(self.net, outputs[-1])


class Training(_Own, Solving):
    """A step of the zoo's solver on the user's network."""

    def open(self, settings, network):
        """See `_Own`. A network without a loss cannot be trained."""
        # By its name: Caffe updates former prototxt only in files.
        with as_file(network.text) as path:
            text = prototxt.solver(
                self.backend.dialect,
                None,
                settings.device,
                dtype=settings.dtype,
                seed=settings.seed,
                path=path,
            )
            with as_file(text) as solver:
                opened = load().SGDSolver(solver)
        if not any(opened.net._blob_loss_weights):
            raise network.unsupported(
                "has no loss in the TRAIN phase: use --phase inference, or add a loss layer"
            )
        if not opened.net.params:
            raise network.unsupported("has no weights to train: use --phase inference")
        self.solve(opened)
        return opened.net

    def loss(self):
        """Of the last step: the sum of all losses with their weights."""
        pairs = zip(self.net.blobs.values(), self.net._blob_loss_weights)
        return float(sum(weight * blob.data.sum() for blob, weight in pairs if weight))


def fill(net, seed, dialect):
    """Set weights of layers that the file leaves at zero, which would not be realistic work."""
    stream = np.random.RandomState(seed)
    for name, layer in zip(net._layer_names, net.layers):
        if layer.type in WEIGHTED:
            values = net.params[name][0].data
            if values.size > 1 and not values.any():
                high = np.sqrt(6.0 / max(1, values[0].size))
                values[...] = stream.uniform(-high, high, values.shape)
        elif layer.type == "BatchNorm" and not dialect.averages:
            variance, weight = net.params[name][1].data, net.params[name][2].data
            if not weight.any():  # otherwise Caffe would divide by zero
                variance[...], weight[...] = 1, 1
