"""`benchdock parity`: what is compared with what, and the proof."""
