"""Logs in the format of vendors' programs, with our figures."""

from orchestrator.parsers import ParseHints

TF_CNN = b"""TensorFlow:  1.15
Model:       resnet50
Mode:        training
Batch size:  128 global
             64 per device
Devices:     ['/gpu:0', '/gpu:1']
==========
Running warm up
2020-11-01 16:39:59.514737: I tensorflow/core/common_runtime/bfc_allocator.cc:917] 1 Chunks
Done warm up
Step\tImg/sec\ttotal_loss
1\timages/sec: 500.0 +/- 0.0 (jitter = 0.0)\t7.790 1604248868
10\timages/sec: 400.0 +/- 1.4 (jitter = 3.7)\tnan
20\timages/sec: 400.0 +/- 1.8 (jitter = 5.2)\t7.555
----------------------------------------------------------------
total images/sec: 398.50
----------------------------------------------------------------
"""

NVCNN = b"""TensorFlow:  1.8
Model:       resnet50
Batch size:  16 global
             8 per device
Devices:     ['/gpu:0', '/gpu:1']
  Step Epoch Img/sec   Loss   LR
     1     1     3.1   7.936 0.10000
    10     1    80.0   7.936 0.10000
    20     1    90.0   7.936 0.10000
    30     1   100.0     nan 0.10000
    40     1   100.0   7.936 12.10000
----------------------------------------------------------------
Images/sec: 99.5 +/- 0.5 (jitter = 0.1)
----------------------------------------------------------------
"""

NVTFCNN = b"""PY 3.5.2 (default, Nov 23 2017, 16:37:01)
TF 1.8.0
Script arguments:
  --layers 50
  --display_every 10
  --iter_unit batch
  --num_iter 51
  --batch_size 8
Training
  Step Epoch Img/sec   Loss  LR
     1   1.0     3.1  7.936  8.907 2.00000
    10  10.0    68.3  1.989  2.961 12.65620
2019-10-16 04:10:47.328221: I tensorflow/core/common_runtime/gpu/gpu_device.cc:1356] Found
    20  20.0   100.0  0.002  0.978 1.31220
    30  30.0   200.0  0.008    nan 1.00820
    40  40.0   100.0  0.008  0.979 1.00820
    50  50.0   100.0  0.095  1.063 0.74420
"""

TF2_STEPS = b"""I0917 12:01:01.000000 139914427299648 keras_utils.py:88] begin
Epoch 1/2
I0917 12:01:09.000000 139914427299648 keras_utils.py:88] BenchmarkMetric: {'global step':10, \
'time_taken': 64.000000,'examples_per_second': 10.000000}
I0917 12:01:10.000000 139914427299648 keras_utils.py:88] BenchmarkMetric: {'global step':20, \
'time_taken': 6.400000,'examples_per_second': 100.000000}
I0917 12:01:11.000000 139914427299648 keras_utils.py:88] BenchmarkMetric: {'global step':30, \
'time_taken': 3.200000,'examples_per_second': 200.000000}
I0917 12:01:12.000000 139914427299648 keras_utils.py:96] BenchmarkMetric: {'epoch':0, \
'time_taken': 43.452109}
35/35 - 43s - loss: 2.7444 - categorical_accuracy: 0.2385
Epoch 2/2
I0917 12:01:20.000000 139914427299648 keras_utils.py:88] BenchmarkMetric: {'global step':40, \
'time_taken': 64.000000,'examples_per_second': 10.000000}
I0917 12:01:21.000000 139914427299648 keras_utils.py:88] BenchmarkMetric: {'global step':50, \
'time_taken': 6.400000,'examples_per_second': 100.000000}
""".replace(b"\\\n", b"")

TF2_SPANS = b"""Epoch 1/2
I0407 21:00:02.000000 139785487877952 keras_utils.py:145] TimeHistory: 64.00 seconds, \
10.00 examples/second between steps 0 and 10
I0407 21:00:03.000000 139785487877952 keras_utils.py:145] TimeHistory: 6.40 seconds, \
100.00 examples/second between steps 10 and 20
I0407 21:00:04.000000 139785487877952 controller.py:223] step: 20 steps_per_second: 6.37
I0407 21:00:05.000000 139785487877952 keras_utils.py:145] TimeHistory: 9.60 seconds, \
200.00 examples/second between steps 20 and 50
Epoch 2/2
I0407 21:00:06.000000 139785487877952 keras_utils.py:145] TimeHistory: 64.00 seconds, \
10.00 examples/second between steps 50 and 60
""".replace(b"\\\n", b"")

