"""NVIDIA Caffe; see `backends.caffe`, which all forks share."""
