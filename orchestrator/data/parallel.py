"""Does work in threads and returns the results in order.

Reading, decoding, resizing and hashing release the interpreter, so threads use all CPUs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

# Results that wait for their turn, per thread. An image takes some 100 KB.
_AHEAD = 8
# Items that a thread is given at a time if the work on each is short: one by one they cost 25 us
# more of CPU time each, of 300. A thread then has two such pieces, so it works while results are
# used.
QUICK = 16
_PIECES = 2


def ordered(
    work: Callable[[Item], Result], items: Iterable[Item], threads: int, *, each: int = 1
) -> Iterator[Result]:
    """Yield the result of each item in order; raises what the work raised for the first one.

    A thread is given `each` items at a time.
    """
    most = threads * max(_PIECES, _AHEAD // each)
    waiting: deque[Future[list[Result]]] = deque()
    pool = ThreadPoolExecutor(threads)
    source = iter(items)

    def all_of(some: list[Item]) -> list[Result]:
        return [work(item) for item in some]

    try:
        while some := list(islice(source, each)):
            waiting.append(pool.submit(all_of, some))
            if len(waiting) >= most:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
