"""What all models of a pack are shown in a block of steps, laid out on the device before the block begins."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from unweave.engine.feed import SMALL, Feed
from unweave.engine.noise import draw
from unweave.types import Batch, Draw

CHUNK = 1 << 22
"""Random numbers made in one go; several integers of 64 bits are held for each while they are."""
ROOM = {"cuda": 4 << 30}
"""Bytes for the random numbers of a block on a kind of device; elsewhere draws of more than ``SMALL`` numbers wait."""


class Ahead:
    """Rows, labels and noise of ``length`` steps in tensors that stay where they are, and the batch of one of them.

    The numbers are those of ``Feed``, bit for bit. A step only picks its part: one draw costs a hundred small
    operations, for one step of one model as for a hundred steps of all. Draws too large for that (noise on every pixel,
    in the main memory or for many models) are made inside the step, from the number of the step as the device knows it.
    Images that lie on the device are looked up there too; others are put in place by ``stage`` before each step.

    Args:
        feeds: of the members; they share one opened data set and differ in seeds.
        length: how many steps, at most, a block has.
    """

    def __init__(self, feeds: Sequence[Feed], length: int) -> None:
        first = feeds[0]
        self.feeds, self.length, self.device, self.dtype = tuple(feeds), length, first.device, first.dtype
        self.images = first.images
        self.inside = self.images.resident
        self.seeds = torch.cat([one.seeds for one in feeds])
        self.members, self.batch_size = len(feeds), first.orders[0].batch
        self.pairs = {} if first.partners is None else first.pair_draws(self.batch_size)
        wanted = {f"noise {name}": what for name, what in first.noise.items()}
        for view in ("x", "y") if self.views > 1 else ("x",):
            wanted |= {f"nuisance {view} {name}": what for name, what in first.nuisance.items()}
        held = ROOM.get(self.device.type, 0) // (length * self.members * self.dtype.itemsize * max(1, len(wanted)))
        self.large = {name: what for name, what in wanted.items() if math.prod(what.shape) > max(SMALL, held)}
        self.small = {name: what for name, what in wanted.items() if name not in self.large}
        self.held: dict[str, Tensor] = {}

    @property
    def views(self) -> int:
        """How many images a row of the batch has: two where the second view is not the first."""
        return 2 if self.feeds[0].partners is not None or len(self.feeds[0].orders) > 1 else 1

    def fill(self, start: int, count: int) -> None:
        """Lay out ``count`` steps from ``start`` on; nothing is waited for."""
        spans = [[one.span(start, count) for one in feed.orders] for feed in self.feeds]
        rows = torch.stack([span[0] for span in spans], 1)
        self._keep("rows x", rows)
        flat = rows.flatten()
        if self.pairs:
            order, levels, changed = (self._drawn(n, what, start, count) for n, what in self.pairs.items())
            partners = self.feeds[0].partners
            assert partners is not None
            found = partners.of(flat, order.flatten(0, 2), levels.flatten(0, 2), changed.flatten())
            self._keep("rows y", found.view(rows.shape))
        elif self.views > 1:
            self._keep("rows y", torch.stack([span[1] for span in spans], 1))
        self._keep("labels", self.images.levels(flat).to(self.device).view(*rows.shape, -1))
        for name, what in self.small.items():
            self._keep(name, self._drawn(name, what, start, count))
        # Where the images do not lie on the device, their rows are wanted in the main memory, once a block.
        self.start, self.count = start, count
        self.rows = {} if self.inside else {v: self.held[f"rows {v}"].cpu() for v in ("x", "y")[: self.views]}

    def stage(self, place: int) -> None:
        """Put the images of step ``place`` of the block where ``batch`` finds them, if it does not look them up."""
        if self.inside:
            return
        for view, rows in self.rows.items():
            some = rows[place]
            at = torch.full((1,), place, dtype=torch.int64, device=self.device)
            draws = self._nuisance(view, at, self.start + place)
            self._place(f"images {view}", self._look(some, draws))
            if self.images.streams and place + 1 < self.count:
                self.images.ahead(rows[place + 1].flatten())

    def batch(self, place: Tensor, now: Tensor) -> Batch:
        """The stacked batch of a step, (S, N, …), from tensors on the device alone.

        Args:
            place: (1,) which step of the block.
            now: 0-dim, the number of the step in the whole training.
        """
        noise = {name: self._pick(f"noise {name}", place, now) for name in self.feeds[0].noise}
        if not self.inside:
            x = self.held["images x"]
            y = self.held["images y"] if self.views > 1 else x
            return Batch(x, y, self._at("labels", place), noise, now, self.images.rows)
        seen = [
            self._look(self._at("rows " + view, place), self._nuisance(view, place, now))
            for view in ("x", "y")[: self.views]
        ]
        return Batch(seen[0], seen[-1], self._at("labels", place), noise, now, self.images.rows)

    def _nuisance(self, view: str, place: Tensor, now: Tensor | int) -> dict[str, Tensor]:
        """(S · N, …) nuisance noise of one view."""
        found = {name: self._pick(f"nuisance {view} {name}", place, now) for name in self.feeds[0].nuisance}
        return {name: value.flatten(0, 1) for name, value in found.items()}

    def _look(self, rows: Tensor, draws: dict[str, Tensor]) -> Tensor:
        """(S, N) rows -> (S, N, C, H, W) images."""
        found = self.images.batch(rows.flatten(), draws).to(self.dtype)
        return found.view(*rows.shape, *found.shape[1:])

    def _pick(self, name: str, place: Tensor, now: Tensor | int) -> Tensor:
        if name in self.large:
            return draw(self.seeds, now, name, self.large[name], self.dtype)
        return self._at(name, place)

    def _at(self, name: str, place: Tensor) -> Tensor:
        return self.held[name].index_select(0, place)[0]

    def _drawn(self, name: str, what: Draw, start: int, count: int) -> Tensor:
        """(count, S, …) random numbers of some steps of all members."""
        many = max(1, CHUNK // (self.members * max(1, math.prod(what.shape))))
        found = []
        for low in range(start, start + count, many):
            steps = torch.arange(low, min(low + many, start + count), device=self.device)
            each, seeds = steps.repeat_interleave(self.members), self.seeds.repeat(len(steps))
            found.append(draw(seeds, each, name, what, self.dtype).view(len(steps), self.members, *what.shape))
        return torch.cat(found) if len(found) > 1 else found[0]

    def _keep(self, name: str, values: Tensor) -> None:
        if name not in self.held:
            self.held[name] = values.new_zeros(self.length, *values.shape[1:])
        self.held[name][: len(values)].copy_(values)

    def _place(self, name: str, values: Tensor) -> None:
        if name not in self.held:
            self.held[name] = torch.empty(values.shape, dtype=values.dtype, device=self.device)
        self.held[name].copy_(values, non_blocking=True)
