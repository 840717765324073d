"""What the last lines of a log show about a crash; the texts are from real programs."""

import pytest

from orchestrator.parsers import crash

FAULT_HANDLER = [
    "",
    "Current thread 0x00007f653c9d2b80 (most recent call first):",
    '  File "/opt/benchdock/backends/caffe/step.py", line 96 in open_network',
]
STACK = [
    "*** Check failure stack trace: ***",
    "    @     0x7f33cff7350d  google::LogMessage::Fail()",
    "    @     0x7f33cff75ea9  google::LogMessageFatal::~LogMessageFatal()",
]
GLOG = "F1122 22:40:45.892756     9 "
PROTOBUF = (
    "[libprotobuf ERROR google/protobuf/text_format.cc:309] Error parsing text-format "
    'caffe.NetParameter: 2:12: Message type "caffe.LayerParameter" has no field named "nme".'
)


def judged(*lines):
    found = crash.evidence(["working", *lines])
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("base_conv_layer.cpp:119] Check failed: num_output_ > 0 (0 vs. 0) ", "crashed"),
        (
            "math_functions.cu:26] Check failed: status == CUBLAS_STATUS_SUCCESS (1 vs. 0)",
            "crashed",
        ),
        (
            "syncedmem.cpp:56] Check failed: error == cudaSuccess (2 vs. 0)  out of memory",
            "out_of_memory",
        ),
        ("syncedmem.hpp:18] Check failed: error == cudaSuccess (2 vs. 0)", "out_of_memory"),
        ("common.cpp:66] Cannot use GPU in CPU-only Caffe: check mode.", "unsupported"),
        ("engine_parser.hpp:151] Support for MKL2017 is not enabled", "unsupported"),
        (
            "layer_factory.hpp:81] Check failed: registry.count(type) == 1 (0 vs. 1) Unknown layer "
            "type: Foo (known types: AbsVal, Accuracy)",
            "unsupported",
        ),
        (
            "upgrade_proto.cpp:90] Check failed: ReadProtoFromTextFile(param_file, param) Failed "
            "to parse NetParameter file: bad.prototxt",
            "data",
        ),
        (
            "db_lmdb.hpp:15] Check failed: mdb_status == 0 (2 vs. 0) No such file or directory",
            "data",
        ),
    ],
)
def test_glogs_fatal_line_is_the_proof_whatever_is_said_after_it(words, kind):
    line = GLOG + words
    after = [*STACK, "Fatal Python error: Aborted", *FAULT_HANDLER]
    shell = "/benchdock/run/launcher.sh: line 36:     9 Aborted     python3 -m x"
    for rest in ([], after, [*after, shell]):
        found = judged(line, *rest)
        assert (found.kind, found.evidence) == (kind, line)
        assert line in found.message


CHILD = [
    "Traceback (most recent call last):",
    '  File "/opt/bench/benchmarks.py", line 30, in <module>',
    "    from data import factory",
    "ImportError: Please install apex",
]
LAUNCH = [
    "Traceback (most recent call last):",
    '  File "/usr/lib/python3.6/site-packages/torch/distributed/launch.py", line 256, in main',
    "    cmd=cmd)",
    "subprocess.CalledProcessError: Command '['/usr/bin/python3', '-u', '/opt/bench/benchmarks.py',"
    " '--local_rank=0', '--model', 'resnet18']' returned non-zero exit status 1.",
]
HOROVODRUN = [
    "Traceback (most recent call last):",
    '  File "/usr/local/bin/horovodrun", line 8, in <module>',
    "    sys.exit(run_commandline())",
    "RuntimeError: Horovod detected that one or more processes exited with non-zero status, thus "
    "causing the job to be terminated. The first process to do so was:",
    "Process name: 0",
    "Exit code: 1",
]
MPIRUN = [
    "-------------------------------------------------------",
    "Primary job  terminated normally, but 1 process returned",
    "a non-zero exit code. Per user-direction, the job has been aborted.",
    "mpirun detected that one or more processes exited with non-zero status, thus causing",
    "the job to be terminated. The first process to do so was:",
    "  Process name: [[8765,1],0]",
    "  Exit code:    1",
]


