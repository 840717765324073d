# ruff: noqa: E501 (programs print long lines)
"""Logs in the format of the frameworks' benchmark programs, with our figures."""

from orchestrator.parsers import ParseHints

CAFFE_TIME = b"""I0228 23:01:59.106209 24487 net.cpp:49] Initializing net from parameters: \n\
name: "alexnet"
state {
  phase: TRAIN
}
layer {
  name: "data"
  type: "Input"
  input_param {
    shape {
      dim: 64
      dim: 3
      dim: 227
    }
  }
}
I0228 23:01:59.456549 24487 caffe.cpp:325] Initial loss: 0
I0228 23:01:59.459419 24487 caffe.cpp:334] *** Benchmark begins ***
I0228 23:01:59.459429 24487 caffe.cpp:335] Testing for 2 iterations.
I0228 23:01:59.697926 24487 caffe.cpp:363] Iteration: 1 forward-backward time: 60 ms.
I0228 23:01:59.828011 24487 caffe.cpp:363] Iteration: 2 forward-backward time: 65 ms.
I0228 23:02:00.849069 24487 caffe.cpp:366] Average time per layer: \n\
I0228 23:02:00.849072 24487 caffe.cpp:369]      data\tforward: 0.0019584 ms.
I0228 23:02:00.849079 24487 caffe.cpp:372]      data\tbackward: 0.0019456 ms.
I0228 23:02:00.849082 24487 caffe.cpp:369]      conv1\tforward: 4.6583 ms.
I0228 23:02:00.849194 24487 caffe.cpp:377] Average Forward pass: 20 ms.
I0228 23:02:00.849197 24487 caffe.cpp:379] Average Backward pass: 42 ms.
I0228 23:02:00.849201 24487 caffe.cpp:381] Average Forward-Backward: 64 ms.
I0228 23:02:00.849206 24487 caffe.cpp:383] Total Time: 128 ms.
I0228 23:02:00.849210 24487 caffe.cpp:384] *** Benchmark ends ***
"""

# Intel's drops layers before it prints the network, and again when it loads weights.
CAFFE_TIME_INTEL = b"""I0614 10:00:00.100000    17 caffe.cpp:545] Use CPU.
I0614 10:00:00.200000    17 cpu_info.cpp:707] Number of OpenMP threads: 2
I0614 10:00:00.300000    17 net.cpp:663] Dropped layer: norm1_scale
I0614 10:00:00.300001    17 remove_batch_norm.cpp:290] Dropped Layer: norm2
I0614 10:00:00.300002    17 net.cpp:663] Dropped layer: relu1
I0614 10:00:00.400000    17 net.cpp:207] Initializing net from parameters: \n\
I0614 10:00:00.400001    17 net.cpp:208] \n\
name: "two_norms"
state {
  phase: TEST
}
engine: "MKLDNN"
layer {
  name: "data"
  type: "Input"
  engine: "CAFFE"
  input_param {
    shape {
      dim: 4
    }
  }
}
I0614 10:00:00.450000    17 net.cpp:400] data does not need backward computation.
I0614 10:00:00.500000    17 net.cpp:663] Dropped layer: norm1_scale
I0614 10:00:01.000000    17 caffe.cpp:334] *** Benchmark begins ***
I0614 10:00:01.000001    17 caffe.cpp:335] Testing for 2 iterations.
###0:40.25 ms
I0614 10:00:01.100000    17 caffe.cpp:363] Iteration: 1 forward time: 40 ms.
I0614 10:00:01.200000    17 caffe.cpp:363] Iteration: 2 forward time: 39 ms.
I0614 10:00:01.300000    17 caffe.cpp:377] Average Forward pass: 40 ms.
I0614 10:00:01.300001    17 caffe.cpp:383] Total Time: 80 ms.
I0614 10:00:01.300002    17 caffe.cpp:384] *** Benchmark ends ***
"""

