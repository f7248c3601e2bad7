"""Active units: how many latents carry anything?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from unweave.metrics.base import Metric
from unweave.metrics.rows import logvariances, representation
from unweave.names import known
from unweave.types import Codes, Reference, Score, UserError


@dataclass(frozen=True)
class ActiveUnits(Metric):
    """Active units: the number of latents whose posterior depends on the image (Burda et al., 2016).

    By ``variance``, latent j is active when Var_x(E_q(z_j|x)[z_j]) > ``threshold``; by ``kl``, when the mean over
    images of KL(q(z_j|x) ‖ N(0, 1)) > ``kl_threshold`` nats. A latent that ignores the image has 0 in both; one whose
    posterior is the same for every image without being N(0, 1) has KL and no variance.

    Args:
        by: which of the two is the value, ``variance`` or ``kl``.
        threshold: in squared latent units.
        kl_threshold: in nats.

    Parts: ``variance``, ``kl`` (for codes with log-variances): the two counts; ``share``, the value / D. The settings
    list the ``active`` latents. Latents are counted one by one, those of blocks too: how many carry anything has no
    form for blocks. The value lies in 0 … D; more is not better by itself.

    Raises UserError for fewer than 10 images, numbers that are not finite, a negative threshold, or ``kl`` for codes
    without log-variances.

    >>> import torch
    >>> z = torch.randn(100, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 0.5, 0.01])
    >>> score = ActiveUnits()(Codes.of(z))
    >>> score.value, score.settings["active"]
    (2.0, [0, 1])
    """

    name: ClassVar[str] = "active-units"
    references: ClassVar[tuple[Reference, ...]] = (
        Reference(
            "burda2016importance",
            "Burda, Yuri and Grosse, Roger and Salakhutdinov, Ruslan",
            "Importance Weighted Autoencoders",
            "International Conference on Learning Representations",
            2016,
            "https://arxiv.org/abs/1509.00519",
        ),
    )
    reads: ClassVar[str] = "codes"
    limits: ClassVar[tuple[float, float]] = (0.0, math.inf)
    cost: ClassVar[str] = "0.3 s"

    by: Literal["variance", "kl"] = "variance"
    threshold: float = 0.01
    kl_threshold: float = 0.01

    @property
    def label(self) -> str:
        """``active-units`` by variance, ``active-units-kl`` by KL; with another threshold behind it."""
        own = [] if self.by == "variance" else [self.by]
        return "-".join([self.name, *own, *self.words("threshold" if self.by == "variance" else "kl_threshold")])

    @property
    def posteriors(self) -> bool:
        """For KL."""
        return self.by == "kl"

    def check(self) -> None:
        """Raises UserError for settings that no score can be computed with."""
        known(self.by, ("variance", "kl"), "by of ActiveUnits")
        for name, number in (("threshold", self.threshold), ("kl_threshold", self.kl_threshold)):
            if not number >= 0:
                raise UserError(f"ActiveUnits: {name} = {number}; allowed is 0 or more")

    def __call__(self, codes: Codes, seed: int = 0) -> Score:
        self.check()
        z = representation(codes, "ActiveUnits")
        # The spread of equal numbers is 0 up to rounding of their mean, which a threshold of 0 would see.
        active = {"variance": (z.var(0, ddof=1) > self.threshold) & (np.ptp(z, axis=0) > 0)}
        if self.by == "kl" or codes.logvar is not None:
            active["kl"] = kl(codes, "ActiveUnits") > self.kl_threshold
        value = float(active[self.by].sum())
        parts = {name: float(which.sum()) for name, which in active.items()} | {"share": value / z.shape[1]}
        found: dict[str, Any] = {"active": np.flatnonzero(active[self.by]).tolist()}
        found |= {"blocks_ignored": True} if codes.blocks else {}
        return Score(value, parts, {**self.settings(codes, seed), **found})


def kl(codes: Codes, who: str) -> Any:
    """(D,) mean over images of KL(q(z_j|x) ‖ N(0, 1)) in nats: what tells which latents are informative.

    >>> import torch
    >>> kl(Codes.of(torch.ones(20, 2), logvar=torch.zeros(20, 2)), "me").tolist()
    [0.5, 0.5]
    """
    z, logvar = representation(codes, who), logvariances(codes, who)
    return 0.5 * (z**2 + np.expm1(logvar) - logvar).mean(0)
