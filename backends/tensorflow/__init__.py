"""TensorFlow 2 as a traced function, and TensorFlow 1.x in a session; CPU and NVIDIA GPUs."""