CAFFE_TIME_NVIDIA = b"""I0528 16:53:26.206513 22014 caffe.cpp:608] *** Benchmark begins ***
I0528 16:53:26.206521 22014 caffe.cpp:609] Testing for 200 iterations.
I0528 16:53:36.082623 22014 caffe.cpp:528] Iterations: 0-100 average forward-backward time: 2 ms.
I0528 16:53:45.860116 22014 caffe.cpp:528] Iterations: 100-200 average forward-backward time: 3 ms.
I0528 16:54:15.373786 22014 caffe.cpp:660] Average Forward pass: 2.48 ms.
I0528 16:54:15.373790 22014 caffe.cpp:662] Average Backward pass: 0.0005854 ms.
I0528 16:54:15.373792 22014 caffe.cpp:664] Average Forward-Backward: 2.5 ms.
I0528 16:54:15.373795 22014 caffe.cpp:666] Total Time: 500 ms.
I0528 16:54:15.373798 22014 caffe.cpp:667] *** Benchmark ends ***
I0528 16:54:15.547689 22014 caffe.cpp:671] *** Stats ***
"""

CAFFE_TRAIN = b"""I0411 20:19:01.791424  9236 caffe.cpp:218] Using GPUs 0, 1
I0411 20:19:01.900000  9236 solver.cpp:44] Initializing solver from parameters: \n\
test_iter: 10
display: 40
iter_size: 2
I0411 20:19:02.000000  9236 net.cpp:51] Initializing net from parameters: \n\
layer {
  data_param {
    source: "train"
    batch_size: 32
  }
}
I0411 20:19:02.100000  9236 net.cpp:51] Initializing net from parameters: \n\
layer {
  data_param {
    batch_size: 7
  }
}
I0411 20:19:02.200000  9236 caffe.cpp:248] Starting Optimization
I0411 20:19:02.791426  9236 solver.cpp:273] Learning Rate Policy: step
I0411 20:19:02.800000  9236 solver.cpp:330] Iteration 0, Testing net (#0)
I0411 20:19:03.141243  9236 solver.cpp:218] Iteration 0 (-4.84761e-40 iter/s, 0.3s/40 iters), loss = 2.4
I0411 20:19:03.141291  9236 solver.cpp:237]     Train net output #0: loss = 4.40975 (* 0.3 = 1.3 loss)
I0411 20:19:14.655712  9236 solver.cpp:218] Iteration 40 (4 iter/s, 10s/40 iters), loss = 1.68719
I0411 20:19:18.655712  9236 solver.cpp:218] Iteration 80 (10 iter/s, 4s/40 iters), loss = nan
I0411 20:19:23.655712  9236 solver.cpp:218] Iteration 120 (8 iter/s, 5s/40 iters), loss = 1.6
I0411 20:19:23.700000  9236 solver.cpp:310] Iteration 120, loss = 1.5
I0411 20:19:23.755712  9236 caffe.cpp:259] Optimization Done.
"""

# Before release 1.0 no rate is printed.
CAFFE_TRAIN_OLD = b"""I1231 23:59:30.000000  9236 caffe.cpp:117] Use CPU.
I1231 23:59:30.000000  9236 caffe.cpp:132] Starting Optimization
I1231 23:59:40.000000  9236 solver.cpp:228] Iteration 0, loss = 2.4
I1231 23:59:50.000000  9236 solver.cpp:228] Iteration 20, loss = 2.3
I1231 23:59:54.000000  9236 solver.cpp:228] Iteration 40, loss = 2.2
I0101 00:00:00.000000  9236 solver.cpp:228] Iteration 60, loss = 2.1
I0101 00:00:00.000001  9236 solver.cpp:337] Iteration 80, Testing net (#0)
I0101 00:01:40.000000  9236 solver.cpp:228] Iteration 80, loss = 2.1
I0101 00:01:40.000001  9236 caffe.cpp:170] Optimization Done.
"""

