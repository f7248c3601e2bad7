"""The pressures at which a data set's information freezes, in closed form: no training."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from unweave.data import Dataset, dataset
from unweave.engine.codes import nuisance
from unweave.engine.cpu import quick_bytes
from unweave.engine.noise import draw
from unweave.names import known
from unweave.networks.likelihoods import LIKELIHOODS
from unweave.types import Draw, UserError

CHUNK = 4096
"""Images read at once; it moves numbers by rounding only."""
DENSE = 4608
"""Up to so many pixels that vary, or images, all their products are held at once."""
WHOLE = 512
"""Up to this order a matrix is decomposed whole; above, only its leading part, iteratively."""
ROUNDS, TOLERANCE = 200, 1e-7
"""Of that iteration: how long, and the relative change of every value at which it has converged."""


class Pixels:
    """The images of a data set, or given ones, as rows of pixels: all of them or a seeded sample without replacement.

    Args:
        data: a data set, its name, or (N, C, H, W) images in [0, 1].
        likelihood: ``bernoulli`` or ``squared``; the data set's own (``bernoulli`` for given images) when None.
        sample: how many images; all of them when None or more than there are.
        seed: which sample, and the nuisance noise of a data set that has any.
        root: folder of data files.

    Raises:
        UserError: fewer than 2 images, pixels outside [0, 1], an unknown data set or likelihood.
    """

    def __init__(
        self,
        data: Dataset | str | Tensor,
        likelihood: str | None = None,
        sample: int | None = None,
        seed: int = 0,
        root: Path | str | None = None,
    ) -> None:
        self.seed = seed
        if isinstance(data, Tensor):
            self.given: Tensor | None = data.detach().cpu().flatten(1) if data.ndim == 4 else data
            if data.ndim != 4 or not bool(((data >= 0) & (data <= 1)).all()):
                raise UserError(f"images of shape {tuple(data.shape)}; allowed: (N, C, H, W) with pixels in [0, 1]")
            self.all, own = len(data), "bernoulli"
        else:
            described = dataset(data)
            self.given, self.images = None, described.open(Path(root) if root else None, "cpu")
            self.all, own = described.rows, described.likelihood
        self.likelihood = likelihood or own
        known(self.likelihood, LIKELIHOODS, "likelihood")
        if self.all < 2 or (sample is not None and sample < 2):
            raise UserError(f"{self.all} images, sample = {sample}; allowed: 2 or more, of which 2 or more are read")
        self.rows = torch.arange(self.all)
        if sample is not None and sample < self.all:
            order = draw(torch.tensor([seed]), 0, "spectrum rows", Draw((self.all,), "permutation"))[0]
            self.rows = order[:sample].sort().values

    def __iter__(self) -> Iterator[Tensor]:
        """(n, P) float32 pixels, a chunk after the other."""
        for rows in self.rows.split(CHUNK):
            if self.given is not None:
                yield self.given[rows].float()
            else:
                draws = nuisance(self.images, rows, self.seed, "spectrum")
                yield self.images.batch(rows, draws).flatten(1).float()


@dataclass(frozen=True, eq=False)
class FreezingSpectrum:
    """The pressures λ_1 ≥ λ_2 ≥ … below which one direction of a data set after the other holds information.

    See ``freezing_spectrum``.
    """

    values: Tensor
    """(K,) λ_i, float64, falling; those above 0, at most as many as were asked for."""
    total: float
    """Σ λ_i over all directions, those not held here too."""
    complete: bool
    """Whether ``values`` are all there are."""
    likelihood: str
    rows: int
    """Number of images N of the data set."""
    sample: int
    """How many of them were read."""
    centre: Tensor
    """(P,) mean image, float64."""
    weights: Tensor
    """(P, K): a centred image times these gives its scores, which have mean 0 and variance 1; float64."""

    @property
    def critical(self) -> float:
        """β_c: at this pressure and above a β-VAE holds no information; 0 when all images are the same."""
        return float(self.values[0]) if len(self.values) else 0.0

    def rate(self, beta: float) -> float:
        """Water-filling: KL(β) = ½ Σ_i max(0, log λ_i / β), in nats.

        Raises:
            UserError: a pressure of 0 or below, or one that directions would pass which are not held here.
        """
        return 0.5 * float(torch.log(self.values[: self.active(beta)] / beta).sum())

    def active(self, beta: float) -> int:
        """How many directions hold information at a pressure: −2 dKL / d log β."""
        lowest = float(self.values[-1]) if len(self.values) and not self.complete else 0.0
        if not max(lowest, 1e-300) <= beta < math.inf:
            raise UserError(
                f"β = {beta:g}; the {len(self.values)} directions of this spectrum reach down to {lowest:.4g}; "
                "allowed: pressures above 0 and not below that, or more modes"
            )
        return int((self.values > beta).sum())

    def pressure(self, rate: float) -> float:
        """The pressure at which ``rate`` is the given number of nats.

        Raises:
            UserError: a rate that is negative, or more than the directions held here can tell.
        """
        if not 0 <= rate < math.inf or not len(self.values):
            raise UserError(f"rate = {rate} nats of {len(self.values)} directions; allowed: 0 or more, of at least one")
        logs = self.values.log()
        count = torch.arange(1, len(logs) + 1)
        betas = torch.exp((logs.cumsum(0) - 2 * rate) / count)
        # With the first n directions the pressure must lie between λ_n+1 and λ_n: the n where it first is above λ_n+1.
        inside = betas[:-1] >= self.values[1:]
        found = int(inside.nonzero()[0]) if bool(inside.any()) else len(logs) - 1
        if found == len(logs) - 1 and not self.complete and float(betas[-1]) < float(self.values[-1]):
            raise UserError(
                f"rate = {rate:g} nats; {len(logs)} directions of this spectrum tell at most "
                f"{self.rate(float(self.values[-1])):.4g}; ask for more modes"
            )
        return float(betas[found])

    def scores(self, x: Tensor) -> Tensor:
        """(n, P) pixels -> (n, K) scores along the directions, each of mean 0 and variance 1 over the data set."""
        return (x.double() - self.centre) @ self.weights


def freezing_spectrum(
    data: Dataset | str | Tensor,
    likelihood: str | None = None,
    *,
    sample: int | None = 20_000,
    modes: int = 128,
    seed: int = 0,
    root: Path | str | None = None,
) -> FreezingSpectrum:
    """The pressures at which information freezes into a β-VAE: eigenvalues of the images' covariance.

        bernoulli:  λ_i of (1/N) Σ_x s(x) s(x)ᵀ,  s(x) = (x − p) / √(p (1 − p)) pixel by pixel, p the mean image
        squared:    2 λ_i of cov x   (squared error summed without the ½)

    Where a β-VAE tells nothing, its decoder gives the mean image. To second order in the code, a direction of the
    images is worth λ_i / β times what it costs, so that this state is stable exactly for β ≥ β_c = λ_1: the information
    freezing point of Wu et al. (2022), Definition 1. Below, the best linear code gives KL(β) = ½ Σ_i max(0, log λ_i/β).
    Pixels that never change take no part.

    Args:
        data: a data set, its name, or (N, C, H, W) images in [0, 1], with or without labels.
        likelihood: ``bernoulli`` or ``squared``; the data set's own when None.
        sample: how many images are read, drawn without replacement with ``seed``; None for all. A sample's first values
            are a few per cent too high where images have much fine detail.
        modes: how many values are wanted, largest first.
        seed: of the sample and of nuisance noise.
        root: folder of data files.

    Returns:
        The spectrum; its ``values`` are pressures (nats per nat).

    Raises:
        UserError: no data set or images of this kind, fewer than 2 images or modes below 1.

    >>> bars = torch.eye(8).repeat_interleave(4, dim=1).reshape(8, 1, 8, 4)
    >>> spectrum = freezing_spectrum(bars)
    >>> round(spectrum.critical, 4), round(spectrum.rate(2.0), 4)
    (4.5714, 2.8934)
    """
    if modes < 1:
        raise UserError(f"modes = {modes}; allowed: a whole number from 1")
    pixels = Pixels(data, likelihood, sample, seed, root)
    count = len(pixels.rows)
    centre, square = (total / count for total in _sums(pixels))
    # Read off sums, not off p (1 − p) > 0: a pixel that is 0.3 everywhere has no information either.
    varies = (square - centre**2) > 1e-12
    p = centre[varies]
    scale = torch.sqrt(p * (1 - p)) if pixels.likelihood == "bernoulli" else torch.ones_like(p)
    factor = 1.0 if pixels.likelihood == "bernoulli" else 2.0
    total = factor * float(((square[varies] - p**2) / scale**2).sum())

    def rows() -> Iterator[Tensor]:
        for x in pixels:
            yield (x[:, varies].double() - p) / scale

    if count <= min(len(p), DENSE):
        s = torch.cat(list(rows()))
        values, left = _leading(s @ s.mT / count, modes)
        vectors = s.mT @ left / torch.sqrt(values * count)
    elif len(p) <= DENSE:
        products = _products(pixels, varies) / count - p[:, None] * p
        values, vectors = _leading(products / (scale[:, None] * scale), modes)
    else:
        values, vectors = _iterate(lambda y: _sum(s.mT @ (s @ y) for s in rows()) / count, len(p), modes)
    weights = torch.zeros(len(centre), len(values), dtype=torch.float64)
    weights[varies] = vectors / scale[:, None] / torch.sqrt(values)
    complete = abs(factor * float(values.sum()) - total) <= 1e-9 * total
    return FreezingSpectrum(factor * values, total, complete, pixels.likelihood, pixels.all, count, centre, weights)


def critical_pressure(
    data: Dataset | str | Tensor,
    likelihood: str | None = None,
    *,
    sample: int | None = 20_000,
    seed: int = 0,
    root: Path | str | None = None,
) -> float:
    """β_c, the pressure at which a β-VAE begins to hold information about these images: the first of their spectrum.

    Arguments and errors are those of ``freezing_spectrum``; 0 when all images are the same.

    >>> bars = torch.eye(8).repeat_interleave(4, dim=1).reshape(8, 1, 8, 4)
    >>> round(critical_pressure(bars), 4), round(critical_pressure(bars, "squared"), 4)
    (4.5714, 1.0)
    """
    return freezing_spectrum(data, likelihood, sample=sample, modes=1, seed=seed, root=root).critical


def _sums(pixels: Pixels) -> tuple[Tensor, Tensor]:
    first, second = torch.zeros(()), torch.zeros(())
    for x in pixels:
        exact = x.double()
        first, second = first + exact.sum(0), second + (exact**2).sum(0)
    return first, second


def _sum(parts: Iterator[Tensor]) -> Tensor:
    total = next(parts)
    for part in parts:
        total = total + part
    return total


def _products(pixels: Pixels, varies: Tensor) -> Tensor:
    """Σ x xᵀ of the pixels that vary, float64. Where all are 0 or 1 it is counted in whole numbers, which is exact."""
    total = torch.zeros(int(varies.sum()), int(varies.sum()), dtype=torch.float64)
    for chunk in pixels:
        x = chunk[:, varies]
        if bool(((x == 0) | (x == 1)).all()):
            # Float32 holds whole numbers up to 2^24 exactly. Where the processor has instructions for them, products of
            # bytes are several times as fast; elsewhere they take forty times as long.
            whole = getattr(torch, "_int_mm", None) if quick_bytes() else None
            if whole is not None and len(x) > 16:
                bits = x.to(torch.int8)
                total += whole(bits.mT.contiguous(), bits)
            else:
                total += x.mT @ x
        else:
            total += x.double().mT @ x.double()
    return total


def _leading(matrix: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The largest eigenvalues (K,), falling and above rounding, and their vectors (n, K) of a symmetric matrix."""
    if len(matrix) > max(WHOLE, 2 * count):
        return _iterate(lambda y: matrix @ y, len(matrix), count)
    values, vectors = torch.linalg.eigh(matrix)
    return _kept(values.flip(0)[:count], vectors.flip(1)[:, :count])


def _iterate(multiply: Callable[[Tensor], Tensor], size: int, count: int) -> tuple[Tensor, Tensor]:
    """The same of a matrix known by its products: subspace iteration with as many spare directions as wanted ones."""
    wide = min(size, 2 * count + 16)
    start = draw(torch.tensor([0]), 0, "spectrum start", Draw((size, wide)), torch.float64)[0]
    basis, before = torch.linalg.qr(start).Q, torch.zeros(min(count, size), dtype=torch.float64)
    for _ in range(ROUNDS):
        image = multiply(basis)
        values, turn = torch.linalg.eigh((basis.mT @ image + image.mT @ basis) / 2)
        values, vectors = values.flip(0)[:count], (basis @ turn.flip(1))[:, :count]
        if bool(((values - before).abs() <= TOLERANCE * values.abs()).all()):
            break
        before = values
        basis = torch.linalg.qr(image).Q
    return _kept(values, vectors)


def _kept(values: Tensor, vectors: Tensor) -> tuple[Tensor, Tensor]:
    real = values > 1e-10 * values[:1].clamp(min=1e-300)
    return values[real], vectors[:, real]
