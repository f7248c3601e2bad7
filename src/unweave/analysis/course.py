"""Information over training: what every latent tells of every factor, step by step, and where it diffuses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from unweave.analysis.rate import kl_decompose
from unweave.metrics.information import discretise, entropy, mutual_information
from unweave.metrics.rows import Floats, table
from unweave.types import Codes, Gaussian, UserError

RATE = ("kl", "mi", "tc", "dw")
"""The rate and its parts, in nats."""
ALIVE = 0.01
"""KL in nats under which a latent says nothing of the image that a decoder could read."""


class Point(NamedTuple):
    """What codes hold at one step of a training."""

    step: int
    information: Floats
    """(D, F) I(z_j; c_k) in nats."""
    entropies: Floats
    """(F,) H(c_k) in nats."""
    kl: Floats
    """(D,) mean KL of each latent in nats; NaN for codes that are points."""
    rate: Mapping[str, float]
    """``kl``, ``mi``, ``tc``, ``dw`` and ``mi_error`` … in nats; empty where it was not asked for."""
    recon: Mapping[str, float]
    """Mean ``bce`` and ``squared_error`` an image; empty for codes without them."""
    factors: tuple[str, ...]
    """Names of the F factors."""


class Event(NamedTuple):
    """Information of one factor that left its best latent while it, or the whole, grew elsewhere."""

    factor: str
    peak: int
    """The step of the largest NMI(c, 1) before."""
    seen: int
    """The first step at which it had fallen by more than δ and NMI(c, 2), or I(x; z), had grown."""
    lowest: int
    """The step, from then on, at which it lay lowest."""
    drop: float
    """By how much it fell from peak to lowest."""
    second: float
    """By how much NMI(c, 2) changed meanwhile."""
    mi: float
    """By how much I(x; z) changed meanwhile, in nats; NaN where it was not measured."""
    source: int
    """The factor's best latent at the peak."""
    receiver: int
    """The other latent whose NMI with the factor grew most; −1 where none grew."""


