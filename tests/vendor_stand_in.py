"""A stand-in for vendors' programs: has their arguments, refuses others, prints a given log.

Arguments as upstream's sources have them in every release that a row is for: nvcnn.py and
nvutils/cmdline.py of NVIDIA's TensorFlow images, DeepLearningExamples, horovod's, PyTorch's and
timm's examples. It measures nothing.
"""

import argparse
import os
import pathlib
import sys

TEXT, SWITCH = "text", "switch"


def flags(texts, switches=""):
    return {**dict.fromkeys(texts.split(), TEXT), **dict.fromkeys(switches.split(), SWITCH)}


NVUTILS = flags(
    "data_dir data_idx_dir batch_size num_iter iter_unit log_dir display_every precision",
    "use_xla no_xla",
)
HOROVOD = flags(
    "model batch-size num-warmup-batches num-batches-per-iter num-iters", "fp16-allreduce no-cuda"
)
PROGRAMS = {
    "nvcnn": flags(
        "model data_dir batch_size num_batches num_epochs num_gpus log_dir display_every "
        "save_interval summary_interval loss_scale larc_eta larc_mode",
        "eval fp16",
    ),
    # Its launcher tells TensorFlow 1's examples by the flag --layers in resnet.py.
    "nvtfcnn": {**NVUTILS, "layers": TEXT},
    "deeplearningexamples_tensorflow": flags(
        "arch mode export_dir to_predict batch_size num_iter run_iter iter_unit warmup_steps "
        "model_dir results_dir log_filename display_every seed gpu_memory_fraction gpu_id "
        "finetune_checkpoint data_dir data_idx_dir lr_init lr_warmup_epochs "
        "weight_decay weight_init momentum label_smoothing mixup data_format loss_scale",
        "use_final_conv quantize use_xla use_tf_amp use_static_loss_scaling",
    ),
    "deeplearningexamples_pytorch": flags(
        "nproc_per_node data-backend arch workers prefetch epochs run-epochs image-size "
        "batch-size optimizer-batch-size lr lr-schedule warmup label-smoothing mixup momentum "
        "weight-decay print-freq resume static-loss-scale prof seed raport-file workspace "
        "memory-format",
        "amp dynamic-loss-scale evaluate training-only no-checkpoints",
    ),
    "deeplearningexamples_mxnet": flags(
        "ngpus batch-size num-epochs lr data-root dtype kv-store data-backend launcher arch "
        "num-layers mode seed workspace benchmark-iters disp-batches",
        "amp no-metrics",
    ),
    "horovod_tensorflow": HOROVOD,
    "horovod_pytorch": {**HOROVOD, "use-adasum": SWITCH},
    # Its launcher looks for the flag --dummy and the words "using CPU".
    "pytorch_imagenet": flags(
        "arch workers epochs start-epoch batch-size lr momentum weight-decay print-freq resume "
        "world-size rank dist-url dist-backend seed gpu",
        "evaluate pretrained no-accel multiprocessing-distributed dummy",
    ),
    "timm": flags(
        "model-list bench results-file num-warm-iter num-bench-iter device model batch-size "
        "img-size num-classes precision opt momentum",
        "detail no-retry channels-last amp torchscript",
    ),
}
# Those that take a folder of data as a word of its own, or one more script to start.
WORDS = {"deeplearningexamples_pytorch": 2, "pytorch_imagenet": 1}
CHOICES = {
    ("nvtfcnn", "precision"): ("fp32", "fp16"),
    ("nvtfcnn", "iter_unit"): ("epoch", "batch"),
    ("deeplearningexamples_tensorflow", "mode"): ("training_benchmark", "inference_benchmark"),
    ("deeplearningexamples_mxnet", "mode"): ("train_val", "train", "val", "pred"),
    ("deeplearningexamples_mxnet", "dtype"): ("float32", "float16"),
}


def made_data():
    """Return the backends of NVIDIA's PyTorch examples: releases to 2022 misspell one of them."""
    loaders = pathlib.Path(__file__).parent / "image_classification" / "dataloaders.py"
    old = loaders.exists() and "syntetic" in loaders.read_text()
    return ("pytorch", "syntetic" if old else "synthetic", "dali-gpu", "dali-cpu")


def main():
    name = os.environ["STAND_IN"]
    # No abbreviations: what upstream would not know by this very name is an error.
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for flag, kind in PROGRAMS[name].items():
        if kind is SWITCH:
            parser.add_argument("--" + flag, action="store_true")
        else:
            parser.add_argument("--" + flag, choices=CHOICES.get((name, flag)))
    if name == "deeplearningexamples_pytorch":
        action = next(one for one in parser._actions if one.dest == "data_backend")
        action.choices = made_data()
    parser.add_argument("words", nargs="*")
    given = parser.parse_intermixed_args()
    if len(given.words) > WORDS.get(name, 0):
        parser.error(f"more words than the program takes: {given.words}")
    single = not any(word.endswith("main.py") for word in given.words)
    if name == "deeplearningexamples_pytorch" and given.seed and single:
        os.environ["WORLD_SIZE"]  # as the examples of 2020, which know a rank only with it
        int(os.environ["LOCAL_RANK"])
    with open(os.environ["STAND_IN_LOG"], "rb") as log:
        sys.stdout.buffer.write(log.read())


if __name__ == "__main__":
    main()
