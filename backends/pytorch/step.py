"""Training and inference steps, and functions for parity and the self check.

Fulfils the contract in `backends.harness`.
"""

import warnings
from collections import OrderedDict

import torch
from torch import nn
from torch.nn import functional

from backends.harness import data, errors, release, smoke
from backends.harness.job import Fed, State
from backends.harness.sgd import LEARNING_RATE, MOMENTUM
from backends.options import DATA_PLACE, PINNED
from backends.pytorch import capture, device, option_defaults, placing, reader, releases
from backends.pytorch.build import build
from backends.pytorch.releases import HALF, layout

TYPE_CHECKING = False  # mypy takes it for true; typing has it since Python 3.5.2 only
if TYPE_CHECKING:
    from backends.harness.contract import Array, Arrays, Graph, Job, Kind, Settings, Shapes, Values

FRAMEWORK = "pytorch"
OPTIONS = option_defaults.OPTIONS
READER = reader

# Calls after which TorchScript has seen the shapes and fused its graph.
FUSED_AFTER = 2

_MEMORY_WORDS = ("you tried to allocate",)
_UNSUPPORTED_WORDS = errors.GPU_WORDS + ("not implemented for '",)


def version() -> str:
    """As PyTorch reports it, with its build: 2.13.0+cpu. Raises `Unsupported` if it is too old."""
    found = str(torch.__version__)
    release.check("PyTorch", found, releases.LEAST)
    return found


def classify(error: Exception) -> "Kind":
    """PyTorch reports most errors as RuntimeError; only the text differs."""
    unsupported = _UNSUPPORTED_WORDS if isinstance(error, RuntimeError) else ()
    return errors.kind_by_words(error, _MEMORY_WORDS, unsupported)


# -- benchmarks ----------------------------------------------------------------------------


def prepare(settings: "Settings", graph: "Graph", values: "Arrays") -> "Job":
    """A ready job; see the contract."""
    place, where, threads, used = _settle(settings, graph)
    device.join(place, where)
    kind = Training if settings.phase == "training" else Inference
    prepared = kind(settings, graph, values, used, place, where)
    prepared.threads = threads
    return prepared


def _settle(settings, graph):
    """(place, device, threads, options used), the device set to this precision."""
    option_defaults.check_dtype(settings)
    place = device.world(settings)
    where = device.open_device(settings, place)
    threads = device.set_threads(settings)
    used = option_defaults.resolve(settings, graph.kind, device.facts(where))
    device.set_precision(settings.dtype, used["cudnn_benchmark"] == "on")
    return place, where, threads, used


class Step(Fed, device.DeviceJob):
    """Common to training and inference: data in place, options recorded, graphs."""

    def __init__(self, settings, graph, used, place, where):
        """Fill in `_work` and call `_begin` at the end."""
        super(Step, self).__init__(settings, place, where)
        self.options = OrderedDict(used)
        self.options[DATA_PLACE] = placing.place_of(settings)
        self._pinned = placing.Pinned(settings.data is None or settings.measure == "copy")
        pinned = self.options[DATA_PLACE] == PINNED
        source = data.source(settings, graph, place.rank, place.size, READER)
        self.feeds = [(source, self._feed_pinned if pinned else self.feed)]
        x, y = source.next()
        self._x = torch.from_numpy(x).to(where).contiguous(**layout(used))
        self._y = torch.from_numpy(y).to(where)
        self._run = self._work

    def _begin(self):
        if self.options["cuda_graphs"] == "on":
            self._run = capture.captured(self._work, self._tidy)

    def _tidy(self):
        """Free what one step leaves for the next."""

    def _work(self):
        raise NotImplementedError

    def work(self):
        """One step, as a graph or not."""
        self._run()

    def feed(self, inputs, labels):
        """Copy a batch to where the steps read theirs."""
        self._x.copy_(torch.from_numpy(inputs))
        self._y.copy_(torch.from_numpy(labels))

    def _feed_pinned(self, inputs, labels):
        self._pinned.copy((inputs, labels), (self._x, self._y))