NVCAFFE_TRAIN = b"""I0404 16:54:47.249495 72403 caffe.cpp:476] This is NVCaffe 0.17.0 started at Tue Apr  4 2017
I0404 16:54:52.980594 72403 caffe.cpp:197] Using GPUs 0, 1
I0404 16:54:56.824389 72403 parallel.cpp:67] Starting Optimization
I0404 16:55:14.787991 72497 solver.cpp:337]     [0.0] Iteration 0 (7.62135 s), loss = 6.9209
I0404 16:55:15.423432 72497 solver.cpp:337]     [0.0] Iteration 1 (0.635205 s), 0.1/2ep, loss = 6.9
I0404 16:55:15.732383 72497 solver.cpp:313]     [0.0] Iteration 2 (2.5 iter/s, 0.4s/100 iter), loss = 6.9
I0404 16:55:21.635900 72497 solver.cpp:313]     [0.0] Iteration 100 (19.6 iter/s, 5s/98 iter), loss = 6.8
I0404 16:55:27.651602 72497 solver.cpp:313]     [0.0] Iteration 200 (20 iter/s, 5s/100 iter), loss = 6.7
I0404 19:01:50.052346 72403 parallel.cpp:79] Root Solver performance on device 0: 19.5 * 64 = 1248 img/sec (200 itr in 10 sec)
I0404 19:01:50.052379 72403 parallel.cpp:84]      Solver performance on device 1: 19.5 * 64 = 1248 img/sec (200 itr in 10 sec)
I0404 19:01:50.052419 72403 parallel.cpp:87] Overall multi-GPU performance: 2496.5 img/sec
I0404 19:03:08.047359 72403 caffe.cpp:242] Optimization Done in 2h 8m 22s
"""

CAFFE2_TRAINER = b"""INFO:resnet50_trainer:Running on GPUs: [0, 1]
INFO:resnet50_trainer:Starting epoch 0/1
INFO:resnet50_trainer:Finished iteration 1/4 of epoch 0 (34.41 images/sec)
INFO:resnet50_trainer:Training loss: 0.693147480488, accuracy: 1.0
INFO:resnet50_trainer:Finished iteration 2/4 of epoch 0 (77.39 images/sec)
INFO:resnet50_trainer:Finished iteration 3/4 of epoch 0 (100.00 images/sec)
INFO:resnet50_trainer:Finished iteration 4/4 of epoch 0 (300.00 images/sec)
"""

CAFFE2_NET = b"""AlexNet: running forward-backward.
I0719 20:33:05.787941    11 net_dag.cc:583] Starting benchmark.
I0719 20:33:05.787959    11 net_dag.cc:584] Running warmup runs.
I0719 20:33:46.220737    11 net_dag.cc:594] Main runs.
I0719 20:34:25.308698    11 net_dag.cc:605] Main run finished. Milliseconds per iter: 800. Iters per second: 1.25
"""

MXNET_TRAIN = b"""INFO:root:start with arguments Namespace(batch_size=64, benchmark=1, disp_batches=20, \
dtype='float16', gpus='0,1', kv_store='device', network='resnet', num_layers=50)
[22:21:03] src/operator/cudnn_algoreg-inl.h:107: Running performance tests
INFO:root:Epoch[0] Batch [0-20]\tSpeed: 41.25 samples/sec\taccuracy=0.007999
INFO:root:Epoch[0] Batch [20-40]\tSpeed: 100.00 samples/sec\taccuracy=0.007617
INFO:root:Epoch[0] Batch [40-60]\tSpeed: 300.00 samples/sec\taccuracy=0.006543
INFO:root:Epoch[0] Train-accuracy=0.007607
INFO:root:Epoch[0] Time cost=476.694
"""

