"""What DLBS sets if a configuration does not: names and values of its parameters.

From its `configs/base.json` (version 0.0.2). Conditions of extensions see these values. What a
framework's own file sets (`mxnet.kv_store`, ...) is not here.
"""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.dlbs.configuration import Configuration, Parameters
from orchestrator.errors import RequestError, quoted

# DLBS computes these, so a condition on them is an error there.
_DERIVED = (
    *("exp.data", "exp.effective_batch", "exp.num_local_replicas", "exp.num_local_gpus"),
    *("exp.num_replicas", "exp.num_gpus", "exp.device_type", "exp.docker_launcher", "exp.id"),
    *("monitor.backend_pid_folder", "runtime.visible_gpus", "runtime.python"),
    *("runtime.EXPORT_CUDA_VISIBLE_DEVICES", "runtime.EXPORT_CUDA_CACHE_PATH"),
)
_EMPTY = (
    *("exp.status_msg", "exp.proj", "exp.framework", "exp.framework_title", "exp.framework_ver"),
    *("exp.framework_commit", "exp.model", "exp.model_title", "exp.data_store", "exp.sys_info"),
    *("exp.device_title", "exp.cuda", "exp.cudnn", "exp.node_id", "exp.node_nic"),
    "runtime.launcher",
)
DEFAULTS: Parameters = {
    **dict.fromkeys(_EMPTY, ""),
    **dict.fromkeys(_DERIVED, "$(computed by DLBS)$"),
    "exp.status": "ok",
    "exp.framework_family": "${exp.framework}",
    "exp.model_opts": "{}",
    "exp.num_warmup_batches": 1,
    "exp.num_batches": 100,
    "exp.phase": "training",
    "exp.data_dir": "${${exp.framework_family}.data_dir}",
    "exp.dtype": "float32",
    "exp.use_tensor_core": True,
    "exp.replica_batch": 16,
    "exp.gpus": "0",
    "exp.log_file": "${exp.framework}_${exp.model}_${exp.effective_batch}_${exp.id}.log",
    "exp.rerun": "never",
    "exp.num_nodes": 1,
    "exp.docker": True,
    "exp.docker_image": "${${exp.framework_family}.docker_image}",
    "exp.docker_args": (
        "--rm --shm-size=1g --ulimit memlock=-1 --ulimit stack=67108864 --ipc=host"
    ),
    "exp.ignore_past_errors": False,
    "monitor.frequency": 0,
    "monitor.pid_folder": "/dev/shm/monitor",
    "runtime.cuda_cache": "/dev/shm/dlbs",
}
FAMILIES = (
    *("caffe", "bvlc_caffe", "nvidia_caffe", "intel_caffe", "caffe2", "mxnet", "nvcnn"),
    *("nvtfcnn", "openvino", "pytorch", "tensorflow", "tensorrt"),
)


def names_set(found: Configuration) -> set[str]:
    """Return the names that a configuration sets anywhere."""
    return {
        *found.parameters,
        *found.variables,
        *(name for one in found.extensions for name in one.parameters),
        *(name for one in found.extensions for case in one.cases for name in case),
    }


def refuse_unknown(found: Configuration) -> None:
    """Raise RequestError for a condition on a default of DLBS that is not known here."""
    known = names_set(found)
    for place, name in _conditions(found):
        if name not in known and name.partition(".")[0] in FAMILIES and "." in name:
            raise RequestError(
                f"{place}: a condition on {quoted(name)}, whose default in DLBS is not known here",
                hint=f"add {name} to `parameters` with the value it has",
            )


def _conditions(found: Configuration) -> Iterator[tuple[str, str]]:
    for extension in found.extensions:
        for name in extension.condition:
            yield extension.place, name
