"""The update of every training benchmark: SGD with momentum, no weight decay.

    velocity = MOMENTUM * velocity + gradient
    weight = weight - LEARNING_RATE * velocity

`backends.harness.trajectory` repeats these numbers, so that a change here does not go unnoticed.
"""

# Small enough to keep random weights of every model finite, so that the arithmetic is realistic: a
# CPU is slower on denormals, and nan would stop the updates of mixed precision.
LEARNING_RATE = 1e-4
MOMENTUM = 0.9
