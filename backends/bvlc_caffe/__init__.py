"""BVLC Caffe; see `backends.caffe`, which is common to all forks."""
