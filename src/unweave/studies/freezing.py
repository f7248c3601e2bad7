"""Jobs without a score: annealing tests along one factor and on a whole set, pressures in closed form, pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from unweave.analysis import AnnealingTest, change_points, freezing_spectrum, linear_information, propose_pressures
from unweave.analysis.annealing import single_factor_sets
from unweave.data import Dataset, Images
from unweave.engine.codes import nuisance
from unweave.job import Arrays, Cost, Job, Result, Told, Values, once, quiet
from unweave.types import UserError

IDLE = 1.5e-3
"""Seconds of a step on one factor's few images with a small dense network."""
BATCH_SECONDS = 6e-4
"""Seconds an image of a step with the convolutional network, on one thread."""


@dataclass(frozen=True)
class FreezingTest(Job):
    """The freezing point of one factor around one random image: an annealing test on all levels of the factor.

    Args:
        data: the data set.
        factor: one of its factors.
        repeat: which random image, from 0.
        test: the annealing test.

    Values: ``freezing`` (β where I(x; z) passes 0.1 nats; NaN when it never does), ``critical`` (β_c in closed form),
    ``levels`` of the factor. Arrays: ``betas`` and ``nats``, the curve.
    """

    name: ClassVar[str] = "freezing-test"

    data: Dataset
    factor: str
    repeat: int
    test: AnnealingTest

    @property
    def title(self) -> str:
        """Data, factor and repeat."""
        return f"annealing test of {self.factor} on {self.data.name}, image {self.repeat + 1}"

    @property
    def cost(self) -> Cost:
        """Of its steps on few images."""
        return Cost(2 * IDLE * self.test.steps, self.test.steps, 10_000)

    def run(self, out: Path, *, root: Path | None = None, device: str | None = None, told: Told = quiet) -> Result:
        """Anneal, to the freezing point."""

        def work(folder: object) -> tuple[Values, Arrays]:
            (few,) = single_factor_sets(self.data, self.factor, self.repeat + 1, root=root)[self.repeat :]
            found = self.test(few, self.repeat, root=root, device=device)
            values = {
                "freezing": math.nan if found.point is None else found.point,
                "critical": found.critical,
                "levels": float(few.rows),
            }
            return values, {"betas": np.array(found.curve.betas), "nats": np.array(found.curve.information)}

        return once(self, out, work)


