"""What a worker process does: units of work, one after the other, with one thread."""

from __future__ import annotations

import os
import pickle
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from unweave.data.base import Dataset, Images
from unweave.engine.written import Rewritten
from unweave.store import Held
from unweave.store.environment import variables
from unweave.sweep.units import Lost, Unit, work

OFTEN = 0.5
"""Seconds between two messages about how far a job is."""
SINGLE = dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "LOKY_MAX_CPU_COUNT"), "1"
)
"""What tells every library to use one thread, when it is in the environment before they are loaded."""


@contextmanager
def single() -> Iterator[None]:
    """Processes that are started meanwhile find ``SINGLE`` in their environment."""
    with variables(SINGLE):
        yield


@contextmanager
def one_thread() -> Iterator[None]:
    """This process computes with one thread meanwhile: its numbers are then those of every other worker."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def on(device: str) -> Iterator[None]:
    """A card with a number is the current one of this process meanwhile, for whatever asks for a card without one."""
    import torch

    if ":" not in device or not device.startswith("cuda"):
        yield
        return
    with torch.cuda.device(device):
        yield


def serve(connection: Connection, out: Path, root: Path | None, device: str) -> None:
    """Take units from the driver until it closes the line, and send it what there is to know:
    ``("ready",)``, ``("told", share, line)``, ``("result", result)``, ``("held", line)``, ``("end",)``."""
    # Ctrl-C reaches every process of a terminal; the driver decides what becomes of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warnings.simplefilter("ignore", Rewritten)  # the driver has told of all
    opened: dict[Dataset, Images] = {}
    try:
        with one_thread(), on(device):
            connection.send(("ready",))
            while True:
                unit: Unit = pickle.loads(connection.recv_bytes())
                try:
                    for result in work(unit, out, root, device, seldom(connection.send), opened):
                        connection.send(("result", result))
                except Held as error:
                    connection.send(("held", str(error)))
                except Lost:
                    # The driver gives the unit, from its last checkpoint, to a process that takes this one's place.
                    os._exit(1)
                connection.send(("end",))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        # The driver has gone: whatever it did not hear of is in the folders.
        return


def seldom(send: Callable[[tuple[Any, ...]], object]) -> Callable[[float, str], None]:
    """Tells of progress now and then only; it also notices within ``OFTEN`` that nobody listens any more."""
    last = 0.0

    def told(share: float, line: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= OFTEN:
            last = now
            send(("told", share, line))

    return told