# Release 0.x: one line per metric.
MXNET_TRAIN_OLD = b"""\
2017-05-04 10:11:12,345 Node[0] Epoch[0] Batch [50]\tSpeed: 5.25 samples/sec\tTrain-accuracy=0.25
2017-05-04 10:11:12,345 Node[0] Epoch[0] Batch [50]\tSpeed: 5.25 samples/sec\tTrain-top_k=0.5
2017-05-04 10:12:12,345 Node[0] Epoch[0] Batch [100]\tSpeed: 100.00 samples/sec\tTrain-accuracy=0.25
2017-05-04 10:12:12,345 Node[0] Epoch[0] Batch [100]\tSpeed: 100.00 samples/sec\tTrain-top_k=0.5
2017-05-04 10:13:12,345 Node[0] Epoch[0] Batch [150]\tSpeed: 300.00 samples/sec\tTrain-accuracy=0.25
2017-05-04 10:13:12,345 Node[0] Epoch[0] Batch [150]\tSpeed: 300.00 samples/sec\tTrain-top_k=0.5
2017-05-04 10:14:12,345 Node[0] Epoch[0] Time cost=476.694
"""

# Two inferences at a time: their times sum up to more than the run time.
ONNXRUNTIME = b"""Setting intra_op_num_threads to 2
Session creation time cost: 0.25 s
First inference time cost: 75 ms
Total inference time cost: 4.8 s
Total inference requests: 100
Average inference time cost total: 48.000000 ms
Total inference run time: 2.5 s
Number of inferences per second: 40
Avg CPU usage: 97 %
Peak working set size: 90500000 bytes
Avg CPU usage:97
Peak working set size:90500000
Runs:100
Min Latency: 0.045 s
Max Latency: 0.06 s
P50 Latency: 0.0475 s
P90 Latency: 0.05 s
P95 Latency: 0.052 s
P99 Latency: 0.058 s
P999 Latency: 0.06 s
"""

ONNXRUNTIME_2019 = b"""Total time cost:2.5
Total iterations:125
Average time cost:20 ms
"""

MXNET_SCORE = b"""INFO:root:network: alexnet
INFO:root:device: gpu(0)
INFO:root:batch size 32, dtype float32, images/sec: 640.500000
"""

GIEXEC = b"""deploy: resnet50.prototxt
output: prob
batch: 64
half2
Input "data": 3x224x224
name=data, bindingIndex=0, buffers.size()=2
Average over 10 runs is 10.5 ms.
Average over 10 runs is 9.5 ms.
"""

TRTEXEC_5 = b"""&&&& RUNNING TensorRT.trtexec # trtexec --deploy=r.prototxt --batch=64 --avgRuns=500
[I] deploy: r.prototxt
[I] batch: 64
[I] Average over 500 runs is 10.5 ms (host walltime is 12.5 ms, 99% percentile time is 11.5).
&&&& PASSED TensorRT.trtexec # trtexec --deploy=r.prototxt --batch=64 --avgRuns=500
"""

TRTEXEC_6 = b"""&&&& RUNNING TensorRT.trtexec # trtexec --deploy=r.prototxt --batch=8
[11/20/2019-15:23:10] [I] === Inference Options ===
[11/20/2019-15:23:10] [I] Batch: 8
[11/20/2019-15:23:10] [I] Streams: 1
[11/20/2019-15:23:10] [I] GPU compute time average over 10 runs is 4 ms (latency average 5.5 ms)
[11/20/2019-15:23:20] [I] Host latency
[11/20/2019-15:23:20] [I] min: 5 ms
[11/20/2019-15:23:20] [I] max: 7 ms
[11/20/2019-15:23:20] [I] mean: 5.5 ms
[11/20/2019-15:23:20] [I] median: 5.4 ms
[11/20/2019-15:23:20] [I] percentile: 6.5 ms (99%)
[11/20/2019-15:23:20] [I] throughput: 1450.5 qps
[11/20/2019-15:23:20] [I] walltime: 3.5 s
[11/20/2019-15:23:20] [I] GPU Compute
[11/20/2019-15:23:20] [I] min: 3 ms
[11/20/2019-15:23:20] [I] max: 5 ms
[11/20/2019-15:23:20] [I] mean: 4 ms
[11/20/2019-15:23:20] [I] median: 4.1 ms
[11/20/2019-15:23:20] [I] percentile: 4.5 ms (99%)
[11/20/2019-15:23:20] [I] throughput: 2000.5 qps
[11/20/2019-15:23:20] [I] walltime: 2.5 s
&&&& PASSED TensorRT.trtexec # trtexec --deploy=r.prototxt --batch=8
"""

