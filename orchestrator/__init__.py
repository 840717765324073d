"""Host side of benchdock: plans, runs and files containerized deep-learning benchmarks."""

import os
import sys

# A wheel carries backends/, dockerfiles/ and launchers/ in this package: as names of their own in
# site-packages they could be anybody's. In a checkout they lie beside it.
SHIPPED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "_shipped")
if os.path.isdir(SHIPPED):
    sys.path.insert(0, SHIPPED)
