"""Apache MXNet: the symbolic interface of 1.0 to 1.9, CPU and NVIDIA GPUs."""