TRTEXEC_7 = b"""[11/02/2021-09:15:15] [I] === Model Options ===
&&&& RUNNING TensorRT.trtexec # trtexec --onnx=r.onnx
[11/02/2021-09:15:15] [I] Max batch: explicit
[11/02/2021-09:15:15] [I] Batch: Explicit
[11/02/2021-09:15:15] [I] Streams: 1
[11/02/2021-09:17:09] [I] Timing trace has 0 queries over 3.5 s
[11/02/2021-09:17:09] [I] Average on 10 runs - GPU latency: 0.5 ms - Host latency: 0.6 ms (end to end 1.0 ms, enqueue 0.2 ms)
[11/02/2021-09:17:09] [I] Host Latency
[11/02/2021-09:17:09] [I] min: 0.55 ms (end to end 1.0 ms)
[11/02/2021-09:17:09] [I] max: 0.75 ms (end to end 1.0 ms)
[11/02/2021-09:17:09] [I] mean: 0.65 ms (end to end 1.0 ms)
[11/02/2021-09:17:09] [I] median: 0.6 ms (end to end 1.0 ms)
[11/02/2021-09:17:09] [I] percentile: 0.7 ms at 99% (end to end 1.0 ms at 99%)
[11/02/2021-09:17:09] [I] throughput: 0 qps
[11/02/2021-09:17:09] [I] walltime: 3.5 s
[11/02/2021-09:17:09] [I] Enqueue Time
[11/02/2021-09:17:09] [I] min: 0.2 ms
[11/02/2021-09:17:09] [I] GPU Compute
[11/02/2021-09:17:09] [I] min: 0.25 ms
[11/02/2021-09:17:09] [I] mean: 0.5 ms
[11/02/2021-09:17:09] [I] percentile: 0.5 ms at 99%
[11/02/2021-09:17:09] [I] total compute time: 3.25 s
&&&& PASSED TensorRT.trtexec # trtexec --onnx=r.onnx
"""

TRTEXEC_8 = b"""&&&& RUNNING TensorRT.trtexec [TensorRT v8601] # trtexec --onnx=r.onnx --shapes=images:4x3x64x64
[10/01/2024-13:21:44] [I] Batch: Explicit
[10/01/2024-13:21:44] [I] Input inference shape: images=4x3x64x64
[10/01/2024-13:21:44] [I] Inference Streams: 1
[10/01/2024-13:27:03] [I] Created input binding for images with dimensions 4x3x64x64
[10/01/2024-13:27:03] [I] Created output binding for output0 with dimensions 4x84x8400
[10/01/2024-13:27:06] [I] Warmup completed 28 queries over 200 ms
[10/01/2024-13:27:06] [I] Timing trace has 500 queries over 2.5 s
[10/01/2024-13:27:06] [I] Average on 10 runs - GPU latency: 7.25 ms - Host latency: 9.25 ms (enqueue 1.2 ms)
[10/01/2024-13:27:06] [I] === Performance summary ===
[10/01/2024-13:27:06] [I] Throughput: 200.5 qps
[10/01/2024-13:27:06] [I] Latency: min = 8.5 ms, max = 10.5 ms, mean = 9.5 ms, median = 9.25 ms, percentile(90%) = 9.75 ms, percentile(99%) = 10.25 ms
[10/01/2024-13:27:06] [I] End-to-End Host Latency: min = 1 ms, max = 19 ms, mean = 18.5 ms, median = 9 ms, percentile(99%) = 10 ms
[10/01/2024-13:27:06] [I] GPU Compute Time: min = 7 ms, max = 7.5 ms, mean = 7.25 ms, median = 7.3 ms, percentile(90%) = 7.4 ms
[10/01/2024-13:27:06] [I] Total Host Walltime: 2.5 s
[10/01/2024-13:27:06] [I] Total GPU Compute Time: 3.625 s
[10/01/2024-13:27:06] [W] * Throughput may be bound by Enqueue Time rather than GPU Compute
&&&& PASSED TensorRT.trtexec [TensorRT v8601] # trtexec --onnx=r.onnx --shapes=images:4x3x64x64
"""

