"""This machine: its hardware, its GPUs, what else runs on it. Only `gpu` imports `pynvml`."""
