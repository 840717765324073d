"""Images from TFRecord, by tf.data.

Decoded whole and then cropped, with the accurate transform: TensorFlow's default decodes to other
pixels (6 levels at most, in 67 % of all values), and so does the operator that only decodes what is
cropped.
"""

import tensorflow as tf

from backends.harness import images
from backends.harness.errors import DataProblem
from backends.tensorflow.build import v1

FORMAT = "tfrecord"
FORMATS = (FORMAT,)
ERRORS = ()

IMAGE, LABEL = "image/encoded", "image/class/label"


def opened(reading):
    """The reader; it has a session of its own on the CPU, in every release."""
    return Reader(reading)


class Reader(object):
    """tf.data in a session of its own, so its threads are not those of the steps."""

    filter = "decode_jpeg, INTEGER_ACCURATE"

    def __init__(self, reading):
        """Build the pipeline."""
        self._folder = reading.folder
        self.workers, self.prefetch = reading.workers, reading.prefetch
        graph = tf.Graph()
        with graph.as_default(), tf.device("/cpu:0"):
            self._batch = _next_of(_pipeline(reading))
        config = v1.ConfigProto(
            inter_op_parallelism_threads=reading.workers,
            intra_op_parallelism_threads=1,
            use_per_session_threads=True,
            device_count={"GPU": 0},
        )
        self._session = v1.Session(graph=graph, config=config)

    def next(self):
        """Inputs and labels; the inputs are a view, so that what wants NHWC copies nothing."""
        try:
            x, y = self._session.run(self._batch)
        except tf.errors.OpError as error:
            raise DataProblem("%s cannot be read: %s" % (self._folder, reason(error))) from error
        return x.transpose(0, 3, 1, 2), y

    def close(self):
        """Stop the threads."""
        self._session.close()


def reason(error):
    """What an error says, without the stacks that TensorFlow prints around it.

    The line before that of the nodes: `[[{{node IteratorGetNext}}]]`.
    """
    lines = [line.strip() for line in error.message.splitlines() if line.strip()]
    nodes = [number for number, line in enumerate(lines) if line.startswith("[[") and number]
    return lines[nodes[0] - 1] if nodes else " ".join(lines)


def _pipeline(reading):
    shards = images.files(reading.folder, images.SIGNS[FORMAT])
    records = tf.data.TFRecordDataset(shards).repeat()
    if reading.world > 1:
        # Whole batches of records, which are not decoded yet.
        turns = records.batch(reading.batch).shard(reading.world, reading.rank)
        records = turns.flat_map(tf.data.Dataset.from_tensor_slices)
    samples = records.map(_decoder(reading), num_parallel_calls=reading.workers)
    return samples.batch(reading.batch).map(_normalised).prefetch(reading.prefetch)


def _decoder(reading):
    fields = {
        IMAGE: v1.FixedLenFeature([], tf.string),
        LABEL: v1.FixedLenFeature([], tf.int64),
    }
    crop = _random_crop(reading) if reading.augment else _centre_crop(reading.side)

    def decode(record):
        found = v1.parse_single_example(record, fields)
        image = tf.image.decode_jpeg(found[IMAGE], channels=3, dct_method="INTEGER_ACCURATE")
        return crop(image), found[LABEL] - reading.label_base

    return decode


def _centre_crop(side):
    def crop(image):
        shape = tf.shape(image)
        top, left = (shape[0] - side) // 2, (shape[1] - side) // 2
        return tf.slice(image, [top, left, 0], [side, side, 3])

    return crop


def _random_crop(reading):
    def crop(image):
        anywhere = v1.random_crop(image, [reading.side, reading.side, 3], seed=reading.seed)
        return tf.image.random_flip_left_right(anywhere, seed=reading.seed)

    return crop


def _normalised(crops, labels):
    return (tf.cast(crops, tf.float32) - images.CENTRE) / images.SPREAD, labels


def _next_of(dataset):
    """Tensors of the next batch, in releases before and after 1.13."""
    if hasattr(v1, "data") and hasattr(v1.data, "make_one_shot_iterator"):
        return v1.data.make_one_shot_iterator(dataset).get_next()
    return dataset.make_one_shot_iterator().get_next()
