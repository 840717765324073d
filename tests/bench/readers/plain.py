"""Pipelines as one would write them for a single framework: the same images, crops and values.

Each function takes a folder, the side of the crops, the size of batches and the number of workers,
and returns a function that returns the next inputs, float32 and channels first, and labels.
"""

import glob
import os
import random
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import numpy as np

CENTRE, SPREAD = np.float32(127.5), np.float32(63.75)


def listed(folder):
    """Paths and labels of a folder per class, shuffled."""
    names = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
    found = []
    for label, name in enumerate(names):
        found += [(path, label) for path in glob.glob(os.path.join(folder, name, "*"))]
    random.Random(0).shuffle(found)
    return found


def decoded(path, side):
    """The centre of an image, uint8."""
    import simplejpeg

    with open(path, "rb") as file:
        image = simplejpeg.decode_jpeg(file.read(), "RGB", fastdct=False, fastupsample=False)
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    return image[top : top + side, left : left + side]


def pytorch(folder, side, batch, workers):
    import torch
    from torch.utils import data

    class Folder(data.Dataset):
        def __init__(self):
            self.samples = listed(folder)

        def __len__(self):
            return len(self.samples)

        def __getitem__(self, index):
            path, label = self.samples[index]
            return torch.from_numpy(np.ascontiguousarray(decoded(path, side))), label

    loader = data.DataLoader(
        Folder(), batch_size=batch, num_workers=workers, drop_last=True, persistent_workers=True
    )

    def endless():
        while True:
            for x, y in loader:
                yield x.permute(0, 3, 1, 2).float().sub_(127.5).div_(63.75).numpy(), y.numpy()

    return endless().__next__


def threads(folder, side, batch, workers):
    """ONNX Runtime and OpenVINO have no reader: a pool of threads, two batches ahead."""
    samples, pool = listed(folder), ThreadPoolExecutor(workers)

    def one(x, place):
        path, label = samples[place % len(samples)]
        np.subtract(decoded(path, side).transpose(2, 0, 1), CENTRE, out=x)
        x /= SPREAD
        return label

    def start(first):
        x = np.empty((batch, 3, side, side), np.float32)
        return x, [pool.submit(one, x[n], first + n) for n in range(batch)]

    ahead = deque([start(0), start(batch)])
    place = [2 * batch]

    def following():
        ahead.append(start(place[0]))
        place[0] += batch
        x, labels = ahead.popleft()
        return x, np.array([label.result() for label in labels])

    return following


def tensorflow(folder, side, batch, workers):
    import tensorflow as tf

    fields = {
        "image/encoded": tf.io.FixedLenFeature([], tf.string),
        "image/class/label": tf.io.FixedLenFeature([], tf.int64),
    }

    def decode(record):
        found = tf.io.parse_single_example(record, fields)
        image = tf.image.decode_jpeg(
            found["image/encoded"], channels=3, dct_method="INTEGER_ACCURATE"
        )
        shape = tf.shape(image)
        crop = tf.image.crop_to_bounding_box(
            image, (shape[0] - side) // 2, (shape[1] - side) // 2, side, side
        )
        return crop, found["image/class/label"] - 1

    def normalise(x, y):
        return (tf.cast(x, tf.float32) - CENTRE) / SPREAD, y

    shards = sorted(glob.glob(os.path.join(folder, "train-*")))
    samples = tf.data.TFRecordDataset(shards).repeat().map(decode, num_parallel_calls=workers)
    batches = iter(samples.batch(batch).map(normalise).prefetch(2))

    def following():
        x, y = next(batches)
        return x.numpy().transpose(0, 3, 1, 2), y.numpy()

    return following


def mxnet(folder, side, batch, workers):
    import mxnet as mx

    images = mx.io.ImageRecordIter(
        path_imgrec=os.path.join(folder, "train.rec"),
        path_imgidx=os.path.join(folder, "train.idx"),
        data_shape=(3, side, side),
        batch_size=batch,
        preprocess_threads=workers,
        prefetch_buffer=2,
        mean_r=127.5,
        mean_g=127.5,
        mean_b=127.5,
        scale=1 / 63.75,
    )

    def endless():
        while True:
            images.reset()
            for one in images:
                yield one.data[0].asnumpy(), one.label[0].asnumpy().astype(np.int64)

    return endless().__next__


def caffe(folder, side, batch, _workers):
    """The layer decodes on one thread, whatever one wants."""
    import caffe as framework

    path = "/tmp/net.prototxt"
    with open(path, "w") as stream:
        stream.write(
            'layer { name: "data" type: "Data" top: "data" top: "label" '
            f'data_param {{ source: "{folder}" backend: LMDB batch_size: {batch} prefetch: 2 }} '
            f"transform_param {{ crop_size: {side} force_color: true mean_value: 127.5 "
            f"mean_value: 127.5 mean_value: 127.5 scale: {1 / 63.75:.9g} }} }}"
        )
    net = framework.Net(path, framework.TEST)

    def following():
        net.forward()
        return net.blobs["data"].data[:, ::-1], net.blobs["label"].data.astype(np.int64)

    return following


def caffe2(folder, side, batch, workers):
    from caffe2.python import core, workspace

    start, net = core.Net("start"), core.Net("read")
    reader = start.CreateDB([], "reader", db=folder, db_type="lmdb")
    workspace.RunNetOnce(start)
    net.ImageInput(
        reader,
        ["data", "label"],
        batch_size=batch,
        use_caffe_datum=1,
        is_test=1,
        minsize=side,
        crop=side,
        mean=127.5,
        std=63.75,
        decode_threads=workers,
    )
    workspace.CreateNet(net)

    def following():
        workspace.RunNet(net.Name())
        x = workspace.FetchBlob("data")[..., ::-1].transpose(0, 3, 1, 2)
        return x, workspace.FetchBlob("label").astype(np.int64)

    return following


PIPELINES = {
    "pytorch": pytorch,
    "tensorflow": tensorflow,
    "mxnet": mxnet,
    "bvlc_caffe": caffe,
    "caffe2": caffe2,
    "onnxruntime": threads,
    "openvino": threads,
}