OPENVINO = b"""[Step 1/11] Parsing and validating input arguments
[ INFO ] Model batch size: 8
[Step 10/11] Measuring performance (Start inference asynchronously, 6 inference requests, limits: 15000 ms duration)
[ INFO ] First inference took 36.42 ms
[Step 11/11] Dumping statistics report
[ INFO ] Count:            1500 iterations
[ INFO ] Duration:         15000.00 ms
[ INFO ] Latency:
[ INFO ]    Median:        49.80 ms
[ INFO ]    Average:       50.35 ms
[ INFO ]    Min:           33.27 ms
[ INFO ]    Max:           104.15 ms
[ INFO ] Throughput:   800.50 FPS
"""

OPENVINO_2021 = b"""[Step 11/11] Dumping statistics report
Count:      1500 iterations
Duration:   15000.00 ms
Latency:    49.80 ms
Throughput: 100.05 FPS
"""

NONE = ParseHints()
EIGHT = ParseHints(batch=8)

# program, log, hints, headline, recomputed
SAMPLES: dict[str, tuple[str, bytes, ParseHints, float, float | None]] = {
    "caffe_time": ("caffe_time", CAFFE_TIME, NONE, 1000.0, 128 / 0.125),
    "caffe_time_nvidia": ("caffe_time", CAFFE_TIME_NVIDIA, EIGHT, 8 / 2.48e-3, 3200.0),
    "caffe_train": ("caffe_train", CAFFE_TRAIN, NONE, 80 / 9 * 128, 80 / 9 * 128),
    "caffe_train_old": ("caffe_train", CAFFE_TRAIN_OLD, EIGHT, 32.0, 32.0),
    "nvcaffe_train": ("caffe_train", NVCAFFE_TRAIN, NONE, 2496.5, 19.8 * 128),
    "caffe2_trainer": ("caffe2_trainer", CAFFE2_TRAINER, NONE, 150.0, 150.0),
    "caffe2_net": ("caffe2_net", CAFFE2_NET, EIGHT, 10.0, 10.0),
    "mxnet_train": ("mxnet_train_imagenet", MXNET_TRAIN, NONE, 150.0, 150.0),
    "mxnet_train_old": ("mxnet_train_imagenet", MXNET_TRAIN_OLD, NONE, 150.0, 150.0),
    "mxnet_score": ("mxnet_score", MXNET_SCORE, NONE, 640.5, None),
    "giexec": ("trtexec", GIEXEC, NONE, 6400.0, 6400.0),
    "trtexec_5": ("trtexec", TRTEXEC_5, NONE, 64 / 10.5e-3, 64 / 10.5e-3),
    "trtexec_6": ("trtexec", TRTEXEC_6, NONE, 1450.5, 5000 / 3.5),
    "trtexec_7": ("trtexec", TRTEXEC_7, EIGHT, 6500 / 3.5 * 8, 6500 / 3.5 * 8),
    "trtexec_8": ("trtexec", TRTEXEC_8, NONE, 802.0, 800.0),
    "onnxruntime": ("onnxruntime_perf_test", ONNXRUNTIME, EIGHT, 320.0, 320.0),
    "onnxruntime_2019": ("onnxruntime_perf_test", ONNXRUNTIME_2019, EIGHT, 400.0, 400.0),
    "openvino": ("openvino_benchmark_app", OPENVINO, NONE, 800.5, 800.0),
    "openvino_2021": ("openvino_benchmark_app", OPENVINO_2021, NONE, 100.05, 100.0),
}

# Their logs have no summary: what was printed so far is all there is.
ENDLESS = {
    "caffe_train",
    "caffe_train_old",
    "caffe2_trainer",
    "mxnet_train",
    "mxnet_train_old",
    "giexec",
}
