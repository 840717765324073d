"""Host side of benchdock: plans, runs and files containerized deep-learning benchmarks."""

import os
import sys

# A wheel carries backends/, dockerfiles/ and launchers/ inside this package, because at the top of
# site-packages their names could clash. In a checkout they lie beside it.
SHIPPED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "_shipped")
if os.path.isdir(SHIPPED):
    sys.path.insert(0, SHIPPED)
