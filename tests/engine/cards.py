"""A card where there is none: graphs that are recorded and repeated on the CPU, and steps that may not wait."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

WAITS = (
    "_local_scalar_dense",
    "item",
    "nonzero",
    "masked_select",
    "equal",
    "is_nonzero",
    "unique",
    "_unique2",
    "bincount",
)
"""Operations whose answer the main memory has to wait for."""
COPIES = ("tensor", "as_tensor", "from_numpy", "new_tensor", "asarray")
"""Functions of Python that copy numbers from the main memory to wherever the tensor is wanted."""


class Waited(RuntimeError):
    """What a step may not do on a card that runs it by itself."""


class NoWaits(TorchDispatchMode):
    """Refuses every operation that looks at a number, or that moves or makes a tensor elsewhere than on ``device``."""

    def __init__(self, device: str | None = None) -> None:
        super().__init__()
        self.device = device

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name in WAITS:
            raise Waited(f"{name} waits for the device")
        # The fused update has no kernel for tensors without numbers; on a card it reads all it needs there.
        out = None if name == "_fused_adam_" and self.device == "meta" else func(*args, **(kwargs or {}))
        if self.device is not None:
            made = [one for one in tree_leaves(out) if isinstance(one, Tensor)]
            given = [one for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)]
            for one in (*given, *made):
                # Kernels take a number of Python's, a tensor without axes, as an argument; a copy of it is a copy.
                copied = one.device.type == "cpu" and "copy" in name and any(t.device.type != "cpu" for t in made)
                if one.device.type != self.device and (one.ndim or copied):
                    raise Waited(f"{name} with a tensor on {one.device.type}, shape {tuple(one.shape)}")
        return out


class NoCopies(TorchFunctionMode):
    """Refuses functions that make tensors of Python's numbers: to a card they are copied, and it waits."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        if name in COPIES and not (args and isinstance(args[0], Tensor)):
            raise Waited(f"torch.{name} copies numbers to the device")
        return func(*args, **(kwargs or {}))


class Tape(TorchDispatchMode):
    """What a CUDA graph is, on the CPU: operations with their operands, recorded without effect, repeated in place.

    Operands are remembered as they lay in memory, and numbers of Python as they were: a step that depends on anything
    else than tensors which stay where they are is repeated wrongly, as on a card.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, Any, Any, Any]] = []
        self.before: dict[tuple[int, int, tuple[int, ...]], tuple[Tensor, Tensor]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        if name in WAITS:
            raise Waited(f"{name} waits for the device")
        if func._schema.is_mutable:
            for one in tree_leaves((args, kwargs)):
                if isinstance(one, Tensor):
                    key = (one.data_ptr(), one.numel(), one.stride())
                    self.before.setdefault(key, (one.detach(), one.detach().clone()))
        out = func(*args, **kwargs)
        self.calls.append((func, _kept(args), _kept(kwargs), _kept(out)))
        return out

    def undo(self) -> None:
        """Recording has no effect on the tensors that were there before."""
        for kept, value in reversed(self.before.values()):
            kept.copy_(value)

    @torch.no_grad()
    def replay(self) -> None:
        for func, args, kwargs, out in self.calls:
            found = func(*args, **kwargs)
            for old, new in zip(tree_leaves(out), tree_leaves(found), strict=True):
                if isinstance(old, Tensor) and old.numel() and old.data_ptr() != new.data_ptr():
                    old.copy_(new)


def _kept(values: Any) -> Any:
    return tree_map(lambda one: one.detach() if isinstance(one, Tensor) else one, values)


class Card:
    """Stands for ``torch.cuda``; counts what is asked of it."""

    def __init__(self) -> None:
        self.recorded = self.replayed = self.ended = self.cleared = 0
        self.mode: list[Any] = []
        self.refuse = ""

    def graph(self) -> Any:
        card = self

        class Graph:
            tape: Tape | None = None

            def replay(self) -> None:
                assert self.tape is not None
                card.replayed += 1
                self.tape.replay()

        return Graph()

    @contextmanager
    def record(self, graph: Any, pool: Any, stream: Any, capture_error_mode: str) -> Iterator[None]:
        assert capture_error_mode == "thread_local"
        tape = Tape()
        try:
            with tape:
                yield
            if self.refuse:
                raise RuntimeError(self.refuse)
        finally:
            tape.undo()
        self.recorded += 1
        graph.tape = tape

    def clear(self) -> None:
        self.cleared += 1

    def sync(self, mode: Any) -> None:
        while self.mode:
            self.mode.pop().__exit__(None, None, None)
        if mode == "error":
            self.mode.append(NoWaits())
            self.mode[-1].__enter__()


class Stream:
    def __init__(self, device: Any = None) -> None:
        pass

    def wait_stream(self, other: Any) -> None:
        pass


class Event:
    def record(self, stream: Any) -> None:
        pass

    def synchronize(self) -> None:
        pass


def put_in(monkeypatch: pytest.MonkeyPatch) -> Card:
    """A card in this machine, as far as ``engine.graph`` can tell."""
    card = Card()
    stands = {
        "Stream": Stream,
        "Event": Event,
        "graph_pool_handle": lambda: (0, 1),
        "current_stream": Stream,
        "device": lambda device: nullcontext(),
        "stream": lambda stream: nullcontext(),
        "CUDAGraph": card.graph,
        "graph": card.record,
        "get_sync_debug_mode": lambda: 0,
        "set_sync_debug_mode": card.sync,
        "synchronize": lambda device=None: None,
    }
    for name, value in stands.items():
        monkeypatch.setattr(torch.cuda, name, value)
    monkeypatch.setattr(torch._C, "_cuda_clearCublasWorkspaces", card.clear, raising=False)
    return card