class Inference(Step):
    """Forward to logits in evaluation mode without gradients."""

    def __init__(self, settings, graph, values, used, place, where):
        """See `Step`."""
        super(Inference, self).__init__(settings, graph, used, place, where)
        if settings.dtype in HALF:
            self._x = self._x.to(HALF[settings.dtype])
        self._network = inference_network(graph, values, used, self._x)
        self._logits = None
        self._begin()

    def _work(self):
        with releases.no_gradients():
            self._logits = self._network(self._x)

    def logits(self):
        """Of the last step."""
        return self._logits.float().cpu().numpy()


class Training(Step):
    """Forward, loss, backward and a momentum SGD update."""

    def __init__(self, settings, graph, values, used, place, where):
        """See `Step`."""
        super(Training, self).__init__(settings, graph, used, place, where)
        network = build(graph).load(values).train().to(where, **layout(used))
        self._built = network
        self._optimizer = make_optimizer(network, used["optimizer"], LEARNING_RATE)
        self.options.update(learning_rate=LEARNING_RATE, momentum=MOMENTUM)
        if place.size > 1:
            self.options["parallel"] = "DistributedDataParallel"
            first = graph.parameters[0].name
            self.note_last_gradient(network.tensors()[first])
            network = releases.data_parallel(network, where)
        self._network = compiled(network, used)
        self._criterion = criterion(graph)
        self._autocast = releases.autocast(where, settings.dtype)
        self._scaler = None
        if settings.dtype == "float16":
            self._scaler = releases.loss_scaler(where)
        if settings.dtype in HALF:
            self.options["mixed_precision"] = "autocast"
        self._loss = None
        self._begin()

    def _work(self):
        releases.clear_gradients(self._optimizer)
        with self._autocast:
            logits = self._network(self._x)
        loss = self._criterion(logits.float(), self._y)
        if self._scaler is None:
            loss.backward()
            self._optimizer.step()
        else:
            self._scaler.scale(loss).backward()
            self._scaler.step(self._optimizer)
            self._scaler.update()
        self._loss = loss.detach()

    def _tidy(self):
        releases.clear_gradients(self._optimizer)

    def loss(self):
        """Of the last step, on this device's batch."""
        return self._loss.item()

    def state(self):
        """Copies of the state of optimizer and normalizations."""
        graph, tensors = self._built.graph, self._built.tensors()
        weights = OrderedDict((p.name, tensors[p.name]) for p in graph.parameters)
        statistics = OrderedDict((s.name, tensors[s.name]) for s in graph.statistics)
        kept = self._optimizer.state
        velocities = OrderedDict()
        for name, weight in weights.items():
            velocity = kept.get(weight, {}).get("momentum_buffer")
            # There is none before the first step.
            velocities[name] = torch.zeros_like(weight) if velocity is None else velocity
        return State(_arrays(weights), _arrays(velocities), _arrays(statistics))


def compiled(network, used):
    """The network through torch.compile, if chosen; compilation happens in warm-up."""
    if used["compile"] == "off":
        return network
    mode = {"default": None, "max-autotune": "max-autotune-no-cudagraphs"}[used["compile"]]
    return torch.compile(network, mode=mode, dynamic=False)


def inference_network(graph, values, used, example):
    """A callable network with its weights in place, for inputs like the example."""
    network = build(graph, fold=used["fold_batch_norm"] == "on")
    network = placed(network.load(values).eval(), example).to(example.device, **layout(used))
    if used["freeze"] == "on":
        return frozen(network, example, used["optimize"])
    return compiled(network, used)


def placed(network, example):
    """A network for inference on the device and in the type of its inputs."""
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    network = network.to(example.device, example.dtype)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.float()  # native kernels take half values with float32 statistics
    return network


