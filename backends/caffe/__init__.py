"""Caffe and its forks, BVLC's, NVIDIA's and Intel's: one generator of prototxt, their dialects.

``python3 -m backends.caffe`` writes a network or a solver for the ``caffe`` binary; it needs
no framework. The benchmarks are ``backends.bvlc_caffe`` and its siblings, one for each fork.
"""
