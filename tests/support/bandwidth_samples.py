"""Reports of nccl-tests, nvbandwidth and iperf3 in their format, with figures of our own."""

ALL_REDUCE = b"""\
# nccl-tests version 2.17.1 nccl-headers=22803 nccl-library=22803
# Collective test starting: all_reduce_perf
# nThread 1 nGpus 4 minBytes 1024 maxBytes 268435456 step: 512(factor) warmup iters: 1 iters: 20 \
agg iters: 1 validation: 1 graph: 0 unalign: 0
#
# Using devices
#  Rank  0 Group  0 Pid   4711 on    node-a7 device  0 [0000:18:00] Some GPU 96GB
#  Rank  1 Group  0 Pid   4711 on    node-a7 device  1 [0000:2a:00] Some GPU 96GB
#  Rank  2 Group  0 Pid   4711 on    node-a7 device  2 [0000:3a:00] Some GPU 96GB
#  Rank  3 Group  0 Pid   4711 on    node-a7 device  3 [0000:5d:00] Some GPU 96GB
#
#                                                              out-of-place                       \
in-place          
#       size         count      type   redop    root     time   algbw   busbw  #wrong     time   \
algbw   busbw  #wrong 
#        (B)    (elements)                               (us)  (GB/s)  (GB/s)             (us)  \
(GB/s)  (GB/s)         
        1024           256     float     sum      -1    20.00    0.05    0.08       0    20.48    \
0.05    0.07       0
      524288        131072     float     sum      -1    32.77   16.00   24.00       0    32.00   \
16.38   24.58       0
   268435456      67108864     float     sum      -1  1342.18  200.00  300.00       0  1355.73  \
198.00  297.00       0
# Out of bounds values : 0 OK
# Avg bus bandwidth    : 107.622 
#
# Collective test concluded: all_reduce_perf
#

"""  # noqa: W291 - the program prints these spaces

# As a release of 2021 prints it: no root without one, the largest error instead of a count.
OLD_ALL_GATHER = b"""\
# nThread 1 nGpus 2 minBytes 4194304 maxBytes 8388608 step: 2(factor) warmup iters: 5 iters: 20 \
validation: 1 
#
# Using devices
#   Rank  0 Pid   1207 on     host-b device  0 [0x3b] Other GPU
#   Rank  1 Pid   1207 on     host-b device  1 [0xaf] Other GPU
#
#                                             out-of-place                       in-place
#       size         count    type     time   algbw   busbw  error     time   algbw   busbw  error
#        (B)    (elements)             (us)  (GB/s)  (GB/s)            (us)  (GB/s)  (GB/s)
     4194304        524288   float    419.4   10.00    5.00  0e+00    423.7    9.90    4.95  0e+00
     8388608       1048576   float    798.9   10.50    5.25  0e+00    806.6   10.40    5.20  0e+00
# Out of bounds values : 0 OK
# Avg bus bandwidth    : 5.1 
#
"""  # noqa: W291

NVBANDWIDTH = b"""\
nvbandwidth Version: v0.8
Built from Git version: v0.8

CUDA Runtime Version: 13000
CUDA Driver Version: 13000
Driver Version: 580.65.06

node-a7
Device 0: Some GPU 96GB (00000000:18:00)
Device 1: Some GPU 96GB (00000000:2a:00)

Running host_to_device_memcpy_ce.
memcpy CE CPU(row) -> GPU(column) bandwidth (GB/s)
           0         1
 0     55.10     41.30

SUM host_to_device_memcpy_ce 96.40

Running device_to_device_memcpy_read_ce.
memcpy CE GPU(row) -> GPU(column) bandwidth (GB/s)
           0         1
 0       N/A    370.12
 1    369.88       N/A

SUM device_to_device_memcpy_read_ce 740.00

Running host_device_latency_sm.
memory latency SM CPU(row) <-> GPU(column) (ns)
           0         1
 0    771.20    773.60

SUM host_device_latency_sm 1544.80

NOTE: The reported results may not reflect the full capabilities of the platform.
Performance can vary with software drivers, hardware clocks, and system topology.

"""

NVBANDWIDTH_JSON = b"""\
{
\t"nvbandwidth" : 
\t{
\t\t"CUDA Runtime Version" : 13000,
\t\t"Driver Version" : "580.65.06",
\t\t"GPU Device list" : 
\t\t[
\t\t\t"0: Some GPU 96GB (00000000:18:00): (node-a7)",
\t\t\t"1: Some GPU 96GB (00000000:2a:00): (node-a7)"
\t\t],
\t\t"git_version" : "v0.8",
\t\t"testcases" : 
\t\t[
\t\t\t{
\t\t\t\t"bandwidth_description" : "memcpy CE CPU(row) -> GPU(column) bandwidth (GB/s)",
\t\t\t\t"bandwidth_matrix" : 
\t\t\t\t[
\t\t\t\t\t[
\t\t\t\t\t\t"55.104",
\t\t\t\t\t\t"41.296"
\t\t\t\t\t]
\t\t\t\t],
\t\t\t\t"name" : "host_to_device_memcpy_ce",
\t\t\t\t"status" : "Passed",
\t\t\t\t"sum" : 96.400000000000006
\t\t\t},
\t\t\t{
\t\t\t\t"name" : "device_to_device_memcpy_read_ce",
\t\t\t\t"status" : "Waived"
\t\t\t}
\t\t],
\t\t"version" : "v0.8"
\t}
}
"""  # noqa: W291

