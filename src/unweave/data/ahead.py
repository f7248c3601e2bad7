"""Reading ahead: rows that will be asked for soon are fetched by a thread of its own while a model is trained."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

KEPT = 64
"""Batches that may lie fetched at a time; the oldest goes first."""


class Ahead:
    """What ``read`` returns for some rows, begun before it is asked for. Nothing changes but the time it takes.

    Args:
        read: (N,) row numbers on the CPU -> a tensor of theirs that depends on nothing else.

    >>> ahead = Ahead(lambda rows: rows * 10)
    >>> ahead.begin(torch.tensor([1, 2]))
    >>> ahead.take(torch.tensor([1, 2])), ahead.take(torch.tensor([3]))
    (tensor([10, 20]), tensor([30]))
    """

    def __init__(self, read: Callable[[Tensor], Tensor]) -> None:
        self.read = read
        self.begun: dict[bytes, list[Future[Tensor]]] = {}
        self._thread: tuple[int, ThreadPoolExecutor] | None = None

    def begin(self, rows: Tensor) -> None:
        """Fetch these rows in the background. Models of one pack may ask for the same: each takes its own."""
        process = os.getpid()
        if self._thread is None or self._thread[0] != process:
            # Threads do not live on in a process that was forked, nor does what they had begun.
            self._thread, self.begun = (process, ThreadPoolExecutor(1, "ahead")), {}
        if sum(map(len, self.begun.values())) >= KEPT:
            self.begun.pop(next(iter(self.begun)))
        rows = rows.cpu()
        self.begun.setdefault(_key(rows), []).append(self._thread[1].submit(self.read, rows))

    def take(self, rows: Tensor) -> Tensor:
        """What ``read`` returns, or raises, for these rows: what was begun, else read now."""
        rows = rows.cpu()
        waiting = self.begun.get(_key(rows), []) if self._thread and self._thread[0] == os.getpid() else []
        if not waiting:
            return self.read(rows)
        found = waiting.pop(0)
        if not waiting:
            del self.begun[_key(rows)]
        return found.result()


def _key(rows: Tensor) -> bytes:
    return rows.to(torch.int64).contiguous().numpy().tobytes()