@pytest.mark.parametrize("parent", [LAUNCH, HOROVODRUN, MPIRUN, []])
@pytest.mark.parametrize("rank", ["", "[1,0]<stderr>:"])
def test_what_the_child_died_of_is_the_cause_and_not_what_its_parent_says(parent, rank):
    found = judged(*(rank + line for line in CHILD), *parent)
    assert (found.kind, found.evidence) == ("crashed", CHILD[-1])


def test_a_child_that_died_of_a_signal_is_named_too():
    found = judged("Fatal Python error: Segmentation fault", *LAUNCH)
    assert found.evidence == "Fatal Python error: Segmentation fault"


def test_what_a_parent_says_counts_if_its_child_said_nothing():
    assert judged(*LAUNCH).evidence == LAUNCH[-1]


@pytest.mark.parametrize("parent", [LAUNCH, []])
def test_a_program_that_this_python_cannot_read_is_named_with_the_line(parent):
    words = [
        '  File "/opt/bench/pytorch_benchmarks/dataset_factory.py", line 347',
        "    batch = batch.cuda(async=True)",
        "                           ^",
        "SyntaxError: invalid syntax",
    ]
    found = judged(*words, *parent)
    assert found.evidence == "SyntaxError: invalid syntax"
    assert "dataset_factory.py, line 347)" in found.message


@pytest.mark.parametrize(
    ("lines", "proof"),
    [
        (
            [
                "FATAL Flags parsing error:",
                "  Unknown command line flag 'noxla_compile'. Did you mean: xla ?",
                "Pass --helpshort or --helpfull to see help on flags.",
            ],
            "  Unknown command line flag 'noxla_compile'. Did you mean: xla ?",
        ),
        (
            [
                "FATAL Flags parsing error:",
                "  flag --num_gpus=x: invalid literal for int() with base 10: 'x'",
                "Pass --helpshort or --helpfull to see help on flags.",
            ],
            "  flag --num_gpus=x: invalid literal for int() with base 10: 'x'",
        ),
        (
            [
                "ERROR: Unknown command line arg: --arch=resnet50",
                "Traceback (most recent call last):",
                '  File "main.py", line 3, in <module>',
                "ValueError: Invalid command line arg(s)",
            ],
            "ERROR: Unknown command line arg: --arch=resnet50",
        ),
        (
            ["usage: main.py [-h] DIR", "main.py: error: unrecognized arguments: --dummy"],
            "main.py: error: unrecognized arguments: --dummy",
        ),
        (
            ["train.py: error: argument --dtype: invalid choice: 'x' (choose from 'a')"],
            "train.py: error: argument --dtype: invalid choice: 'x' (choose from 'a')",
        ),
    ],
)
def test_a_refused_command_line_is_named_as_the_cause(lines, proof):
    found = judged(*lines)
    assert (found.kind, found.evidence) == ("unsupported", proof)
    assert found.message == f"the program refuses its command line: {proof.strip()}"


def test_what_protobuf_cannot_read_is_reported_with_glogs_line():
    line = f"{GLOG}upgrade_proto.cpp:90] Check failed: ReadProtoFromTextFile(f, p) Failed to parse"
    line += " NetParameter file: bad.prototxt"
    found = judged(PROTOBUF, line, *STACK)
    assert found.evidence == line
    assert 'has no field named "nme"' in found.message


def test_the_first_fatal_line_is_the_cause_of_those_of_other_threads():
    first, second = f"{GLOG}a.cpp:1] Check failed: a", f"{GLOG}b.cpp:1] Check failed: b"
    assert judged(first, second, *STACK).evidence == first


