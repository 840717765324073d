"""Handwritten PyTorch networks, to compare our builder with.

Twins get the options that ours chooses (layout, freezing, optimizer): the ratio is the builder's.
Runs on old releases too, in an environment with PyTorch from 1.5 on.
"""

import sys
import warnings

import torch
from torch import nn
from torch.nn import functional

from backends import zoo
from backends.harness.sgd import LEARNING_RATE
from backends.pytorch import releases, step
from tests.bench.twins.pairing import ROUNDS, compare, our_job

BATCH = 4


class Bottleneck(nn.Module):
    def __init__(self, channels, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or channels != 4 * width:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels, 4 * width, 1, stride, bias=False), nn.BatchNorm2d(4 * width)
            )

    def forward(self, x):
        short = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        return self.relu(self.bn3(self.conv3(out)) + short)


def resnet50():
    """v1.5: the stride is in the 3x3."""
    layers = [
        nn.Conv2d(3, 64, 7, 2, 3, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, 2, 1),
    ]
    channels = 64
    for width, units, stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for unit in range(units):
            layers.append(Bottleneck(channels, width, stride if unit == 0 else 1))
            channels = 4 * width
    return nn.Sequential(*layers, nn.AvgPool2d(7), nn.Flatten(), nn.Linear(2048, 1000))


def vgg16():
    layers, channels = [], 3
    for width, convs in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(convs):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
            channels = width
        layers.append(nn.MaxPool2d(2, 2))
    return nn.Sequential(
        *layers,
        nn.Flatten(),
        nn.Linear(25088, 4096), nn.ReLU(inplace=True), nn.Dropout(0.5),
        nn.Linear(4096, 4096), nn.ReLU(inplace=True), nn.Dropout(0.5),
        nn.Linear(4096, 1000),
    )  # fmt: skip


class Conv(nn.Module):
    def __init__(self, channels, filters, kernel, stride=1, padding=0):
        super().__init__()
        self.conv = nn.Conv2d(channels, filters, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(filters, eps=1e-3)

    def forward(self, x):
        return functional.relu(self.bn(self.conv(x)), inplace=True)


class Branches(nn.Module):
    def __init__(self, *branches):
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x):
        return torch.cat([branch(x) for branch in self.branches], 1)


def inception3():
    def row(*convs):
        return nn.Sequential(*convs)

    def a(c, pool):
        return Branches(
            Conv(c, 64, 1),
            row(Conv(c, 48, 1), Conv(48, 64, 5, 1, 2)),
            row(Conv(c, 64, 1), Conv(64, 96, 3, 1, 1), Conv(96, 96, 3, 1, 1)),
            row(nn.AvgPool2d(3, 1, 1), Conv(c, pool, 1)),
        )

    def b(n):
        wide, tall = ((1, 7), (0, 3)), ((7, 1), (3, 0))

        def c7(i, o, way):
            return Conv(i, o, way[0], 1, way[1])

        return Branches(
            Conv(768, 192, 1),
            row(Conv(768, n, 1), c7(n, n, wide), c7(n, 192, tall)),
            row(Conv(768, n, 1), c7(n, n, tall), c7(n, n, wide), c7(n, n, tall), c7(n, 192, wide)),
            row(nn.AvgPool2d(3, 1, 1), Conv(768, 192, 1)),
        )

    def split():
        return Branches(Conv(384, 384, (1, 3), 1, (0, 1)), Conv(384, 384, (3, 1), 1, (1, 0)))

    def c(channels, pool):
        return Branches(
            Conv(channels, 320, 1),
            row(Conv(channels, 384, 1), split()),
            row(Conv(channels, 448, 1), Conv(448, 384, 3, 1, 1), split()),
            row(pool(3, 1, 1), Conv(channels, 192, 1)),
        )

    return nn.Sequential(
        Conv(3, 32, 3, 2), Conv(32, 32, 3), Conv(32, 64, 3, 1, 1), nn.MaxPool2d(3, 2),
        Conv(64, 80, 1), Conv(80, 192, 3), nn.MaxPool2d(3, 2),
        a(192, 32), a(256, 64), a(288, 64),
        Branches(
            Conv(288, 384, 3, 2),
            row(Conv(288, 64, 1), Conv(64, 96, 3, 1, 1), Conv(96, 96, 3, 2)),
            nn.MaxPool2d(3, 2),
        ),
        b(128), b(160), b(160), b(192),
        Branches(
            row(Conv(768, 192, 1), Conv(192, 320, 3, 2)),
            row(Conv(768, 192, 1), Conv(192, 192, (1, 7), 1, (0, 3)),
                Conv(192, 192, (7, 1), 1, (3, 0)), Conv(192, 192, 3, 2)),
            nn.MaxPool2d(3, 2),
        ),
        c(1280, nn.AvgPool2d), c(2048, nn.MaxPool2d),
        nn.AvgPool2d(8), nn.Dropout(0.2), nn.Flatten(), nn.Linear(2048, 1000),
    )  # fmt: skip


TWINS = {"resnet50_v1.5": resnet50, "vgg16": vgg16, "inception3": inception3}


def twin_step(network, options, x, y):
    """Return a function that does one step of a twin with the options that ours used."""
    layout = releases.layout(options)
    network, x = network.to(x.device, **layout), x.contiguous(**layout)
    if "optimizer" not in options or options["optimizer"] == "off":
        network.eval().requires_grad_(False)
        if options["freeze"] == "on":
            network = step.frozen(network, x, options["optimize"])

        def infer():
            with releases.no_gradients():
                network(x)

        return infer
    optimizer = step.make_optimizer(network, options["optimizer"], LEARNING_RATE)

    def train():
        releases.clear_gradients(optimizer)
        functional.cross_entropy(network(x), y).backward()
        optimizer.step()

    return train


def run(model, phase):
    """Compare one network in one phase."""
    graph = zoo.draw(model)
    job = our_job(step, model, phase, BATCH)
    network = TWINS[model]().train()
    count = sum(parameter.numel() for parameter in network.parameters())
    if count != graph.learnable:
        raise SystemExit(f"the twin of {model} has {count} parameters")
    x = torch.randn((BATCH, *graph.input_shape))
    twin = twin_step(network, job.options, x, torch.randint(graph.classes, (BATCH,)))
    compare(model, phase, BATCH, job.step, twin)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    for name in sys.argv[1:] or TWINS:
        for what in ROUNDS:
            run(name, what)
