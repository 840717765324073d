"""Caffe and its forks by BVLC, NVIDIA and Intel: one generator of prototxt for all dialects.

``python3 -m backends.caffe`` writes a network or a solver for the ``caffe`` binary; it needs
no framework. The benchmarks are ``backends.bvlc_caffe`` and its siblings, one for each fork.
"""