@pytest.mark.parametrize(
    "line",
    [
        "2024-01-01 10:00:00.123456: F tensorflow/core/platform/default/env.cc:73] Check failed: x",
        "F0000 00:00:1700000000.123456     12 cuda_dnn.cc:207] Check failed: status",
        "F20240101 10:00:00.123456 12 net.cpp:1] Check failed: x",
        # A library's own words, with no prefix known here.
        "[12:00:00] src/operator/nn.cc:123: Check failed: ndim == 4",
    ],
)
def test_fatal_lines_of_other_loggers(line):
    found = judged(line, "Aborted (core dumped)") if line[0] != "[" else judged(line)
    assert (found.kind, found.evidence) == ("crashed", line)


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("/usr/bin/python3: No module named backends", "backends"),
        (
            "/usr/bin/python3: Error while finding module specification for 'backends.caffe2' "
            "(ModuleNotFoundError: No module named 'backends')",
            "backends.caffe2",
        ),
        ("/benchdock/run/launcher.sh: line 36: exec: python3: not found", "python3"),
        ("/benchdock/run/launcher.sh: line 36: trtexec: command not found", "trtexec"),
        ("bash: line 1: caffe: command not found", "caffe"),
        (
            "/benchdock/run/launcher.sh: line 36: /usr/src/bin/giexec: No such file or directory",
            "/usr/src/bin/giexec",
        ),
        (
            "python: can't open file '/opt/examples/cnn/nvcnn.py': [Errno 2] No such file",
            "/opt/examples/cnn/nvcnn.py",
        ),
        ("[FATAL tini (6)] exec bash failed: No such file or directory", "bash"),
        ("ERROR (catatonit:2): failed to exec pid1: No such file or directory", "to be started"),
    ],
)
def test_what_an_image_lacks_is_named(line, named):
    found = judged(line)
    assert (found.kind, found.evidence) == ("image", line)
    assert named in found.message.partition(" is missing where the program ran: ")[0]


@pytest.mark.parametrize(
    ("last", "kind"),
    [
        ("ModuleNotFoundError: No module named 'torch'", "image"),
        ("ImportError: No module named 'caffe2.python'", "image"),  # Python 3.5
        ("ImportError: No module named caffe", "image"),  # Python 2
        ("ImportError: libcuda.so.1: cannot open shared object file: No such file", "crashed"),
        ("ModuleNotFoundError", "crashed"),
    ],
)
def test_a_missing_module_is_the_images_fault(last, kind):
    trace = ["Traceback (most recent call last):", '  File "x.py", line 1', "    import torch"]
    found = judged(*trace, last)
    assert (found.kind, found.evidence) == (kind, last)


def test_an_exception_of_several_lines_is_reported_with_its_cause():
    found = judged(
        "Traceback (most recent call last):",
        '  File "x.py", line 1',
        "RuntimeError: Exception from core.cpp:84:",
        "Model wasn't fully converted.",
        "  -- No conversion rule found for operations: Foo-13",
    )
    assert found.evidence == "RuntimeError: Exception from core.cpp:84:"
    assert found.message.endswith("No conversion rule found for operations: Foo-13")


def test_a_missing_module_that_was_borne_is_not_the_cause():
    found = judged(
        "Traceback (most recent call last):",
        "ModuleNotFoundError: No module named 'apex'",
        "going on without apex",
        "Traceback (most recent call last):",
        "ValueError: bad",
    )
    assert (found.kind, found.evidence) == ("crashed", "ValueError: bad")


@pytest.mark.parametrize(
    "line",
    [
        "double free or corruption (!prev)",
        "free(): invalid pointer",
        "free(): double free detected in tcache 2",
        "malloc(): corrupted top size",
        "malloc_consolidate(): invalid chunk size",
        "munmap_chunk(): invalid pointer",
        "corrupted size vs. prev_size",
        "*** stack smashing detected ***: terminated",
        "pure virtual method called",
        "terminate called without an active exception",
        "Intel MKL FATAL ERROR: Cannot load libmkl_avx2.so or libmkl_def.so.",
        "python3: ../src/x.cc:12: void f(): Assertion `n > 0' failed.",
    ],
)
def test_the_last_words_before_an_abort_are_the_proof(line):
    found = judged(line, "Fatal Python error: Aborted", *FAULT_HANDLER)
    assert (found.kind, found.evidence) == ("crashed", line)


