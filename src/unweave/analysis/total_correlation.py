"""Total correlation taken apart along three routes into mutual informations."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from unweave.analysis.density import Density, Latents, density
from unweave.names import known
from unweave.types import Codes, UserError


class Step(NamedTuple):
    """Two sets of latents that become one, and what they share."""

    round: int
    left: Latents
    right: Latents
    information: float
    """I(z_left; z_right) in nats."""


class Decomposition(NamedTuple):
    """A total correlation as a sum of mutual informations."""

    steps: tuple[Step, ...]

    @property
    def total(self) -> float:
        """The total correlation in nats: the sum over all steps."""
        return math.fsum(step.information for step in self.steps)

    @property
    def rounds(self) -> tuple[float, ...]:
        """The sum of each round in nats; with ``bottom_up`` the MU_joint of Chen et al. (2022), eq. 5."""
        count = 1 + max((step.round for step in self.steps), default=-1)
        return tuple(math.fsum(s.information for s in self.steps if s.round == r) for r in range(count))


def tc_decompose(
    of: Density | Codes,
    mode: str = "bottom_up",
    units: Sequence[Latents] | None = None,
    samples: int = 10_000,
    seed: int = 0,
) -> Decomposition:
    """The total correlation of units of latents as a sum of mutual informations between sets of them.

    Whenever two sets become one, TC grows by what they share: TC(z_L, z_R) = TC(z_L) + TC(z_R) + I(z_L; z_R). So every
    order of joining the units gives a decomposition, and all have the same sum.

    ``bottom_up``: pairs of neighbours, then pairs of pairs; an odd one waits for the next round. Chen et al. (2022),
    eq. 2–5, where the number of the last round should read ⌈log₂ n⌉ − 1 (counted from 0). ``top_down``: halves, then
    halves of halves. ``line``: one unit after the other, I(z_1, …, z_{i−1}; z_i).

    Args:
        of: a density, or codes with log-variances (the exact mixture over all their images; see
            ``AggregatePosterior``).
        mode: ``bottom_up``, ``top_down`` or ``line``.
        units: disjoint sets of latents that are not taken apart; each latent its own when None.
        samples: draws from the mixture, for codes.
        seed: which draws, for codes.

    Raises:
        UserError: an unknown mode, units that overlap or that name no latent.

    >>> import torch
    >>> from unweave.analysis import GaussianDensity
    >>> equal = GaussianDensity(0.5 * torch.eye(3) + 0.5)
    >>> [round(tc_decompose(equal, mode).total, 4) for mode in ("bottom_up", "top_down", "line")]
    [0.3466, 0.3466, 0.3466]
    """
    found = density(of, samples, seed)
    joined = ROUTES[known(mode, ROUTES, "mode")](checked(units, found.latents))
    sets = list(dict.fromkeys(s for _, left, right in joined for s in (left, right, left + right)))
    entropy = dict(zip(sets, found.entropies(sets).tolist(), strict=True)) if sets else {}
    return Decomposition(
        tuple(Step(r, a, b, entropy[a] + entropy[b] - entropy[a + b]) for r, a, b in joined),
    )


def total_correlation(
    of: Density | Codes, units: Sequence[Latents] | None = None, samples: int = 10_000, seed: int = 0
) -> float:
    """TC = Σ_u H(z_u) − H(z) of units of latents (each its own when None), in nats.

    >>> import torch
    >>> from unweave.analysis import GaussianDensity
    >>> round(total_correlation(GaussianDensity(0.5 * torch.eye(3) + 0.5)), 4)
    0.3466
    """
    found = density(of, samples, seed)
    own = checked(units, found.latents)
    whole = tuple(j for unit in own for j in unit)
    *each, joint = found.entropies([*own, whole]).tolist()
    return math.fsum(each) - joint


Joined = list[tuple[int, Latents, Latents]]


def _bottom_up(units: list[Latents]) -> Joined:
    found: Joined = []
    level = 0
    while len(units) > 1:
        pairs = [(units[k], units[k + 1]) for k in range(0, len(units) - 1, 2)]
        found += [(level, left, right) for left, right in pairs]
        units = [left + right for left, right in pairs] + (units[-1:] if len(units) % 2 else [])
        level += 1
    return found


def _top_down(units: list[Latents], level: int = 0) -> Joined:
    if len(units) < 2:
        return []
    half = (len(units) + 1) // 2
    left, right = units[:half], units[half:]
    return [(level, sum(left, ()), sum(right, ())), *_top_down(left, level + 1), *_top_down(right, level + 1)]


def _line(units: list[Latents]) -> Joined:
    return [(k - 1, sum(units[:k], ()), units[k]) for k in range(1, len(units))]


ROUTES = {"bottom_up": _bottom_up, "top_down": _top_down, "line": _line}


def checked(units: Sequence[Latents] | None, latents: int) -> list[Latents]:
    """Disjoint sets of latents as given, each latent its own when None; raises UserError for any others."""
    own: list[Latents] = [(j,) for j in range(latents)] if units is None else [tuple(unit) for unit in units]
    named = [j for unit in own for j in unit]
    if not own or not all(own) or len(set(named)) < len(named) or not set(named) <= set(range(latents)):
        raise UserError(f"units {own} of {latents} latents; allowed: disjoint sets of 0 to {latents - 1}, none empty")
    return own
