"""Reading ahead: rows that will be asked for soon are fetched by a thread of its own while a model is trained."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
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


class Pages:
    """Where the rows of a mapped table lie, so that the system can be told which ones are about to be read.

    It then fetches just these, side by side. Without, each is waited for in turn, with 128 kB around it: of 256 rows of
    12 kB that were on the disk alone, reading took 30 times as long and 20 times the processor.

    Args:
        table: an array in a mapped file, row after row.
    """

    def __init__(self, table: NDArray[np.uint8]) -> None:
        base: Any = table
        while base is not None and not isinstance(base, mmap.mmap):
            base = base.base
        self.map: mmap.mmap | None = base if table.flags.c_contiguous and hasattr(mmap, "MADV_WILLNEED") else None
        if self.map is not None:
            self.start = table.ctypes.data - np.frombuffer(self.map, np.uint8).ctypes.data
            self.row = table[:1].nbytes

    def want(self, rows: NDArray[np.int64]) -> None:
        """Say that (N,) rows will be read; nothing is waited for."""
        if self.map is None:
            return
        for row in rows.tolist():
            first = self.start + row * self.row
            page = first - first % mmap.PAGESIZE
            self.map.madvise(mmap.MADV_WILLNEED, page, first + self.row - page)


def _key(rows: Tensor) -> bytes:
    return rows.to(torch.int64).contiguous().numpy().tobytes()