def test_what_cpp_threw_is_reported():
    thrown = "terminate called after throwing an instance of 'std::logic_error'"
    found = judged(thrown, "  what():  vector is wrong", "Fatal Python error: Aborted")
    assert (found.kind, found.evidence) == ("crashed", thrown)
    assert found.message.endswith(": vector is wrong")
    memory = "terminate called after throwing an instance of 'std::bad_alloc'"
    assert judged(memory, "  what():  std::bad_alloc").kind == "out_of_memory"


@pytest.mark.parametrize(
    "line",
    [
        "Fatal Python error: Segmentation fault",
        "Fatal Python error: Illegal instruction",
        "Fatal Python error: Bus error",
        "Fatal Python error: Floating point exception",
        "launcher.sh: line 32:  2857 Segmentation fault      (core dumped) python3 -m x",
        "Floating point exception (core dumped)",
    ],
)
def test_a_death_told_by_somebody_else(line):
    found = judged(line, *FAULT_HANDLER)
    assert (found.kind, found.evidence) == ("crashed", line)


def test_a_peaceful_log_proves_nothing():
    assert crash.evidence(["I0101 00:00:00.000000 1 net.cpp:1] all well", "Find the file"]) is None
    assert crash.evidence([]) is None


def test_a_traceback_that_was_cut_off_is_not_the_last_word():
    head = "Traceback (most recent call last):"
    lines = [head, "ValueError: the first", head, '  File "x.py", line 1, in main']
    assert crash.evidence(lines).evidence == "ValueError: the first"


@pytest.mark.parametrize("prefix", ["[1,0]<stderr>:", "[rank0]: ", "[default0]:", "0: "])
def test_a_ranks_traceback_is_read_behind_its_prefix(prefix):
    lines = ["Traceback (most recent call last):", '  File "x.py", line 1, in f', "KeyError: 'x'"]
    found = judged(*(prefix + line for line in lines))
    assert (found.kind, found.evidence) == ("crashed", "KeyError: 'x'")


def test_what_tensorflows_allocator_warns_of_is_not_a_death():
    """It is printed by good runs too, whenever a faster algorithm wants more than there is."""
    warning = (
        "2022-05-11 17:04:18.055323: W tensorflow/core/common_runtime/bfc_allocator.cc:275] "
        "Allocator (GPU_0_bfc) ran out of memory trying to allocate 400.00MiB with "
        "freed_by_count=0. The caller indicates that this is not a failure, but may mean that "
        "there could be performance gains if more memory were available."
    )
    assert crash.evidence(["working", warning, "working"]) is None
    told = warning.replace(" The caller indicates that this is not a failure,", "")
    assert judged(warning, told).evidence == told
    assert judged(warning, "Segmentation fault").kind == "crashed"


RAISED = ["Traceback (most recent call last):", '  File "x.py", line 1', "RuntimeError: it failed"]