TF2_BATCHES = b"""Epoch 1/2
INFO:tensorflow:BenchmarkMetric: {'num_batches':10, 'time_taken': 64.0,'images_per_second': 10.0}
INFO:tensorflow:BenchmarkMetric: {'num_batches':20, 'time_taken': 6.4,'images_per_second': 100.0}
Epoch 2/2
INFO:tensorflow:BenchmarkMetric: {'num_batches':10, 'time_taken': 64.0,'images_per_second': 10.0}
INFO:tensorflow:BenchmarkMetric: {'num_batches':20, 'time_taken': 3.2,'images_per_second': 200.0}
"""

TF_HOOK = b"""I1013 23:25:10.000000 140501639591680 logger.py:146] Benchmark metric: {'name': \
'average_examples_per_sec', 'value': 100.0, 'unit': None, 'global_step': 20, 'extras': []}
I1013 23:25:10.000000 140501639591680 logger.py:146] Benchmark metric: {'name': \
'current_examples_per_sec', 'value': 100.0, 'unit': None, 'global_step': 20, 'extras': []}
I1013 23:25:10.000000 140501639591680 logger.py:146] Benchmark metric: {'global_step': 30, \
'unit': None, 'value': 200.0, 'extras': [], 'name': 'current_examples_per_sec'}
I1013 23:25:11.000000 140501639591680 logger.py:146] Benchmark metric: {'name': \
'current_examples_per_sec', 'value': 200.0, 'unit': None, 'global_step': 40, 'extras': []}
I1013 23:25:11.000000 140501639591680 logger.py:146] Benchmark metric: {'name': 'accuracy', \
'timestamp': '2018-10-13T23:25:10.726042Z', 'value': 0.75, 'unit': None, 'global_step': 30}
""".replace(b"\\\n", b"")

TF_HOOK_OLD = b"""INFO:tensorflow:Average examples/sec: 100 (100), step = 10
INFO:tensorflow:global_step/sec: 6.63042
INFO:tensorflow:loss = 2.8437786, step = 15 (8.626 sec)
INFO:tensorflow:Average examples/sec: 133.333 (200), step = 20
INFO:tensorflow:Average examples/sec: 150 (200), step = 30
"""

NVIDIA_TF2 = b"""PY 3.8.10 (default, Mar 15 2022, 12:22:08)
TF 2.8.0
Script arguments:
  --loss_scale=128.0
  --data_dir=None
  --batch_size=32
  --num_iter=30
  --iter_unit=batch
  --display_every=10
  --precision=fp16
  --use_xla=False
2022-05-11 17:04:18.055323: W tensorflow/core/common_runtime/bfc_allocator.cc:275] Allocator
global_step: 10 images_per_sec: 10.0
global_step: 20 images_per_sec: 100.0
global_step: 30 images_per_sec: 200.0
epoch: 0 time_taken: 125.0
30/30 - 125s - loss: 8.5620 - top1: 0.8067 - 125s/epoch - 417ms/step
"""

DLE_PYTORCH = b"""DLL 2020-03-03 18:53:05.5 - PARAMETER arch : resnet50  batch_size : 32
98
DLL 2020-03-03 18:53:11.5 - Epoch: 0 Iteration: 1  train.loss : 7.1  train.total_ips : 3.7 img/s
DLL 2020-03-03 18:53:11.5 - Epoch: 0 Iteration: 2  train.loss : 7.3  train.total_ips : 90.0 img/s
DLL 2020-03-03 18:53:12.5 - Epoch: 0 Iteration: 3  train.loss : 7.6  train.total_ips : 100.0 img/s
DLL 2020-03-03 18:53:13.5 - Epoch: 0 Iteration: 4  train.loss : nan train.total_ips : 200.0 img/s
DLL 2020-03-03 18:54:30.5 - Epoch: 0  train.loss : 7.29293  train.total_ips : 99.0 img/s
DLL 2020-03-03 18:54:30.5 - Summary: train.loss : 7.29293  train.total_ips : 98.5 img/s
DLL 2020-03-03 18:54:30.5 - Summary: train.compute_ips : 99.25 img/s train.compute_time : 0.85355 s
['/opt/conda/bin/python', '-u', './main.py']
DONE!
"""

