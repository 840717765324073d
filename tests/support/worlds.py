"""Machines that claims are compared with."""

from orchestrator.machine.gpu_facts import GpuReport
from orchestrator.reproduction.setup import World

CPU = "AMD EPYC 7R13 48-Core Processor"

NOTHING = World(
    gpus=GpuReport(state="no_gpu", reason="no NVIDIA driver is installed"),
    cpu=CPU,
    no_engine="no container engine answers",
)