def frozen(network, example, optimize):
    """TorchScript with constant weights. Deprecated, but still the fastest on a CPU.

    `optimize` is the option: "layouts" keeps them, and what one layer passes to the next, in
    oneDNN's layouts; "fusion" also lets it compute several layers at a time.
    """
    with torch.no_grad(), warnings.catch_warnings(), releases.onednn_graph(optimize == "fusion"):
        # TorchScript cannot save tensors of inference mode, hence no_grad.
        warnings.simplefilter("ignore", DeprecationWarning)
        # Only empty batches would take another path through the network.
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        traced = torch.jit.trace(network, example, check_trace=False)
        made = torch.jit.freeze(traced.eval())
        if optimize == "layouts":
            return torch.jit.optimize_for_inference(made)
        for _ in range(FUSED_AFTER if optimize == "fusion" else 0):
            made(example)
        return made


def make_optimizer(network, how, rate):
    """Momentum SGD; `how` is the option."""
    keywords = {"fused": {"fused": True}, "foreach": {"foreach": True}}.get(how, {})
    if how == "plain" and device.facts(torch.device("cpu")).foreach_sgd:
        keywords = {"foreach": False}
    optimizer = torch.optim.SGD(network.parameters(), lr=rate, momentum=MOMENTUM, **keywords)
    if how == "fused":
        # It would allocate them in its first step, and not write to them if float16's scaled
        # gradients overflow: the next step would start from old memory contents.
        for parameter in network.parameters():
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return optimizer


def criterion(graph):
    """Mean loss of a batch: cross entropy, or CTC with blank 0 for speech."""
    if graph.kind != "speech":
        return functional.cross_entropy

    def ctc(logits, labels):
        batch, steps = logits.shape[:2]
        scores = functional.log_softmax(logits, 2).transpose(0, 1)
        used, lengths = (steps,) * batch, (labels.shape[1],) * batch
        return functional.ctc_loss(scores, labels, used, lengths, reduction="sum") / batch

    return ctc


# -- parity and the self check -------------------------------------------------------------


def shapes(graph: "Graph") -> "Shapes":
    """Every node's shape, computed without numbers if PyTorch can (2.0)."""
    meta = hasattr(torch, "get_default_device") or hasattr(torch, "set_default_device")
    where = torch.device("meta") if meta else torch.device("cpu")
    network = build(graph, overwrite=False).eval().to(where)
    with torch.no_grad():
        for name, value in network.walk(torch.zeros((1,) + graph.input_shape, device=where)):
            yield name, tuple(value.shape[1:])


def activations(
    settings: "Settings", graph: "Graph", values: "Arrays", inputs: "Array"
) -> "Values":
    """Every node's value, nothing folded and nothing overwritten."""
    _, where, _, used = _settle(settings, graph)
    x = torch.from_numpy(inputs).to(where).contiguous(**layout(used))
    x = x.to(HALF.get(settings.dtype, x.dtype))
    network = placed(build(graph, overwrite=False).load(values).eval(), x)
    with torch.no_grad():
        for name, value in network.walk(x):
            yield name, value.float().cpu().numpy()


def _arrays(tensors):
    """Copies in the host's memory; on a CPU `numpy` itself would share the tensor's."""
    return OrderedDict(
        (name, tensor.detach().cpu().numpy().copy()) for name, tensor in tensors.items()
    )


def self_check() -> str:
    """Build every model, and run the smallest one through a training step and inference."""
    return smoke.check(prepare, OPTIONS, _build, "build")


def _build(graph: "Graph") -> None:
    """Build a network without running it: the shapes of its tensors take no time."""
    tensors = build(graph).tensors()
    for parameter in graph.parameters + graph.statistics:
        if tuple(tensors[parameter.name].shape) != parameter.shape:
            raise ValueError("%s of %s is misshapen" % (parameter.name, graph.name))
