"""Reads a dataset with a framework's own reader, inside its image: READER FOLDER COUNT.

Prints the labels, and the SHA-256 of the pixels of centre crops in the order of the file: uint8,
(channels, height, width), RGB. Python 3.5.
"""

# ruff: noqa: B905, UP031 - Python 3.5 has neither zip(strict=) nor f-strings

import glob
import hashlib
import json
import os
import sys

import numpy as np

SIDE = 32


def tensorflow(folder, count):
    import tensorflow as tf

    shards = sorted(glob.glob(os.path.join(folder, "train-*")))
    wanted = {
        "image/encoded": tf.io.FixedLenFeature([], tf.string),
        "image/class/label": tf.io.FixedLenFeature([], tf.int64),
        "image/object/bbox/xmin": tf.io.VarLenFeature(tf.float32),
    }
    for record in tf.data.TFRecordDataset(shards).take(count):
        found = tf.io.parse_single_example(record, wanted)
        image = tf.image.decode_jpeg(
            found["image/encoded"], channels=3, dct_method="INTEGER_ACCURATE"
        ).numpy()
        top, left = ((size - SIDE) // 2 for size in image.shape[:2])
        crop = image[top : top + SIDE, left : left + SIDE]
        yield int(found["image/class/label"]) - 1, crop.transpose(2, 0, 1)


def mxnet(folder, count):
    import mxnet as mx

    names = [os.path.join(folder, "train." + ending) for ending in ("rec", "idx")]
    images = mx.io.ImageRecordIter(
        path_imgrec=names[0],
        path_imgidx=names[1],
        data_shape=(3, SIDE, SIDE),
        batch_size=count,
        round_batch=True,
        preprocess_threads=2,
    )
    batch = next(iter(images))
    for label, image in zip(batch.label[0].asnumpy(), batch.data[0].asnumpy()):
        yield int(label), image
    records = mx.recordio.MXIndexedRecordIO(names[1], names[0], "r")
    header, _ = mx.recordio.unpack(records.read_idx(count))
    assert header.id == count


def caffe(folder, count):
    import caffe as framework

    path = "/tmp/net.prototxt"
    with open(path, "w") as stream:
        stream.write(
            'layer { name: "data" type: "Data" top: "data" top: "label" '
            'data_param { source: "%s" backend: LMDB batch_size: %d } '
            "transform_param { crop_size: %d force_color: true } }" % (folder, count, SIDE)
        )
    net = framework.Net(path, framework.TEST)
    net.forward()
    for label, image in zip(net.blobs["label"].data, net.blobs["data"].data):
        yield int(label), image[::-1]


def caffe2(folder, count):
    from caffe2.python import core, workspace

    net = core.Net("read")
    reader = net.CreateDB([], "reader", db=folder, db_type="lmdb")
    net.ImageInput(
        reader,
        ["data", "label"],
        batch_size=count,
        use_caffe_datum=1,
        is_test=1,
        minsize=SIDE,
        crop=SIDE,
        mean=0.0,
        std=1.0,
        decode_threads=1,
    )
    workspace.RunNetOnce(net)
    images = workspace.FetchBlob("data")
    for label, image in zip(workspace.FetchBlob("label"), images):
        yield int(label), image.transpose(2, 0, 1)[::-1]


READERS = {"tensorflow": tensorflow, "mxnet": mxnet, "caffe": caffe, "caffe2": caffe2}


def main(reader, folder, count):
    labels, pixels = [], hashlib.sha256()
    for label, image in READERS[reader](folder, int(count)):
        labels.append(label)
        pixels.update(np.ascontiguousarray(image).astype(np.uint8).tobytes())
    print(json.dumps({"labels": labels, "pixels": pixels.hexdigest()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
