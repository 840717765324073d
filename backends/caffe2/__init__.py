"""Caffe2 as it lived on inside PyTorch 1.0 to 1.10, and in NGC's image of August 2018."""