@dataclass(frozen=True, eq=False)
class Course:
    """Codes of one training at T steps: how much D latents tell of F factors, and the rate.

    Args:
        steps: (T,) steps, rising.
        information: (T, D, F) I(z_j; c_k) in nats.
        entropies: (T, F) H(c_k) of the images read, in nats.
        kl: (T, D) mean KL of each latent in nats, NaN for codes that are points.
        factors: names of the factors.
        rate: name -> (T,): ``kl``, ``mi``, ``tc``, ``dw`` and their standard errors ``mi_error`` …; may be empty.
        recon: name -> (T,): mean ``bce`` and ``squared_error`` an image; may be empty.

    >>> import torch
    >>> levels = torch.cartesian_prod(torch.arange(4), torch.arange(4))
    >>> early, late = Codes.of(torch.zeros(16, 2), levels), Codes.of(levels.float(), levels)
    >>> course = Course.of([point(early, 100), point(late, 200)])
    >>> course.nmi1.round(4).tolist(), course.mig.round(4).tolist()
    ([0.0, 1.0], [0.0, 1.0])
    """

    steps: Floats
    information: Floats
    entropies: Floats
    kl: Floats
    factors: tuple[str, ...]
    rate: Mapping[str, Floats]
    recon: Mapping[str, Floats]

    @classmethod
    def of(cls, points: Iterable[Point]) -> Course:
        """The course through some points, in order of their steps; of several at one step the last counts.

        Raises:
            UserError: no point, or points of different latents or factors.
        """
        by_step = {one.step: one for one in points}
        found = [by_step[step] for step in sorted(by_step)]
        shapes = {(one.information.shape, one.factors) for one in found}
        if len(shapes) != 1:
            raise UserError(
                f"Course.of: points of {len(shapes)} kinds of codes {sorted(shape for shape, _ in shapes)}; allowed: "
                "one or more, all with the same latents and factors"
            )

        def together(name: str) -> dict[str, Floats]:
            each: list[Mapping[str, float]] = [getattr(one, name) for one in found]
            names = [key for key in each[0] if all(key in other for other in each)]
            return {key: np.array([one[key] for one in each]) for key in names}

        return cls(
            steps=np.array([float(one.step) for one in found]),
            information=np.stack([one.information for one in found]),
            entropies=np.stack([one.entropies for one in found]),
            kl=np.stack([one.kl for one in found]),
            factors=found[0].factors,
            rate=together("rate"),
            recon=together("recon"),
        )

    @property
    def nmi(self) -> Floats:
        """(T, D, F) I(z_j; c_k) / H(c_k); 0 for a factor with a single level."""
        h = np.broadcast_to(self.entropies[:, None, :], self.information.shape)
        return np.divide(self.information, h, out=np.zeros_like(self.information), where=h > 0)

    def ranked(self, place: int) -> Floats:
        """(T, F) NMI(c_k, m): the m-th largest over latents; 0 where there are fewer.

        Args:
            place: m, from 1.

        Raises:
            UserError: a place below 1.
        """
        if place < 1:
            raise UserError(f"Course.ranked: place = {place}; allowed: a whole number from 1")
        if place > self.information.shape[1]:
            return np.zeros((len(self.steps), len(self.factors)))
        ordered: Floats = -np.sort(-self.nmi, axis=1)
        return ordered[:, place - 1]

    @property
    def nmi1(self) -> Floats:
        """(T,) the mean of NMI(c, 1) over factors (Wu et al., 2022, eq. 8 with its missing 1/|c|)."""
        return self._mean(self.ranked(1))

    @property
    def nmi2(self) -> Floats:
        """(T,) the mean of NMI(c, 2) over factors."""
        return self._mean(self.ranked(2))

    @property
    def mig(self) -> Floats:
        """(T,) the mean of NMI(c, 1) − NMI(c, 2) over factors (eq. 7)."""
        return self.nmi1 - self.nmi2

    def _mean(self, values: Floats) -> Floats:
        # As in MIG, a factor with a single level is left out.
        varies = self.entropies.max(axis=0) > 0
        return values[:, varies].mean(axis=1) if varies.any() else np.zeros(len(values))

    def informative(self, count: int = 5) -> list[int]:
        """The latents with the highest KL at the end, falling; for codes that are points, with the most information."""
        worth = self.kl[-1] if not np.isnan(self.kl[-1]).any() else self.nmi[-1].sum(axis=1)
        return [int(j) for j in np.argsort(-worth, kind="stable")[:count]]

    def rows(self) -> list[dict[str, Any]]:
        """The table of steps × latents × factors, with ``information`` and ``kl`` in nats and ``nmi``."""
        share = self.nmi
        return [
            {"step": int(step), "latent": j, "factor": name}
            | {
                "information": float(self.information[t, j, k]),
                "nmi": float(share[t, j, k]),
                "kl": float(self.kl[t, j]),
            }
            for t, step in enumerate(self.steps)
            for j in range(self.information.shape[1])
            for k, name in enumerate(self.factors)
        ]

    def summary(self) -> list[dict[str, Any]]:
        """One row a step: ``nmi1``, ``nmi2``, ``mig``, every part of the rate, mean reconstruction errors."""
        each = {"nmi1": self.nmi1, "nmi2": self.nmi2, "mig": self.mig, **self.rate, **self.recon}
        return [
            {"step": int(step)} | {name: float(values[t]) for name, values in each.items()}
            for t, step in enumerate(self.steps)
        ]

    def living(self, alive: float = ALIVE) -> Course:
        """The course in which a latent tells nothing as long as its KL is below so many nats.

        Bins are cut between a latent's own extremes, so means that differ by a millionth fill all of them: a latent
        that is closed, or not trained yet, shows information that no sample of it carries. Codes that are points stay
        as they are.
        """
        dead = self.kl < alive
        return replace(self, information=np.where(dead[:, :, None], 0.0, self.information))

    def events(self, delta: float = 0.05, alive: float = ALIVE) -> list[Event]:
        """Where information diffused among living latents, by the rule of ``diffusion_events``."""
        error, mi = self.rate.get("mi_error"), self.rate.get("mi")
        return diffusion_events(self.steps, self.living(alive).nmi, mi, error, delta, self.factors)


def point(codes: Codes, step: int, *, bins: int = 20, samples: int = 1000, seed: int = 0) -> Point:
    """What codes hold at one step: I(z_j; c_k) of binned latents, KL of each latent, the rate and its parts.

    Args:
        codes: encoded at that step, with factors; always the same images, so that steps can be compared.
        step: how many steps were taken.
        bins: equal-width bins a latent.
        samples: draws for the parts of the rate, 0 for none; the work grows with samples × images × latents.
        seed: which draws.

    Raises:
        UserError: codes without factors or with numbers that are not finite, fewer than 2 bins.
    """
    if bins < 2 or samples < 0 or samples == 1:
        raise UserError(f"point: bins = {bins}, samples = {samples}; allowed: 2 or more bins; 0, 2 or more samples")
    read = table(codes, "point")
    information = mutual_information(discretise(read.z, bins), read.levels)
    kl = np.full(read.z.shape[1], np.nan)
    rate: dict[str, float] = {}
    if codes.logvar is not None:
        kl = Gaussian(codes.mean.double(), codes.logvar.double()).kl().mean(0).cpu().numpy()
        if samples:
            parts = kl_decompose(codes, samples=samples, seed=seed)
            rate = {name: float(getattr(parts, name)) for name in RATE}
            rate |= {f"{name}_error": parts.errors[name] for name in RATE[1:]}
    recon = {name: float(values.double().mean()) for name, values in codes.distortion.items()}
    return Point(step, information, entropy(read.levels), kl, rate, recon, read.names)