@pytest.mark.parametrize(
    "line",
    [
        "node1:10:20 [3] include/shm.h:28 NCCL WARN Call to posix_fallocate failed : No space left",
        "node1:10:20 [0] NCCL WARN Error while creating shared memory segment /dev/shm/nccl-a1 (4)",
        "node1:10:20 [0] misc/shmutils.cc:72 NCCL WARN Error: failed to extend /dev/shm/nccl-b2",
        "RuntimeError: DataLoader worker (pid 31) is killed by signal: Bus error. It is possible",
        "RuntimeError: DataLoader worker (pid(s) 31) is killed: Bus error",
        "ERROR: Unexpected bus error encountered in worker. This might be caused by insufficient "
        "shared memory (shm).",
        "RuntimeError: unable to write to file </torch_31_77>: No space left on device (28)",
        "RuntimeError: unable to allocate shared memory(shm) for file </torch_6_18_0>: No space "
        "left on device (28)",
        "OSError: [Errno 28] No space left on device: '/dev/shm/psm_1234'",
        "It appears as if there is not enough space for /dev/shm/vader_segment.node1.1",
    ],
)
def test_too_little_shared_memory_is_named_with_the_option(line):
    found = judged(line, *RAISED)
    assert (found.kind, found.evidence) == ("crashed", line)
    assert "--shm-size" in found.message


@pytest.mark.parametrize(
    ("line", "fix"),
    [
        ("mpirun has detected an attempt to run as root.", "--allow-run-as-root"),
        ("prterun has detected an attempt to run as root.", "--allow-run-as-root"),
        (
            "There are not enough slots available in the system to satisfy the 8",
            "--oversubscribe",
        ),
        ("result in binding more processes than cpus on a resource:", "--bind-to none"),
        ("mpirun was unable to find the specified executable file, and", "path"),
        ("ORTE was unable to reliably start one or more daemons.", "one host"),
    ],
)
def test_mpiruns_refusals_are_named_with_the_fix(line, fix):
    rule = "-" * 74
    found = judged(rule, line, "More words of a paragraph", rule)
    assert found.evidence == line
    assert found.message.startswith("mpirun ")
    assert fix in found.message


@pytest.mark.parametrize(
    "line",
    [
        "urllib.error.URLError: <urlopen error [Errno -3] Temporary failure in name resolution>",
        "socket.gaierror: [Errno -2] Name or service not known",
        "requests.exceptions.ConnectionError: HTTPSConnectionPool(host='x.invalid', port=443): Max "
        "retries exceeded (Caused by NameResolutionError(\"Failed to resolve 'x.invalid'\"))",
        "curl: (6) Could not resolve host: x.invalid",
        "wget: unable to resolve host address 'x.invalid'",
        "fatal: unable to access 'https://x.invalid/': Could not resolve host: x.invalid",
        "OSError: [Errno 101] Network is unreachable",
    ],
)
def test_a_program_that_wants_the_network_is_told_if_there_is_none(line):
    for lines in ([*RAISED[:2], line], [line], [line, *RAISED]):
        found = judged(*lines)
        assert found.evidence == line
        assert found.message.startswith("the program cannot reach the network: ")
        assert "have no network unless they run with --network bridge" in found.message
        for isolated, fix in ((True, "with --network bridge, or"), (False, "name servers")):
            told = crash.evidence(lines, isolated=isolated)
            assert fix in told.message
            assert ("has none" in told.message) is isolated


def test_a_network_that_was_missed_long_ago_is_not_the_cause():
    early = ["urllib3: Failed to resolve 'telemetry.invalid', go on without", *["step"] * 70]
    assert judged(*early, *RAISED).evidence == RAISED[-1]


def test_the_first_of_several_root_errors_is_reported():
    last = "tensorflow.python.framework.errors_impl.InternalError: 2 root error(s) found."
    after = ["  (0) Internal: cuDNN launch failure", "\t [[{{node a}}]]", "  (1) Internal: b"]
    found = judged(*RAISED[:2], last, *after)
    assert found.message.endswith("2 root error(s) found. Internal: cuDNN launch failure")
    assert found.evidence == last
    nccl = judged(*RAISED[:2], last, "  (0) Unknown: NCCL: unhandled system error", *after[1:])
    assert "--shm-size" in nccl.message
    assert "NCCL_DEBUG=WARN" in nccl.message
    memory = judged(*RAISED[:2], last, "  (0) Resource exhausted: OOM when allocating tensor")
    assert memory.kind == "out_of_memory"
