"""`make bench-readers` compares our readers of images with pipelines written by hand."""
