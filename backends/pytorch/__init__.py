"""PyTorch: from 1.7 to today, CPU and NVIDIA GPUs."""
