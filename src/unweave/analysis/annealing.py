"""The annealing test: the pressure at which information freezes, found by training while the pressure falls."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import NamedTuple

import torch
from torch import Tensor

from unweave.analysis.code_information import Curve, code_information
from unweave.analysis.spectrum import critical_pressure
from unweave.data import Dataset, Images, Subset, dataset
from unweave.engine.codes import encode
from unweave.engine.experiment import Complete, Experiment
from unweave.engine.noise import draw
from unweave.engine.place import home
from unweave.engine.train import train
from unweave.methods.beta_vae import BetaVAE
from unweave.names import known
from unweave.networks import MLP, Body
from unweave.types import Adam, Codes, Draw, Gaussian, UserError

OVER = 1.5
"""Times the critical pressure: where a test starts when it is not told."""
HELD = 3
"""Measurements in a row at or above the threshold that make a crossing."""
IMAGES = 2_000
"""Images whose codes are measured, at most."""
SMALL = MLP((64,))
"""Enough for the levels of one factor, and fast enough for hundreds of trainings."""


class Freezing(NamedTuple):
    """What an annealing test found."""

    point: float | None
    """The freezing point: β at the first of three measurements in a row with the threshold's information; None when
    it was never crossed."""
    curve: Curve
    """β and I(x; z), one entry a measurement."""
    critical: float
    """β_c of the same images in closed form."""
    errors: tuple[float, ...] = ()
    """The reconstruction error at each measurement of a test that goes on to the end, else none: the sum over an image
    in the likelihood's measure, nats of binary cross-entropy or squared error."""

    @property
    def reached(self) -> bool:
        """Whether information froze at all."""
        return self.point is not None

    @property
    def ratio(self) -> float | None:
        """point / β_c: how far this test reads below the closed form."""
        return None if self.point is None or not self.critical else self.point / self.critical


class FreezingPoints(NamedTuple):
    """Annealing tests along one factor, around several images."""

    factor: str
    tests: tuple[Freezing, ...]

    @property
    def points(self) -> tuple[float, ...]:
        """The freezing points that were reached, in the order of the tests."""
        return tuple(test.point for test in self.tests if test.point is not None)

    @property
    def median(self) -> float | None:
        """Of the points; None when none was reached."""
        return median(self.points) if self.points else None