def diffusion_events(
    steps: Sequence[float] | Floats,
    nmi: Floats,
    mi: Floats | None = None,
    mi_error: Floats | None = None,
    delta: float = 0.05,
    factors: Sequence[str] = (),
) -> list[Event]:
    """Diffusion events: NMI(c, 1) falls by more than δ from its running maximum while NMI(c, 2) or I(x; z) rises.

    Wu et al. (2022), section 3.3, calls the decrement of NMI(c, 1) information diffusion. A fall alone may also be
    forgetting, so another measure must have grown since the peak: NMI(c, 2), or I(x; z) by more than two standard
    errors of the difference. An event lasts until NMI(c, 1) is back within δ of the peak, or to the end.

    Args:
        steps: (T,) rising.
        nmi: (T, D, F) I(z_j; c_k) / H(c_k).
        mi: (T,) I(x; z) in nats; NMI(c, 2) alone decides when None.
        mi_error: (T,) its standard errors; none when None.
        delta: δ > 0.
        factors: their names; their numbers when empty.

    Returns:
        Events by factor, then by step.

    Raises:
        UserError: shapes that do not fit, or a δ of 0 or less.

    >>> nmi = np.array([[[0.8], [0.0]], [[0.9], [0.0]], [[0.5], [0.4]]])
    >>> found = diffusion_events([1000, 2000, 3000], nmi)[0]
    >>> found.peak, found.seen, round(found.drop, 4), found.source, found.receiver
    (2000, 3000, 0.4, 0, 1)
    """
    share = np.asarray(nmi, dtype=np.float64)
    at = np.asarray(steps, dtype=np.float64)
    if share.ndim != 3 or len(share) != len(at) or (np.diff(at) <= 0).any() or (mi is not None and len(mi) != len(at)):
        raise UserError(
            f"diffusion_events: {len(at)} steps, nmi of shape {share.shape}, "
            f"{'no' if mi is None else len(mi)} values of I(x; z); allowed: rising steps (T,), (T, D, F) and (T,)"
        )
    if not delta > 0:
        raise UserError(f"diffusion_events: delta = {delta}; allowed: above 0")
    ranked = -np.sort(-share, axis=1)
    first = ranked[:, 0]
    second = ranked[:, 1] if share.shape[1] > 1 else np.zeros_like(first)
    whole = np.full(len(at), np.nan) if mi is None else np.asarray(mi, dtype=np.float64)
    doubt = np.zeros(len(at)) if mi_error is None else np.asarray(mi_error, dtype=np.float64)
    found: list[Event] = []
    for k in range(share.shape[2]):
        name = factors[k] if factors else str(k)
        peak = 0
        open_at: list[int] = []
        for t in range(len(at)):
            if first[t, k] >= first[peak, k]:
                found += _event(name, open_at, peak, k, at, share, second, whole)
                peak, open_at = t, []
                continue
            fell = first[peak, k] - first[t, k] > delta
            # Compared as "not more", so that an I(x; z) that was not measured (NaN) never counts as risen.
            grew = whole[t] - whole[peak] > 2 * float(np.hypot(doubt[t], doubt[peak]))
            if fell and (open_at or second[t, k] > second[peak, k] or grew):
                open_at.append(t)
            elif not fell:
                found += _event(name, open_at, peak, k, at, share, second, whole)
                open_at = []
        found += _event(name, open_at, peak, k, at, share, second, whole)
    return found


def _event(
    name: str, open_at: list[int], peak: int, k: int, at: Floats, share: Floats, second: Floats, whole: Floats
) -> list[Event]:
    """The event of the steps at which NMI(c, 1) lay low, as a list of one; none of none."""
    if not open_at:
        return []
    first = share[:, :, k].max(axis=1)
    low = min(open_at, key=lambda t: float(first[t]))
    source = int(share[peak, :, k].argmax())
    gain = share[low, :, k] - share[peak, :, k]
    gain[source] = -np.inf
    return [
        Event(
            factor=name,
            peak=int(at[peak]),
            seen=int(at[open_at[0]]),
            lowest=int(at[low]),
            drop=float(first[peak] - first[low]),
            second=float(second[low, k] - second[peak, k]),
            mi=float(whole[low] - whole[peak]),
            source=source,
            receiver=int(gain.argmax()) if gain.max() > 0 else -1,
        )
    ]
