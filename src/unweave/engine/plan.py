"""What a training will take before it starts: how many models fit side by side, and how long it will be."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from statistics import median
from typing import NamedTuple

import torch
from torch import Tensor

from unweave.data.base import Dataset, Images
from unweave.data.card import opened
from unweave.engine.blocks import LENGTH, Blocks
from unweave.engine.cpu import keep_memory
from unweave.engine.experiment import Complete, Experiment
from unweave.engine.pack import pack, sized
from unweave.engine.place import check_precision, home, place
from unweave.engine.step import Learner
from unweave.engine.trace import Trace
from unweave.engine.train import learner_of, runner_of
from unweave.methods import Method
from unweave.types import UserError

SHARE = 0.8
"""How much of the free memory models may take: allocators, images and other programs need some."""
WARM, TIMED, PATIENCE = 2, 16, 1.0
"""Steps that are not timed (the first ones choose kernels and fetch memory), steps that are, and seconds after which
enough were: for trainings shorter than ``WORTH`` seconds one is enough."""
WORTH = 5.0


class Cost(NamedTuple):
    """What one step of a model, or of a pack in lockstep, takes here: ``seconds``, and ``memory`` in bytes."""

    seconds: float
    memory: int


@dataclass(frozen=True)
class Group:
    """Models that are trained together: in lockstep where there are several."""

    experiments: tuple[Complete, ...]
    steps: int
    """Still to take."""
    cost: Cost

    @property
    def seconds(self) -> float:
        """How long it takes."""
        return self.steps * self.cost.seconds


@dataclass(frozen=True)
class Plan:
    """Groups in the order in which they are trained, one after the other."""

    groups: tuple[Group, ...]
    device: torch.device
    images: Mapping[Dataset, Images] = field(repr=False)
    """The data sets, open: for ``train``, which then need not read them again."""

    @property
    def seconds(self) -> float:
        """How long all of it takes."""
        return sum(group.seconds for group in self.groups)

    @property
    def memory(self) -> int:
        """The most that any group takes, in bytes, beside the images."""
        return max((group.cost.memory for group in self.groups), default=0)


def plan(
    experiments: Iterable[Experiment | Complete] | Experiment | Complete,
    *,
    device: str | torch.device | None = None,
    root: Path | str | None = None,
    lockstep: bool | str | None = None,
    blocks: bool | None = None,
    memory: int | None = None,
    begun: Mapping[str, int] | None = None,
) -> Plan:
    """Time a few steps of every kind of model among the experiments, and say what training all of them takes.

    The steps are taken by models that are thrown away. What is told is what the first steps cost: a method that has
    more to do later takes longer.

    Args:
        device: as for ``train``.
        root: as for ``train``.
        lockstep: as for ``train``.
        blocks: as for ``train``.
        memory: bytes that models may take; most of what is free on the device when None.
        begun: key -> steps taken already.

    Raises:
        UserError: anything that cannot be trained, or a single model that needs more than ``memory``.

    >>> from unweave.networks import MLP
    >>> e = [Experiment("vae", "triangle", network=MLP((8,)), batch=4, steps=9, seed=s) for s in range(3)]
    >>> found = plan(e, device="cpu")
    >>> len(found.groups), found.groups[0].steps, found.seconds > 0, found.memory > 100_000
    (3, 9, True, True)
    """
    many = [experiments] if isinstance(experiments, Experiment | Complete) else list(experiments)
    where = place(device)
    together = where.type == "cuda" if lockstep is None else bool(lockstep)
    in_blocks = where.type == "cuda" if blocks is None else blocks
    keep_memory()
    most = int(SHARE * free(where)) if memory is None else memory
    groups: list[Group] = []
    images: dict[Dataset, Images] = {}
    for members in pack(many):
        data = members[0].data
        check_precision(where, members[0].precision)
        if data not in images:
            images[data] = opened(data, Path(root) if root else None, home(where))
        alone = measure(members[:1], images[data], where, None, in_blocks)
        costs = {1: alone}
        if alone.memory > most:
            raise UserError(
                f"one model of {members[0].method.name} needs {size(alone.memory)}, free are {size(most)}; allowed: "
                f"smaller batches (batch = {members[0].batch}) or networks"
            )
        for some in sized(members, most // alone.memory if together else 1):
            left = max(one.steps - (begun or {}).get(one.key, 0) for one in some)
            if len(some) not in costs:
                cost = measure(some, images[data], where, lockstep, in_blocks)
                costs[len(some)] = cost._replace(memory=len(some) * alone.memory)
            groups.append(Group(tuple(some), left, costs[len(some)]))
    return Plan(tuple(groups), where, images)


def measure(
    members: Sequence[Complete],
    images: Images,
    device: torch.device,
    lockstep: bool | str | None = None,
    blocks: bool = False,
) -> Cost:
    """Take a few steps, as ``train`` would, with models that are thrown away: the median of their seconds, and the
    memory of one."""
    learner = learner_of(list(members), images, device, lockstep)
    with _kept() as kept:
        learner.step(0)
    held = sum(4 * group.flat.numel() * group.flat.element_size() for group in learner.groups)
    # Two more of the largest: the gradient that arrives at a layer and the one that leaves it.
    passing = sum(kept.values()) + 2 * max(kept.values(), default=0)
    length = min(LENGTH, (members[0].steps - 1) // 2)
    if blocks and length >= TIMED:
        # What a recorded step needs stays its own: steps of another kind, of a later stage, need as much beside it.
        kinds = 2 if device.type == "cuda" and any(type(one.method).rates is not Method.rates for one in members) else 1
        return Cost(_in_blocks(learner, length, device), held + kinds * passing)
    seconds: list[float] = []
    for step in range(1, WARM + TIMED):
        start = _clock(device)
        learner.step(step)
        seconds.append(_clock(device) - start)
        timed = seconds[WARM - 1 :]
        if timed and (sum(seconds) > PATIENCE or timed[0] * members[0].steps < WORTH):
            break
    return Cost(median(seconds[WARM - 1 :] or seconds), held + passing)


def _in_blocks(learner: Learner, length: int, device: torch.device) -> float:
    """Seconds a step in the second of two blocks: a GPU records the steps in the first one."""
    one = learner.experiments[0]
    blocks = Blocks(learner, Trace(one.steps, len(learner.experiments)), 1, length, runner_of(one, device))
    blocks.run(length)
    start = _clock(device)
    blocks.run(length)
    return (_clock(device) - start) / length


def free(device: torch.device) -> int:
    """Bytes of memory that nothing uses: the card's, or the machine's as far as this process may have it."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    return min([_available(), *_limits()])


def size(count: int) -> str:
    """Bytes for people.

    >>> size(1_500_000), size(34_000_000_000)
    ('1.5 MB', '34 GB')
    """
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= unit:
            return f"{count / unit:.{0 if count >= 10 * unit else 1}f} {name}"
    return f"{count} bytes"


@contextmanager
def _kept() -> Iterator[dict[int, int]]:
    """Bytes of every piece of memory that is kept for the gradients, each counted once."""
    found: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        found[storage.data_ptr()] = max(found.get(storage.data_ptr(), 0), storage.nbytes())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        yield found


def _clock(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
    return time.perf_counter()


def _available() -> int:
    try:
        with Path("/proc/meminfo").open(encoding="ascii") as lines:
            return next(1024 * int(line.split()[1]) for line in islice(lines, 99) if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # no such question on Windows, or none of these names
        return 1 << 33


def _limits() -> Iterator[int]:
    """What is left of this process's share where it lives in a container."""
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            folder = Path("/sys/fs/cgroup")
            yield max(0, int((folder / limit).read_text()) - int((folder / used).read_text()))
        except (OSError, ValueError):
            continue
