"""Configurations of DLBS (HPE's Deep Learning Benchmarking Suite), turned into suite files."""
