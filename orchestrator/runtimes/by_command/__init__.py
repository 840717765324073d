"""Containers that a program starts by command line: podman, Apptainer, srun with pyxis."""
