"""What NVIDIA's examples import of DALI, which they use only if they are told to."""
