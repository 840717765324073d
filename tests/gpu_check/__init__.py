"""What has to be tried on a real GPU, in one script of eight minutes: `make gpu-check`."""
