"""Sessions on a real Slurm cluster of virtual nodes, with faults in the middle."""
