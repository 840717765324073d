"""PyTorch: from 1.0 to today, CPU and NVIDIA GPUs."""
