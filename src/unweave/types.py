"""The nouns every layer shares: what flows between data, methods, the engine and metrics."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from operator import index
from typing import Any, NamedTuple

import torch
from torch import Tensor

from unweave.errors import UserError as UserError

LOGVAR_RANGE = (-30.0, 20.0)
"""Where log-variances are kept, so that neither exp(logvar) nor exp(-logvar) leaves float32."""

State = Mapping[str, Tensor]
"""What a method remembers from one step to the next: named tensors, replaced and never changed in place."""


class Gaussian(NamedTuple):
    """A diagonal Gaussian per row: q(z|x) = N(mean, diag exp(logvar)).

    ``mean`` and ``logvar`` are (N, D); ``logvar`` None is a point mass.

    >>> q = Gaussian(torch.ones(2, 3), torch.zeros(2, 3))
    >>> q.kl()[0].tolist()
    [0.5, 0.5, 0.5]
    """

    mean: Tensor
    logvar: Tensor | None

    def sample(self, noise: Tensor) -> Tensor:
        """z = mean + exp(logvar / 2) · noise, shape (N, D); the mean itself for a point mass."""
        if self.logvar is None:
            return self.mean
        return self.mean + torch.exp(self.logvar / 2) * noise

    def kl(self) -> Tensor:
        """KL(q ‖ N(0, I)) of each latent in nats, shape (N, D): ½(mean² + exp(logvar) − logvar − 1), never negative."""
        logvar = self._logvar("kl")
        # expm1 keeps exp(v) − 1 − v from rounding below 0 where v is small.
        return 0.5 * (self.mean**2 + torch.expm1(logvar) - logvar)

    def log_prob(self, z: Tensor) -> Tensor:
        """log q(z_j) of each latent in nats, shape (N, D)."""
        logvar = self._logvar("log_prob")
        return -0.5 * (math.log(2 * math.pi) + logvar + (z - self.mean) ** 2 * torch.exp(-logvar))

    def _logvar(self, verb: str) -> Tensor:
        if self.logvar is None:
            raise UserError(f"Gaussian.{verb}: this posterior is a point mass (logvar is None) and has no density")
        return self.logvar


class Batch(NamedTuple):
    """All that a method may look at in one step."""

    x: Tensor
    """(N, C, H, W) images in [0, 1]."""
    y: Tensor
    """(N, C, H, W) the second view a method asked for with ``views``: ``x`` itself, a second batch, or for each row of
    ``x`` an image that shares all of its factors but some."""
    labels: Tensor
    """(N, F) integer factor levels; F = 0 for data without factors."""
    noise: Mapping[str, Tensor]
    """What the method's ``noise`` asked for, by name."""
    step: Tensor
    """0-dim integer: the number of steps taken so far, on the device."""
    rows: int
    """Number of images in the whole data set, which minibatch density estimators need."""


class Loss(NamedTuple):
    """What a method returns: the scalar to minimise, the scalars to record, the memory to carry on."""

    total: Tensor
    terms: Mapping[str, Tensor]
    state: Mapping[str, Tensor] = {}


class Draw(NamedTuple):
    """One random tensor that a method asks for: its shape and its kind.

    ``normal`` is N(0, 1), ``uniform`` is U[0, 1), ``bytes`` are whole numbers 0 … 255 in uint8, equally frequent, a
    quarter of the work of ``uniform``: for noise on every pixel. ``permutation`` holds permutations of 0 … shape[-1] −
    1 along the last axis.
    """

    shape: tuple[int, ...]
    kind: str = "normal"


class Rate(NamedTuple):
    """How far a parameter group moves in this step.

    ``scale`` multiplies Adam's step (0 leaves parameters, moments and the step count untouched); ``reset`` forgets
    moments and count before the step.
    """

    scale: float = 1.0
    reset: bool = False


@dataclass(frozen=True)
class Adam:
    """Adam's settings for one parameter group (Kingma & Ba, 2015, Algorithm 1).

    Args:
        lr: learning rate.
        betas: decay rates of the two moments.
        eps: added to the root of the second moment.
        weight_decay: L2 penalty added to the gradient.
        clip: largest allowed gradient norm of the group; None for no limit.
    """

    lr: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0
    clip: float | None = None