DLE_TF = b"""DLL 2020-06-20 01:15:38.5 - PARAMETER arch : resnet50  mode : training_benchmark
  precision : fp16
Num GPUs 8
Per-GPU Batch Size 256
DLL 2020-06-20 01:16:39.5 - (0, 50) total_ips : 100.5
DLL 2020-06-20 01:16:40.5 - (0, 51) total_ips : 200.5
DLL 2020-06-20 01:22:56.5 - () train_throughput : 150.5
"""

DLE_JSON = b"""DLLL {"timestamp": "1", "type": "METADATA", "metric": "x", "metadata": {"unit": "s"}}
DLLL {"type": "LOG", "step": "PARAMETER", "data": {"arch": "resnet50", "batch_size": 32}}
DLLL {"type": "LOG", "step": [0, 0], "data": {"train.total_ips": 3.0}}
DLLL {"type": "LOG", "step": [0, 1], "data": {"train.total_ips": 90.0}}
DLLL {"type": "LOG", "step": [0, 2], "data": {"train.total_ips": 100.0, "train.loss": NaN}}
DLLL {"type": "LOG", "step": [0], "data": {"train.total_ips": 64.0}}
DLLL {"type": "LOG", "step": [], "data": {"train.total_ips": 64.5, "val.top1": null}}
"""

DLE_MXNET = b"""DLLL {"type": "LOG", "step": "PARAMETER", "data": {"arch": "resnetv15", \
"num_layers": 50, "batch_size": 128, "kv_store": "horovod", "gpus": "0,1,2,3", "mode": "train", \
"dtype": "float32", "amp": false}}
DLLL {"type": "LOG", "step": [0, 0], "data": {"train.ips": 90.0}}
DLLL {"type": "LOG", "step": [0, 1], "data": {"train.ips": 100.0}}
DLLL {"type": "LOG", "step": [], "data": {"train.ips": 99.5}}
""".replace(b"\\\n", b"")

HOROVOD = b"""Model: resnet50
Batch size: 32
Number of GPUs: 4
Running warmup...
Running benchmark...
Iter #0: 100.0 img/sec per GPU
Iter #1: 300.0 img/sec per GPU
Img/sec per GPU: 200.0 +-1.2
Total img/sec on 4 GPU(s): 800.0 +-4.9
"""

DLBS = b"""--------------------------
Variables from python script.
--------------------------
__exp.replica_batch__=16
__exp.status__="ok"
__exp.framework__="nvtfcnn"
__exp.effective_batch__=16
__exp.model__="resnet50"
__results.start_time__= "2019-10-16:06:54:37:607"
__results.time_data__=[100.0, 200.0]
__results.throughput__=120.5
__results.time__= 150.0
__exp.status__="success"
"""

# Its programs print throughput cut to a whole number; the status stays "ok", set before the run.
DLBS_MXNET = b"""__exp.replica_batch__=2
__exp.status__="ok"
__exp.framework__="mxnet"
__exp.framework_family__="mxnet"
__exp.effective_batch__=2
__exp.num_gpus__=1
__exp.model__="googlenet"
__exp.phase__="training"
__exp.dtype__="float32"
__exp.num_warmup_batches__=1
__results.start_time__= "2026-11-10:06:54:37:607"
__results.time__=1250.0
__results.throughput__=1
__exp.model_title__="GoogleNet"
__results.time_data__=[1000.0, 1500.0]
__results.end_time__= "2026-11-10:06:55:37:607"
__results.proc_pid__= 777
"""

IMAGENET = b"""=> creating model 'resnet18'
Epoch: [0][   0/5005]\tTime 10.000 (10.000)\tData 9.0 (9.0)\tLoss 7.1 (7.1)
Epoch: [0][  10/5005]\tTime  1.000 ( 2.000)\tData 0.0 (0.9)\tLoss 7.1 (7.1)
Epoch: [0][1000/5005]\tTime  1.000 ( 1.010)\tData 0.0 (0.1)\tLoss 7.1 (7.1)
"""

