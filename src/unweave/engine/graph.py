"""How steps run on a card: on a stream of their own, recorded once as a CUDA graph and repeated from then on."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

import torch

CHECKED, WARM = 2, 3
"""Steps of a kind that are taken one by one before it is recorded (the rules of PyTorch ask for a few, on the stream
that records: libraries make their plans and memory then), and which of them may not wait for the device."""
MANY = 24
"""Kinds of steps that are recorded at most; more are taken one by one."""


class Runner(ABC):
    """How steps are taken: each is a function without arguments that works on the same tensors every time."""

    @abstractmethod
    def around(self) -> AbstractContextManager[None]:
        """What surrounds a block of steps, as a context."""

    @abstractmethod
    def take(self, kind: Hashable, step: Callable[[], None]) -> None:
        """Take a step; all steps of one kind are the same operations on the same tensors."""

    @abstractmethod
    def mark(self) -> Callable[[], None]:
        """A function that waits until the device has done all that was asked of it so far."""


class Eager(Runner):
    """One step after the other, as it comes."""

    @contextmanager
    def around(self) -> Iterator[None]:
        yield

    def take(self, kind: Hashable, step: Callable[[], None]) -> None:
        step()

    def mark(self) -> Callable[[], None]:
        return torch.cuda.synchronize if torch.cuda.is_initialized() else lambda: None


class Graphs(Runner):
    """Steps on a card, repeated as CUDA graphs.

    Before a step is recorded it is taken once with every wait for the device forbidden: what cannot be recorded is
    found without an attempt, since in PyTorch before 2.12 a failed one leaves the memory of the process in disorder.
    Steps that cannot be recorded are taken one by one from then on, which is said once.

    Args:
        device: the card.
        precision: of the experiment; see ``settings``.
        record: whether to record at all.
    """

    def __init__(self, device: torch.device, precision: str, record: bool = True) -> None:
        self.device, self.precision, self.recording = device, precision, record
        self.stream = torch.cuda.Stream(device)
        self.pool = torch.cuda.graph_pool_handle()
        self.seen: Counter[Hashable] = Counter()
        self.graphs: dict[Hashable, torch.cuda.CUDAGraph] = {}

    @contextmanager
    def around(self) -> Iterator[None]:
        outside = torch.cuda.current_stream(self.device)
        self.stream.wait_stream(outside)
        try:
            with torch.cuda.device(self.device), torch.cuda.stream(self.stream), settings(self.precision):
                yield
        finally:
            # Also where a block was interrupted: whoever reads the models next must wait for what was asked for.
            outside.wait_stream(self.stream)

    def take(self, kind: Hashable, step: Callable[[], None]) -> None:
        if kind in self.graphs:
            self.graphs[kind].replay()
            return
        self.seen[kind] += 1
        if not self.recording or self.seen[kind] < CHECKED:
            step()
        elif self.seen[kind] == CHECKED:
            self._check(step)
        elif self.seen[kind] <= WARM or len(self.graphs) >= MANY or not self._record(kind, step):
            step()
        else:
            self.graphs[kind].replay()

    def mark(self) -> Callable[[], None]:
        event = torch.cuda.Event()
        event.record(self.stream)
        return event.synchronize

    def _check(self, step: Callable[[], None]) -> None:
        """Take a step that is refused when it waits for the device; then it is taken as it is.

        A step that is refused has changed nothing: it learns first and decides afterwards, and only learning may wait.
        """
        before = torch.cuda.get_sync_debug_mode()
        _watch("error")
        try:
            step()
            return
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            reason = error
        finally:
            _watch(before)
        self._give_up(reason)
        step()

    def _record(self, kind: Hashable, step: Callable[[], None]) -> bool:
        graph = torch.cuda.CUDAGraph()
        # Memory that cuBLAS keeps for a stream would be shared with whoever else is given this stream, and from PyTorch
        # 2.12 on is taken away when that one's graphs end. Made anew while recording, it lies in the pool of these.
        torch.cuda.synchronize(self.device)
        torch._C._cuda_clearCublasWorkspaces()
        try:
            # Errors of this thread only: others may use the card meanwhile, the one that runs backward passes included.
            with torch.cuda.graph(graph, pool=self.pool, stream=self.stream, capture_error_mode="thread_local"):
                step()
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            # What a failed recording leaves behind where PyTorch does not clear it away itself.
            with suppress(Exception):
                torch._C._cuda_endAllocateToPool(torch.cuda.current_device(), self.pool)
            self._give_up(error)
            return False
        self.graphs[kind] = graph
        return True

    def _give_up(self, error: RuntimeError) -> None:
        self.recording = False
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        warnings.warn(f"these steps cannot be recorded as a CUDA graph and are taken one by one, slower: {reason}")


def _watch(mode: int | str) -> None:
    """What happens when something waits for the device; PyTorch says every time that it does not notice everything."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.cuda.set_sync_debug_mode(mode)


@contextmanager
def settings(precision: str) -> Iterator[None]:
    """PyTorch's settings for a card while a block of steps or an encoding runs, and what they were before afterwards.

    Products of float32 are computed in float32, not rounded to TF32 as convolutions are by default; with the precision
    ``tf32`` those of convolutions are. Kernels that give other bits every time are not used by cuDNN, and it does not
    choose kernels by trying them, so that a training that is taken up again goes on bit for bit.
    """
    cudnn: Any = torch.backends.cudnn
    convolutions, products = cudnn.conv, torch.backends.cuda.matmul
    before = (cudnn.deterministic, cudnn.benchmark, convolutions.fp32_precision, products.fp32_precision)

    def put(deterministic: bool, benchmark: bool, convolution: str, product: str) -> None:
        cudnn.deterministic, cudnn.benchmark = deterministic, benchmark
        convolutions.fp32_precision, products.fp32_precision = convolution, product

    put(True, False, "tf32" if precision == "tf32" else "ieee", "ieee")
    try:
        yield
    finally:
        put(*before)