def steady(z: Tensor) -> Tensor:
    """(M, D) codes, a latent constant that differs by no more than the rounding of the numbers that they are.

    Whole numbers and float64 stay as they are.

    >>> steady(torch.tensor([[1.0, 1.0], [1.0 + 1e-7, 2.0]])).tolist()
    [[1.0, 1.0], [1.0, 2.0]]
    """
    if not z.is_floating_point() or z.dtype == torch.float64:
        return z
    wide = z.double()
    still = wide.amax(0) - wide.amin(0) <= 4 * torch.finfo(z.dtype).eps * wide.abs().amax(0)
    return torch.where(still, z[:1], z)


class Codes(NamedTuple):
    """A data set (or a sample of it), encoded once: all that metrics and analyses read.

    >>> import numpy as np
    >>> codes = Codes.of(mean=np.zeros((4, 2)), levels=[[0], [1], [0], [1]])
    >>> codes.sizes, codes.names
    ((2,), ('factor 0',))
    """

    mean: Tensor
    """(M, D) posterior means."""
    logvar: Tensor | None
    """(M, D) log-variances, None where the encoder is deterministic."""
    levels: Tensor
    """(M, F) integer factor levels; F = 0 for data without factors."""
    sizes: tuple[int, ...]
    """Number of levels of each factor."""
    names: tuple[str, ...] = ()
    """Names of the factors."""
    blocks: tuple[tuple[int, ...], ...] = ()
    """Which latents form one code; empty when each is its own."""
    distortion: Mapping[str, Tensor] = {}
    """name -> (M,): per-image ``bce`` in nats and ``squared_error``, both summed over pixels."""
    space: int = 0
    """Which latent space of a model with several."""
    rate: Tensor | None = None
    """(M,) KL(q(z|x) ‖ p(z)) of each image in nats where the model's prior p is not N(0, I) and errors were asked for;
    None for N(0, I), whose KL means and log-variances tell."""
    pixels: int = 0
    """C·H·W of an image, for per-pixel means; 0 when unknown."""

    @classmethod
    def of(
        cls,
        mean: Any,
        levels: Any = None,
        *,
        logvar: Any = None,
        sizes: tuple[int, ...] | None = None,
        names: tuple[str, ...] | None = None,
        blocks: tuple[tuple[int, ...], ...] = (),
    ) -> Codes:
        """Codes from plain arrays of any framework (anything ``numpy.asarray`` or ``torch.as_tensor`` takes).

        Args:
            mean: (M, D) representation, one row an image.
            levels: (M, F) integer factor levels counted from 0; None for data without factors.
            logvar: (M, D) log-variances, if there are any.
            sizes: levels per factor; read off ``levels`` when not given.
            names: factor names; ``factor 0`` … when not given.
            blocks: index tuples of latents that form one code.

        Raises:
            UserError: wrong number of axes, rows that do not match, levels that are not whole numbers in range,
                or numbers that are not finite.
        """
        z = _tensor(mean, "mean")
        if z.ndim != 2 or not z.shape[0] or not z.shape[1]:
            raise UserError(
                f"Codes.of: mean has shape {tuple(z.shape)}; allowed is (images, latents), neither of them 0"
            )
        if z.dtype in (torch.float16, torch.bfloat16):
            z = steady(z)  # float32 would not show any more how they were rounded
        whole = z.dtype in (torch.int32, torch.int64)
        wide = z.dtype == torch.float64 or (whole and bool((z.abs() > 2**24).any()))  # beyond what float32 tells apart
        z = z.to(torch.float64 if wide else torch.float32)
        v = None if logvar is None else _tensor(logvar, "logvar").to(z.dtype)
        if v is not None and v.shape != z.shape:
            raise UserError(f"Codes.of: logvar has shape {tuple(v.shape)}; allowed is that of mean, {tuple(z.shape)}")
        for name, t in (("mean", z), ("logvar", v)):
            if t is not None and not bool(torch.isfinite(t).all()):
                raise UserError(f"Codes.of: {name} holds numbers that are not finite (NaN or infinity)")
        y = torch.zeros(len(z), 0, dtype=torch.int64) if levels is None else _tensor(levels, "levels")
        if y.ndim != 2 or len(y) != len(z):
            raise UserError(f"Codes.of: levels has shape {tuple(y.shape)}; allowed is ({len(z)}, factors)")
        if y.is_floating_point() and not bool((torch.isfinite(y) & (y == y.round())).all()):
            raise UserError("Codes.of: levels holds fractions, NaN or infinity; allowed are whole numbers from 0")
        y = y.to(torch.int64)
        if bool((y < 0).any()):
            raise UserError(f"Codes.of: levels holds {int(y.min())}; allowed are whole level numbers counted from 0")
        most = tuple(int(c) for c in y.amax(0)) if y.shape[1] else ()
        try:
            sizes = tuple(level + 1 for level in most) if sizes is None else tuple(map(index, sizes))
        except TypeError:
            raise UserError(f"Codes.of: sizes = {sizes!r}; allowed: a whole number for each factor") from None
        if len(sizes) != y.shape[1] or any(level >= size for level, size in zip(most, sizes, strict=True)):
            raise UserError(
                f"Codes.of: levels up to {most} do not fit sizes {sizes}; allowed is 0 … size − 1 per factor"
            )
        names = tuple(f"factor {k}" for k in range(y.shape[1])) if names is None else tuple(names)
        if len(names) != y.shape[1]:
            raise UserError(f"Codes.of: {len(names)} names for {y.shape[1]} factors")
        if len(set(names)) < len(names):
            raise UserError(f"Codes.of: names {names}; allowed: each once")
        return cls(z, v, y, sizes, names, blocks)

    def without_closed(self, nats: float = 0.01) -> Codes:
        """The codes with every closed latent constant: 0 where its mean KL(q(z_j|x) ‖ N(0, 1)) is below ``nats``.

        A collapsed latent has a mean that still moves a little with the image. The decoder cannot see it under the
        noise, but what cuts each latent's own range into bins, or fits a classifier to it, can. Latents of a prior
        other than N(0, 1) are not judged by this.

        Args:
            nats: the least mean KL of a latent that is open.

        Raises:
            UserError: codes without log-variances, a number below 0.

        >>> codes = Codes.of([[2.0, 1e-5], [-2.0, -1e-5]], logvar=[[-4.0, 0.0], [-4.0, 0.0]])
        >>> codes.without_closed().mean.tolist()
        [[2.0, 0.0], [-2.0, 0.0]]
        """
        if self.logvar is None or not nats >= 0:
            what = "these codes are points (logvar is None)" if self.logvar is None else f"nats = {nats}"
            raise UserError(f"Codes.without_closed: {what}; allowed: codes with log-variances, and 0 nats or more")
        kl = Gaussian(self.mean.double(), self.logvar.double()).kl().mean(0)
        return self._replace(mean=torch.where(kl >= nats, self.mean, torch.zeros_like(self.mean)))

    def need_factors(self, who: str) -> None:
        """Raises UserError naming ``who`` when there are no factors to score against."""
        if not self.levels.shape[1]:
            raise UserError(
                f"{who} compares latents with known factors, and this data set has none; "
                "allowed is a data set with factors"
            )


