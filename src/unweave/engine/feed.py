"""What a model is shown in each step: rows, images, labels, noise, all from (seed, step)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from unweave.data.base import Images
from unweave.engine.experiment import Complete
from unweave.engine.noise import Order, draw
from unweave.engine.pairs import Partners
from unweave.engine.place import home
from unweave.types import Batch, Draw

AHEAD, SMALL = 16, 1 << 16
"""Steps whose noise is drawn at once, and the largest draw of a step (in numbers) for which that is done."""

DTYPES = {"float64": torch.float64, "float32": torch.float32, "tf32": torch.float32, "bf16": torch.float32}


class Feed:
    """Batches for one experiment, from a data set that several may share."""

    def __init__(self, experiment: Complete, images: Images, device: torch.device) -> None:
        method, spec = experiment.method, experiment.spec
        self.images = images
        self.device, self.home = device, home(device)
        self.dtype = DTYPES[experiment.precision]
        self.seeds = torch.tensor([experiment.seed], device=self.home)
        self.noise = method.noise(spec, experiment.latents, experiment.batch)
        self.nuisance = images.noise(experiment.batch)
        self._drawn: dict[str, tuple[int, Tensor]] = {}
        self.orders = [
            Order(experiment.seed, images.rows, experiment.batch, self.home, stream)
            for stream in (("order", "order y") if method.views == "two" else ("order",))
        ]
        self.partners = Partners(images, method.changes, self.home) if method.views == "pair" else None
        self._next: tuple[int, Tensor, Tensor | None] | None = None

    def batch(self, step: int) -> Batch:
        """The batch of one step."""
        rows, other = self._rows(step)
        x = self._images(rows, step, "x")
        y = x if other is None else self._images(other, step, "y")
        if self.images.streams:
            # What the next step is shown depends on its number only, so it can be read while this one is trained.
            self._next = step + 1, *self._rows(step + 1)
            for soon in self._next[1:]:
                if soon is not None:
                    self.images.ahead(soon)
        noise = {name: self._draw(what, step, f"noise {name}").to(self.device) for name, what in self.noise.items()}
        labels = self.images.levels(rows).to(self.device)
        return Batch(x, y, labels, noise, torch.tensor(step, device=self.device), self.images.rows)

    def _rows(self, step: int) -> tuple[Tensor, Tensor | None]:
        """Row numbers of the images of a step, and of the second view, if there is one."""
        if self._next is not None and self._next[0] == step:
            return self._next[1:]
        rows = self.orders[0].at(step)
        return rows, self._second(rows, step)

    def _second(self, rows: Tensor, step: int) -> Tensor | None:
        """Row numbers of the second view, if there is one: the next of another order, or the rows' partners."""
        if self.partners is not None:
            return self.partners.of(rows, *(self._draw(w, step, n) for n, w in self.pair_draws(len(rows)).items()))
        return self.orders[1].at(step) if len(self.orders) > 1 else None

    def pair_draws(self, rows: int) -> dict[str, Draw]:
        """The random numbers that lead so many rows to their partners, in the order ``Partners.of`` takes them."""
        assert self.partners is not None
        wide, one = Draw((rows, len(self.partners.vary)), "uniform"), Draw((rows,), "uniform")
        return {"pair order": wide, "pair levels": wide, "pair count": one}

    def _draw(self, what: Draw, step: int, stream: str) -> Tensor:
        """One step's numbers. Small draws cost many tiny operations, so those of ``AHEAD`` steps are drawn at once;
        blocks start at multiples of ``AHEAD``, wherever a run was resumed."""
        if math.prod(what.shape) > SMALL:
            return draw(self.seeds, step, stream, what, self.dtype)[0]
        block, place = divmod(step, AHEAD)
        if stream not in self._drawn or self._drawn[stream][0] != block:
            steps = torch.arange(block * AHEAD, (block + 1) * AHEAD, device=self.home)
            self._drawn[stream] = block, draw(self.seeds.expand(AHEAD), steps, stream, what, self.dtype)
        return self._drawn[stream][1][place]

    def _images(self, rows: Tensor, step: int, view: str) -> Tensor:
        draws = {name: self._draw(what, step, f"nuisance {view} {name}") for name, what in self.nuisance.items()}
        return self.images.batch(rows, draws).to(self.device, self.dtype)