TORCHVISION = b"""Not using distributed mode
Epoch: [0]  [   0/5005]  eta: 1:00:00  lr: 0.1  img/s: 1.5  loss: 7.0 (7.0)
Epoch: [0]  [  10/5005]  eta: 1:00:00  lr: 0.1  img/s: 100.0  loss: 7.0 (7.0)
Epoch: [0]  [  20/5005]  eta: 1:00:00  lr: 0.1  img/s: 300.0  loss: 7.0 (7.0)
Epoch: [0] Total time: 0:10:11
"""

# Every step is printed: the mean time gives that of the steps after the first.
TORCHVISION_RUN = b"""| distributed init (rank 0): env://
Namespace(data_path='/data', model='resnet50', device='cuda', batch_size=16, epochs=1, workers=4, \
lr=0.1, print_freq=1, output_dir='', sync_bn=False, test_only=False, amp=True, world_size=2, \
distributed=True)
Loading data
Start training
Epoch: [0]  [0/4]  eta: 0:00:24  lr: 0.1  img/s: 3.2  loss: 7.1 (7.1)  acc1: 0.0 (0.0)  \
time: 6.5000  data: 0.5000  max mem: 900
Epoch: [0]  [1/4]  eta: 0:00:10  lr: 0.1  img/s: 33.0  loss: 7.0 (7.1)  acc1: 0.0 (0.0)  \
time: 3.5000  data: 0.2500  max mem: 900
Epoch: [0]  [2/4]  eta: 0:00:05  lr: 0.1  img/s: 33.5  loss: 7.1 (7.1)  acc1: 0.0 (0.0)  \
time: 2.5000  data: 0.1700  max mem: 900
Epoch: [0]  [3/4]  eta: 0:00:02  lr: 0.1  img/s: 32.5  loss: 7.1 (7.1)  acc1: 0.0 (0.0)  \
time: 2.0000  data: 0.1300  max mem: 900
Epoch: [0] Total time: 0:00:08
Test:   [0/2]  eta: 0:00:01  loss: 7.2 (7.2)  acc1: 0.0 (0.0)  \
time: 0.9000  data: 0.7000  max mem: 900
Test:  Total time: 0:00:01
Test:  Acc@1 0.000 Acc@5 0.000
Training time 0:00:09
"""

TORCHVISION_TEST = b"""Namespace(data_path='/data', model='resnet18', device='cpu', \
batch_size=8, sync_bn=False, test_only=True, amp=False, distributed=False)
Test:   [0/3]  eta: 0:00:06  loss: 7.2 (7.2)  acc1: 0.0 (0.0)  time: 2.0000  data: 0.1000
Test:   [1/3]  eta: 0:00:02  loss: 7.2 (7.2)  acc1: 0.0 (0.0)  time: 1.2000  data: 0.0600
Test:   [2/3]  eta: 0:00:00  loss: 7.2 (7.2)  acc1: 0.0 (0.0)  time: 1.0000  data: 0.0400
Test:  Total time: 0:00:02
Test:  Acc@1 0.000 Acc@5 0.000
"""

TORCHBENCH = b"""Running eval method from resnet50 on cuda in jit mode with input batch size 32.
GPU Time per batch:   12.500 milliseconds
CPU Wall Time per batch:  12.600 milliseconds
CPU Wall Time:        25.200 milliseconds
Time to first batch:         1234.5000 ms
"""

TIMM = b"""Benchmarking in float32 precision. NCHW layout. torchscript disabled
Model resnet50 created, param count: 25557032
Infer [8/40]. 2345.67 samples/sec. 109.123 ms/step.
Infer [40/40]. 2350.67 samples/sec. 108.9 ms/step.
--result
{
    "model": "resnet50",
    "infer_samples_per_sec": 2350.5,
    "infer_step_time": 108.5,
    "infer_batch_size": 256,
    "infer_img_size": 224,
    "param_count": 25.56
}
"""

