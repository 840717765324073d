from nvidia.dali import pipeline as pipeline
