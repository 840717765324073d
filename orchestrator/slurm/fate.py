"""What it means that a task ended and did not file how its run ended."""

from __future__ import annotations

from orchestrator.slurm.attempts import End
from orchestrator.slurm.queue import Task
from orchestrator.slurm.script import NOT_SHARED

# Somebody, or a rule of the cluster, ended it on purpose: it counts as left, not as failed.
ON_PURPOSE = frozenset({"CANCELLED", "DEADLINE", "PREEMPTED", "REVOKED"})
# What a shell says if it finds no program.
_NO_PROGRAM = 127


def fate_of(task: Task | None, log: str, folder: str) -> End | None:
    """Return how a run ended, None if it was ended on purpose.

    `log` is the path of the task's output, `folder` that of the session.
    """
    if task is None:
        told = "Slurm does not know its task any more, and no result was filed"
        return End(status="failed", kind="engine", message=f"{told}; its output is in {log}")
    if task.state in ON_PURPOSE:
        return None
    end = End(status="failed", kind="engine", node=task.node, job=task.id)
    match task.state:
        case "TIMEOUT":
            return end.model_copy(
                update={"kind": "timeout", "message": "Slurm's time limit ended it"}
            )
        case "OUT_OF_MEMORY":
            told = f"Slurm ended it on {task.node}: it used more memory than its job may"
            return end.model_copy(update={"kind": "out_of_memory", "message": told})
        case "NODE_FAIL" | "BOOT_FAIL":
            return end.model_copy(update={"message": f"node {task.node} failed"})
    if task.code == NOT_SHARED:
        why = f"{task.node} does not see {folder}; set BENCHDOCK_HOME to a folder on all nodes"
    elif task.code == _NO_PROGRAM:
        why = f"{task.node} does not have the Python of this benchdock; install it on all nodes"
    else:
        ended = f"{task.state}, exit code {task.code}"
        why = f"task {task.id} on {task.node} filed no result ({ended}); its output is in {log}"
    return end.model_copy(update={"message": why})