TIMM_TRAIN = b"""Train: 0 [   0/1251 (  0%)]  Time: 5.0s,   51.20/s  (5.0s,   51.20/s)
Train: 0 [  50/1251 (  4%)]  Time: 0.1s,  200.00/s  (0.2s,  180.00/s)
Train: 0 [ 100/1251 (  8%)]  Time: 0.1s,  100.00/s  (0.2s,  150.00/s)
"""

CUSTOM = b"warming up\nspeed=64.5 img\nloss 3\nspeed=64.5 img\n"

# What the entrypoints of NVIDIA's images print before the program.
NGC_BANNER = """\
================
== PyTorch ==
================

NVIDIA Release 19.08 (build 7700777)
PyTorch Version 1.2.0a0+abc1234

Container image Copyright (c) 2019, NVIDIA CORPORATION.  All rights reserved.
ERROR: No supported GPU(s) detected to run this container

NOTE: MOFED driver was detected, but nv_peer_mem driver was not detected.
      Multi-node communication performance may be reduced.
"""
NGC_GPU_TOO_OLD = """\
ERROR: Detected NVIDIA Tesla K40m GPU, which is not supported by this container
ERROR: No NVIDIA supported GPU(s) detected to run this container
"""
NGC_GPU_TOO_NEW = """\
WARNING: Detected NVIDIA NVIDIA GeForce RTX 4080 GPU, which is not yet supported in this version \
of the container
ERROR: No supported GPU(s) detected to run this container
"""

HINTS = ParseHints(batch=32, devices=2)
NONE = ParseHints()
PATTERN = ParseHints(pattern=r"^speed=(\S+)")

TIMM_RATE = 100 / (101 / 150 - 1 / 51.2)

# program, log, hints, headline, recomputed
SAMPLES: dict[str, tuple[str, bytes, ParseHints, float, float | None]] = {
    "tf_cnn_benchmarks": ("tf_cnn_benchmarks", TF_CNN, NONE, 398.5, 400.0),
    "nvcnn": ("nvcnn", NVCNN, NONE, 99.5, 100.0),
    "nvtfcnn": ("nvtfcnn", NVTFCNN, NONE, 800 / 7, 800 / 7),
    "tf2_steps": ("tf_official_models", TF2_STEPS, NONE, 120.0, 120.0),
    "tf2_spans": ("tf_official_models", TF2_SPANS, NONE, 160.0, 160.0),
    "tf2_batches": ("tf_official_models", TF2_BATCHES, NONE, 400 / 3, 400 / 3),
    "tf_hook": ("tf_official_models", TF_HOOK, NONE, 150.0, 150.0),
    "tf_hook_old": ("tf_official_models", TF_HOOK_OLD, NONE, 150.0, 150.0),
    "nvidia_tf2": ("tf_official_models", NVIDIA_TF2, NONE, 400 / 3, 400 / 3),
    "dle_pytorch": ("deeplearningexamples", DLE_PYTORCH, NONE, 98.5, 400 / 3),
    "dle_tensorflow": ("deeplearningexamples", DLE_TF, NONE, 150.5, 2 / (1 / 100.5 + 1 / 200.5)),
    "dle_json": ("deeplearningexamples", DLE_JSON, NONE, 64.5, 100.0),
    "dle_mxnet": ("deeplearningexamples", DLE_MXNET, NONE, 99.5, 100.0),
    "horovod": ("horovod", HOROVOD, NONE, 800.0, 600.0),
    "dlbs": ("dlbs", DLBS, NONE, 120.5, 16 / 0.15),
    "imagenet": ("pytorch_imagenet", IMAGENET, HINTS, 64 * 990 / 989.01, 64 * 990 / 989.01),
    "torchvision": ("torchvision_references", TORCHVISION, NONE, 150.0, 150.0),
    "torchvision_run": ("torchvision_references", TORCHVISION_RUN, NONE, 2 * 16 * 3 / 1.5, None),
    "torchvision_test": ("torchvision_references", TORCHVISION_TEST, NONE, 16.0, None),
    "torchbench": ("torchbench", TORCHBENCH, NONE, 2560.0, None),
    "timm": ("timm", TIMM, NONE, 2350.5, None),
    "timm_train": ("timm", TIMM_TRAIN, NONE, TIMM_RATE, TIMM_RATE),
    "custom": ("custom", CUSTOM, PATTERN, 64.5, 64.5),
}