@dataclass(frozen=True)
class WholeAnnealing(Job):
    """An annealing test on a whole data set, to its end: I(x; z) against the pressure, without any label.

    Args:
        data: the data set.
        test: the annealing test, whose ``full`` keeps it going past the freezing point.
        seed: of the network.

    Values: ``freezing``, ``iteration`` (the step of the freezing point), ``critical`` (β_c of a sample),
    ``change.1`` … (pressures at which information begins to come in faster, highest first), ``changes``.
    Arrays: ``betas``, ``nats`` and ``errors`` (reconstruction, the sum over an image).
    """

    name: ClassVar[str] = "whole-annealing"

    data: Dataset
    test: AnnealingTest
    seed: int = 0

    @property
    def title(self) -> str:
        """Data and seed."""
        return f"annealing test on {self.data.name}, seed {self.seed}"

    @property
    def cost(self) -> Cost:
        """Of its steps and measurements."""
        small = self.test.network is not None
        step, look = (IDLE, 0.02) if small else (BATCH_SECONDS * self.test.batch, 1.0)
        return Cost(self.test.steps * step + self.test.measurements * look, self.test.steps, 20_000)

    def run(self, out: Path, *, root: Path | None = None, device: str | None = None, told: Told = quiet) -> Result:
        """Anneal to the end."""

        def work(folder: object) -> tuple[Values, Arrays]:
            found = self.test(self.data, self.seed, root=root, device=device)
            betas, nats = np.array(found.curve.betas), np.array(found.curve.information)
            changes = change_points(found.curve)
            values = {
                "freezing": math.nan if found.point is None else found.point,
                "critical": found.critical,
                "changes": float(len(changes)),
                "nats": float(nats[-1]),
                **{f"change.{k + 1}": one.beta for k, one in enumerate(changes)},
            }
            if found.point is not None:
                place = int(np.flatnonzero(betas == found.point)[0])
                values["iteration"] = float((place + 1) * max(1, self.test.steps // self.test.measurements))
            return values, {"betas": betas, "nats": nats, "errors": np.array(found.errors)}

        return once(self, out, work)


@dataclass(frozen=True)
class Pressures(Job):
    """Pressures for DEFT's stages in closed form, from the images alone.

    Args:
        data: the data set.
        groups: stages.
        sample: images of which the spectrum is.

    Values: ``stage.1`` … (β), ``critical`` (β_c). Arrays: ``spectrum``, its largest values.
    """

    name: ClassVar[str] = "pressures"

    data: Dataset
    groups: int
    sample: int = 20_000

    @property
    def title(self) -> str:
        """Data and stages."""
        return f"pressures of {self.groups} stages on {self.data.name}, in closed form"

    @property
    def cost(self) -> Cost:
        """Of the spectrum."""
        return Cost(5e-4 * self.sample + 1, 0, 5_000)

    def run(self, out: Path, *, root: Path | None = None, device: str | None = None, told: Told = quiet) -> Result:
        """Work out the spectrum and divide the information."""

        def work(folder: object) -> tuple[Values, Arrays]:
            spectrum = freezing_spectrum(self.data, likelihood="bernoulli", sample=self.sample, seed=0, root=root)
            few = min(self.sample, 5_000)
            curve = linear_information(self.data, spectrum, sample=few, end=max(1.0, float(spectrum.values[-1])))
            found = propose_pressures(curve, "deft", self.groups)
            values = {f"stage.{k + 1}": beta for k, beta in enumerate(found.betas)}
            top = spectrum.values[:40].double().numpy()
            return values | {"critical": float(top[0])}, {"spectrum": top}

        return once(self, out, work)


@dataclass(frozen=True)
class Panels(Job):
    """Images of a data set: along every factor around one image, or images at random where there are no factors.

    Args:
        data: the data set.
        columns: images a row at most.
        row: the image that the factors are changed of.

    Arrays: ``along.FACTOR`` (N, H, W, C) uint8 for every factor that can move alone, ``random`` (N, H, W, C).
    """

    name: ClassVar[str] = "panels"

    data: Dataset
    columns: int = 10
    row: int = 0

    @property
    def title(self) -> str:
        """The data set."""
        return f"images of {self.data.name}"

    @property
    def cost(self) -> Cost:
        """Of drawing some images."""
        return Cost(1.0, 0, 200_000)

    def run(self, out: Path, *, root: Path | None = None, device: str | None = None, told: Told = quiet) -> Result:
        """Look at the images."""

        def work(folder: object) -> tuple[Values, Arrays]:
            images, arrays = self.data.open(root), {}
            factors = images.factors
            names = factors.names if factors else ()
            for place, (name, size) in enumerate(zip(names, factors.sizes if factors else (), strict=True)):
                levels = images.levels(torch.tensor([self.row])).repeat(min(self.columns, size), 1)
                levels[:, place] = torch.linspace(0, size - 1, len(levels)).round().long()
                try:
                    arrays[f"along.{name}"] = self._view(images, images.index(levels))
                except UserError:
                    continue
            generator = np.random.default_rng(0)
            some = generator.choice(images.rows, min(self.columns, images.rows), replace=False)
            arrays["random"] = self._view(images, torch.as_tensor(some))
            return {}, arrays

        return once(self, out, work)

    def _view(self, images: Images, rows: torch.Tensor) -> np.ndarray:
        x = images.batch(rows, nuisance(images, rows, 0, "panels"))
        return (x * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
