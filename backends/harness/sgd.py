"""The update of every training benchmark: SGD with momentum, no weight decay.

    velocity = MOMENTUM * velocity + gradient
    weight = weight - LEARNING_RATE * velocity

`backends.harness.trajectory` states the same numbers again by itself, so that one changed here
does not go unnoticed.
"""

# Small enough for random weights of every model to stay finite, which keeps the arithmetic
# honest: a CPU is slower on denormals, and nan would end the mixed precision's updates.
LEARNING_RATE = 1e-4
MOMENTUM = 0.9
