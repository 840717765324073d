"""Common to all backends: arguments, data, warm-up, the timed loop, events, parity.

Framework-free: the standard library and NumPy, Python 3.5 and later. `contract.pyi` says what a
framework provides.
"""

VERSION = "0.1.0"
