"""Caffe2 as part of PyTorch 1.0 to 1.10, and in NGC's image of August 2018."""
