"""This machine: what it is, its GPUs, what else it does. `gpu` alone imports `pynvml`."""