@dataclass(frozen=True)
class AnnealingTest:
    """Trains a β-VAE while β falls and reads off where I(x; z) first exceeds a threshold.

        β(t) = start · (1 − t) + end · t  (linear)   or   start^(1−t) · end^t  (exp),   t = step / steps

    Wu et al. (2022), §4.1: the information freezing point is the supremum of all β at which I(x; z) > 0, in practice
    the β at which it passes 0.1 nats. Since a code grows slowly near the critical pressure, a test of finite length
    reads too low: see ``docs/analysis/annealing.md`` for how much.

    Args:
        schedule: ``exp`` or ``linear``.
        beta_start: the first pressure; 1.5 · β_c of the images when None.
        beta_end: the last one.
        steps: length of the training.
        threshold: nats of information that count as frozen.
        mi: ``exact``, I(x; z) by enumeration of the images, or ``kl``, the mean KL, which is never less. More than
            2,000 images are measured on a sample of 2,000, whose ``exact`` information cannot exceed log 2,000 = 7.6.
        measurements: how often, evenly over the training.
        full: anneal to the end instead of stopping at the freezing point: for the whole curve, with its errors.
        latents: D.
        batch: images a step; fewer where there are fewer.
        lr: Adam's learning rate.
        network: the architecture; the standard convolutional one when None.

    Raises:
        UserError: an unknown schedule or mi, pressures that do not fall, numbers out of range, images all the same.

    >>> from unweave.data import Subset, Triangle
    >>> few = Subset(Triangle(), tuple(range(8)))
    >>> found = AnnealingTest(steps=20, measurements=4, full=True, network=MLP((8,)))(few)
    >>> len(found.curve.betas), found.curve.betas[0] < 1.5 * found.critical
    (4, True)
    """

    schedule: str = "exp"
    beta_start: float | None = None
    beta_end: float = 1.0
    steps: int = 8_000
    threshold: float = 0.1
    mi: str = "exact"
    measurements: int = 200
    full: bool = False
    latents: int = 10
    batch: int = 64
    lr: float = 2e-3
    network: Body | None = SMALL

    def __call__(
        self,
        data: Dataset | str,
        seed: int = 0,
        *,
        root: Path | str | None = None,
        device: str | torch.device | None = None,
    ) -> Freezing:
        """The freezing point of all images of a data set, with a network of its own for ``seed``."""
        self._check()
        data = dataset(data)
        critical = critical_pressure(data, seed=seed, root=root)
        start = OVER * critical if self.beta_start is None else self.beta_start
        if not start > self.beta_end:
            raise UserError(
                f"AnnealingTest: from β = {start:.4g} to {self.beta_end:g} (the critical pressure of these images is "
                f"{critical:.4g}); allowed: a start above the end"
            )
        method = BetaVAE(beta=start, end=self.beta_end, schedule=self.schedule, anneal_steps=self.steps)
        betas: list[float] = []
        found: list[float] = []
        errors: list[float] = []
        above, point = 0, None
        for step, nats, error in self._trained(self._experiment(method, data, seed), root, device):
            errors += [] if error is None else [error]
            betas.append(float(method.pressure(torch.tensor(step), torch.float64)))
            found.append(nats)
            above = above + 1 if nats >= self.threshold else 0
            if above == HELD and point is None:
                point = betas[-HELD]
                if not self.full:
                    break
        return Freezing(point, Curve(tuple(betas), tuple(found)), critical, tuple(errors))

    def _check(self) -> None:
        known(self.schedule, ("exp", "linear"), "schedule")
        known(self.mi, ("exact", "kl"), "mi")
        if not 0 < self.threshold < math.inf or not 0 < self.beta_end < math.inf:
            raise UserError(
                f"AnnealingTest: threshold = {self.threshold}, beta_end = {self.beta_end}; allowed: numbers above 0"
            )
        if not HELD <= self.measurements <= self.steps:
            raise UserError(
                f"AnnealingTest: measurements = {self.measurements} in {self.steps} steps; "
                f"allowed: {HELD} or more, and no more than steps"
            )

    def _experiment(self, method: BetaVAE, data: Dataset, seed: int) -> Complete:
        return Experiment(
            method,
            data,
            network=self.network,
            latents=self.latents,
            steps=self.steps,
            batch=min(self.batch, data.rows),
            optimiser=Adam(lr=self.lr),
            precision="float32",
            seed=seed,
        ).complete()

    def _trained(
        self, experiment: Complete, root: Path | str | None, device: str | torch.device | None
    ) -> Iterator[tuple[int, float, float | None]]:
        """(step, nats, error) of every measurement, as the training goes on; the error where the test is full."""
        images: Images | None = None
        steps = [self.steps * k // self.measurements for k in range(1, self.measurements + 1)]
        for snapshot in train(experiment, every=steps, root=root, device=device):
            failure, model = snapshot.failures[0], snapshot.models[0]
            if failure is not None:
                raise UserError(
                    f"AnnealingTest: {failure.term} was no longer finite at step {failure.step} with lr = {self.lr:g}; "
                    "allowed: a lower lr"
                )
            if images is None:
                where = next(model.parameters()).device
                images = experiment.data.open(Path(root) if root else None, home(where))
            codes = encode(model, experiment.data, images, count=IMAGES, seed=experiment.seed, distortion=self.full)
            kind = "bce" if experiment.likelihood == "bernoulli" else "squared_error"
            error = float(codes.distortion[kind].double().mean()) if self.full else None
            yield snapshot.step, self._nats(codes, experiment.seed), error

    def _nats(self, codes: Codes, seed: int) -> float:
        if self.mi == "kl":
            return float(Gaussian(codes.mean.double(), _double(codes.logvar)).kl().sum(1).mean())
        return code_information(codes, seed)


class Scan(NamedTuple):
    """Trainings at fixed pressures, each from scratch."""

    betas: tuple[float, ...]
    """Pressures, falling."""
    information: tuple[float, ...]
    """I(x; z) in nats at the end of each training."""

    def critical(self, level: float = 0.05) -> float | None:
        """The pressure below which information stays above ``level``, between two of those tried, on a line in log β.

        None when it is on the same side of the level at all of them, or not above it at the last.

        >>> round(Scan((4.0, 2.0, 1.0), (0.0, 0.1, 0.5)).critical(), 4)
        2.8284
        """
        over = [nats > level for nats in self.information]
        if all(over) or not over[-1]:
            return None
        place = len(over) - over[::-1].index(False)
        low, high = self.information[place - 1], self.information[place]
        part = (level - low) / (high - low)
        a, b = math.log(self.betas[place - 1]), math.log(self.betas[place])
        return math.exp(a + part * (b - a))


def pressure_scan(
    data: Dataset | str,
    betas: Sequence[float],
    test: AnnealingTest | None = None,
    seed: int = 0,
    *,
    begin: float | None = None,
    root: Path | str | None = None,
    device: str | torch.device | None = None,
) -> Scan:
    """A fresh β-VAE at each of several constant pressures: where information freezes, without any annealing.

    What closed form and annealing are checked against: at a constant pressure a code only has to grow, however slowly.

    Args:
        data: a data set or its name.
        betas: the pressures.
        test: the trainings' network, steps, batch, lr and mi; its schedule is not used.
        seed: of the networks.
        begin: when given, every training begins at this pressure and comes to its own at half-way, so that a code is
            there and has to go instead of having to grow: the two ways lie on either side of the critical pressure.
        root: folder of data files.
        device: where to train.

    Raises:
        UserError: no pressures, or ones that are not above 0.

    >>> from unweave.data import Subset, Triangle
    >>> few = Subset(Triangle(), tuple(range(8)))
    >>> scan = pressure_scan(few, (20.0, 1.0), AnnealingTest(steps=10, measurements=3, network=MLP((8,))))
    >>> scan.betas
    (20.0, 1.0)
    """
    test = test or AnnealingTest()
    test._check()
    if not betas or not all(0 < beta < math.inf for beta in [*betas, 1.0 if begin is None else begin]):
        raise UserError(
            f"pressure_scan: betas = {tuple(betas)}, begin = {begin}; allowed: one or more numbers above 0, and one"
        )
    data, once = dataset(data), replace(test, measurements=HELD)
    falling = sorted(map(float, betas), reverse=True)
    found = []
    for beta in falling:
        method = BetaVAE(beta=beta)
        if begin is not None:
            method = BetaVAE(beta=begin, end=beta, schedule="exp", anneal_steps=max(1, test.steps // 2))
        measured = list(once._trained(once._experiment(method, data, seed), root, device))
        found.append(measured[-1][1])
    return Scan(tuple(falling), tuple(found))


def freezing_points(
    data: Dataset | str,
    factor: str,
    repeats: int = 50,
    test: AnnealingTest | None = None,
    seed: int = 0,
    *,
    root: Path | str | None = None,
    device: str | torch.device | None = None,
) -> FreezingPoints:
    """The freezing points of one factor: a test on all its levels around each of several random images.

    Wu et al. (2022), §5.3 and Fig. 9. Each repeat draws its base image and its network from ``seed`` and its own
    number, so more repeats keep the earlier ones.

    Args:
        data: a data set with factors, or its name.
        factor: the name of one of them.
        repeats: base images.
        test: the annealing test; its defaults when None.
        seed: of base images and networks.
        root: folder of data files.
        device: where to train.

    Raises:
        UserError: no such factor, fewer than 1 repeat, levels of which there is no image.

    >>> from unweave.data import DSprites
    >>> quick = AnnealingTest(steps=6, measurements=3, network=MLP((8,)))
    >>> len(freezing_points(DSprites(), "scale", 2, quick).tests)
    2
    """
    test = test or AnnealingTest()
    sets = single_factor_sets(data, factor, repeats, seed, root=root)
    return FreezingPoints(factor, tuple(test(s, seed + r, root=root, device=device) for r, s in enumerate(sets)))


def single_factor_sets(
    data: Dataset | str, factor: str, repeats: int, seed: int = 0, *, root: Path | str | None = None
) -> tuple[Subset, ...]:
    """The images along one factor around each of several random images: what freezing points are measured on.

    Their closed form is at hand without training: ``critical_pressure`` of each.

    >>> [len(s.chosen) for s in single_factor_sets("dsprites", "shape", 2)]
    [3, 3]
    """
    data = dataset(data)
    if repeats < 1:
        raise UserError(f"repeats = {repeats}; allowed: a whole number from 1")
    seeds = torch.tensor([seed])
    folder = Path(root) if root else None
    uniform = [float(draw(seeds, r, "annealing base", Draw((), "uniform"), torch.float64)[0]) for r in range(repeats)]
    return tuple(Subset.along(data, factor, int(u * data.rows), folder) for u in uniform)


def _double(logvar: Tensor | None) -> Tensor | None:
    return None if logvar is None else logvar.double()
