"""Steps in blocks: what a step decides is decided on the device, and looked at once a block."""

from __future__ import annotations

import torch
from torch import Tensor

from unweave.engine.ahead import Ahead
from unweave.engine.graph import Eager, Runner
from unweave.engine.step import Failure, Learner, along
from unweave.engine.trace import Trace
from unweave.methods import Method
from unweave.names import known
from unweave.types import Rate

LENGTH = 128
"""Steps of a block at most: a twentieth of a second of one model on a fast card."""

Kind = tuple[tuple[bool, bool], ...]
"""Of every parameter group: whether any member of the pack moves in this step, and whether any is reset before it."""


class Blocks:
    """Takes a learner's steps without waiting for the device, which keeps all that a step depends on: its number, the
    rows and noise of the block, rates, memories, which members have failed, where and by what, the sums for the trace.

    Steps of one kind (which groups move, which are reset) are one sequence of operations on the same tensors, so that a
    runner may record them once and repeat them.

    Args:
        learner: what learns; its memories are written in place from now on.
        trace: what is recorded; the window that was begun goes on.
        step: how many steps were taken before.
        length: how many steps, at most, are taken between two looks at the device.
        runner: how steps are taken; one by one when None.
    """

    def __init__(
        self, learner: Learner, trace: Trace, step: int, length: int = LENGTH, runner: Runner | None = None
    ) -> None:
        self.learner, self.trace, self.step, self.runner = learner, trace, step, runner or Eager()
        self.steps = learner.experiments[0].steps
        self.length = max(1, min(length, self.steps - step))
        self.ahead = Ahead(learner.feeds, self.length)
        # Copies, written to in place from now on; what a step reads has to stay where it is.
        learner.remember({name: value.clone() for name, value in learner.states().items()})
        self.state = learner.states()
        device, members = learner.groups[0].flat.device, len(learner.experiments)
        self.place = torch.zeros(1, dtype=torch.int64, device=device)
        self.now = torch.full((), step, dtype=torch.int64, device=device)
        self.alive = torch.ones(members, dtype=torch.bool, device=device)
        self.dead: set[int] = set()
        # When and by what each member failed, in one tensor: one look at the device brings both.
        self.failed = torch.full((2, members), -1, dtype=torch.int64, device=device)
        self.pace = torch.zeros(self.length, len(learner.groups), members, dtype=torch.float64, device=device)
        self.moves, self.resets = (torch.zeros_like(self.pace, dtype=torch.bool) for _ in range(2))
        self.names: tuple[str, ...] = ()
        self.values, self.sums, self.windows = (torch.empty(0, device=device) for _ in range(3))
        self.kinds: list[Kind] = []
        self.ready = -1

    def run(self, count: int) -> dict[str, Tensor]:
        """Take up to ``length`` steps; name -> (S,) values of the last one before which anybody was alive."""
        with self.runner.around():
            return self._run(count)

    def _run(self, count: int) -> dict[str, Tensor]:
        for member, failure in enumerate(self.learner.failures):
            if failure is not None and member not in self.dead:
                self.dead.add(member)
                self.alive[member] = False
        self._fill(self.step)
        closed = 0
        for place, kind in enumerate(self.kinds[:count]):
            self.ahead.stage(place)
            self.runner.take(kind, lambda kind=kind: self._advance(kind))  # type: ignore[misc]
            if (self.step + place + 1) % self.trace.window == 0:
                self.windows[closed].copy_(self.sums)
                self.sums.zero_()
                closed += 1
        start, self.step = self.step, self.step + count
        found = torch.cat([self.failed.flatten().double(), self.windows[:closed].flatten()])
        found = found.to("cpu", non_blocking=True)
        done = self.runner.mark()
        # The next block is laid out while the device still works on this one.
        if self.step < self.steps:
            self._fill(self.step)
        done()
        self._look(found, start, closed)
        return dict(zip(self.names, self.values.clone().unbind(1), strict=True))

    def _look(self, found: Tensor, start: int, closed: int) -> None:
        """Learn from the device who failed, and hand the closed windows to the trace."""
        failures, members = self.learner.failures, len(self.learner.failures)
        when, what = found[: 2 * members].long().view(2, members).tolist()
        order = (*self.names[1:], self.names[0], "gradient")
        for member in range(members):
            if failures[member] is None and when[member] >= 0:
                failures[member] = Failure(when[member], order[what[member]])
        rows = found[2 * members :].view(closed, members, len(self.names))
        if all(failures):
            # The last one ended at this step; what was counted after it is nothing, or a window too many.
            self.step = max(start, *(failure.step for failure in failures if failure is not None))
        self.trace.absorb(self.names, rows, self.sums, self.step)

    def _advance(self, kind: Kind) -> None:
        """One step by tensors on the device alone, all of which stay where they are."""
        learner = self.learner
        terms, state = learner.learn(self.ahead.batch(self.place, self.now), self.alive)
        if not self.names:
            self._begin(tuple(terms))
        values = torch.stack(list(terms.values()), 1).double()
        pace, moves, resets = (one.index_select(0, self.place)[0] for one in (self.pace, self.moves, self.resets))
        whole = torch.isfinite(values[:, 0])
        for g, (group, (any_moves, _)) in enumerate(zip(learner.groups, kind, strict=True)):
            if any_moves:
                whole = whole & (group.finite() | ~moves[g])
        # The first term that is not finite, else the total, else the gradient.
        broken = torch.cat([~torch.isfinite(values[:, 1:]), ~torch.isfinite(values[:, :1]), ~whole[:, None]], 1)
        seen = torch.stack([self.now.expand(len(whole)), broken.int().argmax(1)])
        self.failed.copy_(torch.where(self.alive & ~whole, seen, self.failed))
        self.values.copy_(torch.where(self.alive.any(), values, self.values))
        self.alive.logical_and_(whole)
        for g, (group, (any_moves, any_resets)) in enumerate(zip(learner.groups, kind, strict=True)):
            if any_moves or any_resets:
                group.glide(pace[g], moves[g] & self.alive, resets[g] & self.alive if any_resets else None)
        for name, kept in self.state.items():
            kept.copy_(torch.where(along(self.alive, kept), state[name], kept))
        self.sums.add_(torch.where(self.alive.any(), values, torch.zeros_like(values)))
        self.now.add_(1)
        self.place.add_(1)

    def _begin(self, terms: tuple[str, ...]) -> None:
        """Make room for what is recorded, now that a first step has said what that is."""
        self.names = terms
        members, device = len(self.learner.experiments), self.place.device
        self.values = torch.zeros(members, len(terms), dtype=torch.float64, device=device)
        begun = self.trace.partial
        self.sums = torch.zeros_like(self.values) if begun is None else begun.to(self.values).clone()
        self.windows = torch.zeros(self.length, *self.values.shape, dtype=torch.float64, device=device)

    def _fill(self, start: int) -> None:
        """Lay out the block that begins with a step, unless it is already."""
        if self.ready == start:
            return
        count = min(self.length, self.steps - start)
        self.ahead.fill(start, count)
        learner = self.learner
        tables = [_rates(one.method, learner.names, start, count) for one in learner.experiments]
        speeds = [[one.lr for one in group.settings] for group in learner.groups]
        every = [[[table[place][name] for table in tables] for name in learner.names] for place in range(count)]
        pace = [
            [
                [lr * rate.scale for lr, rate in zip(lrs, rates, strict=True)]
                for lrs, rates in zip(speeds, row, strict=True)
            ]
            for row in every
        ]
        self.kinds = [
            tuple((any(r.scale != 0 for r in rates), any(r.reset for r in rates)) for rates in row) for row in every
        ]
        self._put(self.pace, torch.tensor(pace, dtype=torch.float64))
        self._put(self.moves, torch.tensor([[[r.scale != 0 for r in rates] for rates in row] for row in every]))
        self._put(self.resets, torch.tensor([[[r.reset for r in rates] for rates in row] for row in every]))
        self.place.zero_()
        self.now.fill_(start)
        self.ready = start

    def _put(self, buffer: Tensor, values: Tensor) -> None:
        values = values.pin_memory() if buffer.device.type == "cuda" else values
        buffer[: len(values)].copy_(values, non_blocking=True)


def _rates(method: Method, names: tuple[str, ...], start: int, count: int) -> list[dict[str, Rate]]:
    """The rates of every group in some steps."""
    usual = Rate()
    if type(method).rates is Method.rates:
        return [dict.fromkeys(names, usual)] * count
    tables = [method.rates(step) for step in range(start, start + count)]
    for name in tables[0]:
        known(name, names, "parameter group in rates")
    return [{name: table.get(name, usual) for name in names} for table in tables]