class Score(NamedTuple):
    """One metric's answer: the number, its named parts (each a column of the results), every setting that made it."""

    value: float
    parts: Mapping[str, float] = {}
    settings: Mapping[str, Any] = {}


@dataclass(frozen=True)
class Reference:
    """A publication, as ``unweave cite`` prints it."""

    key: str
    authors: str
    title: str
    venue: str
    year: int
    url: str = ""

    @property
    def short(self) -> str:
        """The paper in a few words: family names and year.

        >>> Reference("k", "Doe, Jane and Mary Roe", "Title", "Venue", 2020).short
        'Doe & Roe 2020'
        """
        people = self.authors.split(" and ")
        names = [one.split(",")[0].strip() if "," in one else one.split()[-1] for one in people]
        who = names[0] if len(names) == 1 else " & ".join(names) if len(names) == 2 else f"{names[0]} et al."
        return f"{who} {self.year}"

    def bibtex(self) -> str:
        """A BibTeX entry."""
        lines = [f"@article{{{self.key},", f"  author = {{{self.authors}}},", f"  title = {{{self.title}}},"]
        lines += [f"  journal = {{{self.venue}}},", f"  year = {{{self.year}}},"]
        lines += [f"  url = {{{self.url}}},"] if self.url else []
        return "\n".join([*lines, "}"])


def _tensor(values: Any, name: str) -> Tensor:
    try:
        return torch.as_tensor(values).detach().cpu()
    except (TypeError, ValueError, RuntimeError) as error:
        raise UserError(f"Codes.of: {name} is a {type(values).__name__} that is no numeric array ({error})") from None
