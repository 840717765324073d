"""`benchdock` without its monitor, to measure what the monitor costs.

python -m tests.gpu_check.unmonitored run resnet50 -f pytorch
"""

from __future__ import annotations

import sys
from typing import Any, Self

from orchestrator.cli import main
from orchestrator.machine.disturbances import Seen
from orchestrator.run import benchmark


class Blind:
    """A monitor that looks at nothing."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def stage(self, *_: object) -> None:
        pass

    def started(self, _: object) -> None:
        pass

    def summary(self) -> dict[str, Any]:
        return {}

    def warnings(self) -> tuple[str, ...]:
        return ()

    def seen(self) -> Seen:
        return Seen()


if __name__ == "__main__":
    benchmark.Monitor = Blind  # type: ignore[misc, assignment]
    sys.exit(main(sys.argv[1:]))
