"""The rate over a whole data set, its parts with their errors, in all and for each latent and block."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from unweave.analysis.density import AggregatePosterior, Latents
from unweave.analysis.total_correlation import checked
from unweave.metrics.information import units
from unweave.types import Codes, Gaussian, UserError

SLACK = 1e-9
"""Share of the rate by which its parts may miss it through rounding alone."""


class UnitRate(NamedTuple):
    """The rate of one latent, or of one block of them, in nats: kl = mi + tc + dw but for the error of sampling."""

    latents: Latents
    kl: float
    """Σ_j E KL(q(z_j|x) ‖ N(0, 1)) over the unit's latents, in closed form."""
    mi: float
    """I(x; z_u)."""
    tc: float
    """Total correlation within the unit; 0 for a single latent."""
    dw: float
    """Σ_j KL(q(z_j) ‖ N(0, 1)) over the unit's latents."""
    errors: dict[str, float]
    """Standard errors of ``mi``, ``tc``, ``dw`` and of their ``sum``."""


class KLParts(NamedTuple):
    """The KL of q(z|x) to N(0, I) and its parts, in nats: kl = mi + tc + dw but for the error of sampling."""

    kl: float
    """In closed form, averaged over all images."""
    mi: float
    """I(x; z), at most the logarithm of the number of images."""
    tc_joint: float
    """Total correlation between groups."""
    tc_within: float
    """Σ_g TC(z_g)."""
    dw: float
    """Σ_j KL(q(z_j) ‖ N(0, 1))."""
    entropies: dict[Latents, float]
    """Differential entropy of each group, each latent and all of them."""
    errors: dict[str, float]
    """Standard errors of ``mi``, ``tc``, ``tc_joint``, ``tc_within``, ``dw`` and of ``sum``, mi + tc + dw."""
    units: tuple[UnitRate, ...]
    """Each latent, then each group of more than one."""

    @property
    def tc(self) -> float:
        """Total correlation of all latents."""
        return self.tc_joint + self.tc_within

    @property
    def gap(self) -> float:
        """mi + tc + dw − kl: 0 but for the error of sampling, of which ``errors["sum"]`` is the standard error."""
        return self.mi + self.tc + self.dw - self.kl

    def closes(self, errors: float = 4.0) -> bool:
        """Whether the parts add up to the rate within so many standard errors."""
        return abs(self.gap) <= errors * self.errors["sum"] + SLACK * (1 + abs(self.kl))

    def table(self) -> list[dict[str, object]]:
        """One row a latent, a block, and one for all together: ``unit``, ``kl`` and every part with its error."""
        whole = {"mi": self.mi, "tc": self.tc, "dw": self.dw}
        rows: list[tuple[str, float, dict[str, float], dict[str, float]]] = [
            (" ".join(map(str, one.latents)), one.kl, {"mi": one.mi, "tc": one.tc, "dw": one.dw}, one.errors)
            for one in self.units
        ]
        rows.append(("all", self.kl, whole, self.errors))
        return [
            {"unit": unit, "kl": kl} | {k: v for p in parts for k, v in ((p, parts[p]), (f"{p}_error", errors[p]))}
            for unit, kl, parts, errors in rows
        ]


def kl_decompose(
    codes: Codes, groups: Sequence[Latents] | None = None, samples: int = 10_000, seed: int = 0
) -> KLParts:
    """The rate over the whole data set: KL = I(x; z) + TC_joint + Σ_g TC(z_g) + Σ_j KL(q(z_j) ‖ p(z_j)).

    Chen et al. (2018), eq. 2, with the exact sum over all images in every density. What a training records is
    estimated from one batch and is off by about a nat; this is what to report.

    Every part is the mean over draws z ~ q(z|x) of a difference of log-densities, such as log q(z|x) − log q(z) for
    I(x; z), so each has a standard error: that of ``samples`` draws. The images are taken as given; what a sample of
    them leaves out (I(x; z) cannot exceed the logarithm of their number) is in no error.

    Args:
        codes: of all images that q(z) should speak of, with log-variances.
        groups: a partition of the latents; when None the codes' ``blocks``, and each latent in none its own.
        samples: draws from q(z), 2 or more.
        seed: which draws.

    Raises:
        UserError: codes without log-variances, groups that are no partition, fewer than 2 samples.

    >>> rate = kl_decompose(Codes.of(torch.zeros(50, 3), logvar=torch.zeros(50, 3)), samples=200)
    >>> rate.kl, abs(round(rate.mi, 6)), abs(round(rate.tc, 6)), rate.closes()
    (0.0, 0.0, 0.0, True)
    """
    posterior = AggregatePosterior(codes, samples, seed)
    if samples < 2:
        raise UserError(f"kl_decompose: samples = {samples}; allowed: at least 2, for there to be an error")
    whole = tuple(range(posterior.latents))
    blocks = checked(groups if groups is not None else units(codes.blocks, posterior.latents), posterior.latents)
    if sorted(j for unit in blocks for j in unit) != list(whole):
        raise UserError(f"kl_decompose: groups {blocks} are no partition of {posterior.latents} latents")
    singles: list[Latents] = [(j,) for j in whole]
    sets = list(dict.fromkeys([whole, *blocks, *singles]))
    log_q = dict(zip(sets, posterior.log_densities(sets), strict=True))
    z, q, rows = posterior.draws().z, posterior.posteriors, posterior.rows()
    assert q.logvar is not None
    own = Gaussian(q.mean[rows], q.logvar[rows]).log_prob(z)
    prior = -0.5 * (z**2 + math.log(2 * math.pi))
    each = torch.stack([log_q[one] for one in singles], -1)
    exact = q.kl().mean(0)

    def split(unit: Latents, joint: Tensor) -> dict[str, Tensor]:
        """What ``mi``, ``tc`` and ``dw`` of some latents are the means of, (S,) each."""
        some = list(unit)
        within = each[:, some].sum(1)
        return {"mi": own[:, some].sum(1) - joint, "tc": joint - within, "dw": within - prior[:, some].sum(1)}

    def unit_rate(unit: Latents) -> UnitRate:
        parts = split(unit, log_q[unit])
        mean = {name: float(value.mean()) for name, value in parts.items()}
        return UnitRate(unit, float(exact[list(unit)].sum()), **mean, errors=_errors(parts))

    parts = split(whole, log_q[whole])
    between = torch.stack([log_q[unit] for unit in blocks]).sum(0)
    more = {"tc_joint": log_q[whole] - between, "tc_within": between - each.sum(1)}
    return KLParts(
        kl=float(exact.sum()),
        mi=float(parts["mi"].mean()),
        tc_joint=float(more["tc_joint"].mean()),
        tc_within=float(more["tc_within"].mean()),
        dw=float(parts["dw"].mean()),
        entropies={unit: -float(value.mean()) for unit, value in log_q.items()},
        errors=_errors(parts) | {name: _error(value) for name, value in more.items()},
        units=tuple(unit_rate(unit) for unit in [*singles, *(unit for unit in blocks if len(unit) > 1)]),
    )


def _errors(parts: dict[str, Tensor]) -> dict[str, float]:
    summed = torch.stack(list(parts.values())).sum(0)
    return {name: _error(value) for name, value in {**parts, "sum": summed}.items()}


def _error(values: Tensor) -> float:
    """The standard error of the mean."""
    return float(values.std() / math.sqrt(len(values)))