IPERF3 = b"""\
Connecting to host node-b2, port 5201
[  5] local 10.1.0.7 port 40112 connected to 10.1.0.8 port 5201
[  7] local 10.1.0.7 port 40128 connected to 10.1.0.8 port 5201
[ ID] Interval           Transfer     Bitrate         Retr  Cwnd
[  5]   0.00-1.00   sec   583 MBytes  4.89 Gbits/sec    3   1.41 MBytes       
[  7]   0.00-1.00   sec   560 MBytes  4.70 Gbits/sec    0   1.22 MBytes       
[SUM]   0.00-1.00   sec  1.12 GBytes  9.59 Gbits/sec    3             
- - - - - - - - - - - - - - - - - - - - - - - - -
[ ID] Interval           Transfer     Bitrate         Retr
[  5]   0.00-2.00   sec  1.13 GBytes  4.85 Gbits/sec    3             sender
[  5]   0.00-2.00   sec  1.13 GBytes  4.84 Gbits/sec                  receiver
[  7]   0.00-2.00   sec  1.09 GBytes  4.68 Gbits/sec    1             sender
[  7]   0.00-2.00   sec  1.09 GBytes  4.66 Gbits/sec                  receiver
[SUM]   0.00-2.00   sec  2.22 GBytes  9.53 Gbits/sec    4             sender
[SUM]   0.00-2.00   sec  2.21 GBytes  9.50 Gbits/sec                  receiver

iperf Done.
"""  # noqa: W291

IPERF3_UDP = b"""\
Connecting to host node-b2, port 5201
[  5] local 10.1.0.7 port 33870 connected to 10.1.0.8 port 5201
[ ID] Interval           Transfer     Bitrate         Jitter    Lost/Total Datagrams
[  5]   0.00-5.00   sec   625 KBytes  1.02 Mbits/sec  0.000 ms  0/442 (0%)  sender
[  5]   0.00-5.00   sec   619 KBytes  1.01 Mbits/sec  0.021 ms  4/442 (0.9%)  receiver

iperf Done.
"""

IPERF3_JSON = b"""\
{
\t"start":\t{
\t\t"version":\t"iperf 3.18",
\t\t"test_start":\t{
\t\t\t"protocol":\t"TCP",
\t\t\t"num_streams":\t2
\t\t}
\t},
\t"intervals":\t[],
\t"end":\t{
\t\t"sum_sent":\t{
\t\t\t"start":\t0,
\t\t\t"end":\t2.000102,
\t\t\t"seconds":\t2.000102,
\t\t\t"bytes":\t2383151104,
\t\t\t"bits_per_second":\t9532118278.56,
\t\t\t"retransmits":\t4,
\t\t\t"sender":\ttrue
\t\t},
\t\t"sum_received":\t{
\t\t\t"start":\t0,
\t\t\t"end":\t2.000000,
\t\t\t"seconds":\t2.000000,
\t\t\t"bytes":\t2375000000,
\t\t\t"bits_per_second":\t9500000000,
\t\t\t"sender":\ttrue
\t\t}
\t}
}
"""

# By name: the program, its report, and the figures in it in SI base units.
SAMPLES = {
    "all_reduce": (
        "nccl_tests",
        ALL_REDUCE,
        {
            "bus_bandwidth_mean": 107.622e9,
            "bus_bandwidth": 300e9,
            "bus_bandwidth_in_place": 297e9,
        },
    ),
    "old_all_gather": (
        "nccl_tests",
        OLD_ALL_GATHER,
        {"bus_bandwidth_mean": 5.1e9, "bus_bandwidth": 5.25e9, "bus_bandwidth_in_place": 5.2e9},
    ),
    "nvbandwidth": (
        "nvbandwidth",
        NVBANDWIDTH,
        {
            "host_to_device_memcpy_ce": 48.2e9,
            "host_to_device_memcpy_ce_worst": 41.3e9,
            "device_to_device_memcpy_read_ce": 370e9,
            "device_to_device_memcpy_read_ce_worst": 369.88e9,
            "host_device_latency_sm": 772.4e-9,
            "host_device_latency_sm_worst": 773.6e-9,
        },
    ),
    "nvbandwidth_json": (
        "nvbandwidth",
        NVBANDWIDTH_JSON,
        {"host_to_device_memcpy_ce": 48.2e9, "host_to_device_memcpy_ce_worst": 41.296e9},
    ),
    "iperf3": ("iperf3", IPERF3, {"bandwidth": 9.5e9 / 8, "retransmits": 4.0}),
    "iperf3_udp": (
        "iperf3",
        IPERF3_UDP,
        {"bandwidth": 1.01e6 / 8, "jitter": 21e-6, "lost": 4 / 442},
    ),
    "iperf3_json": ("iperf3", IPERF3_JSON, {"bandwidth": 9.5e9 / 8, "retransmits": 4.0}),
}
