"""Which weights on KL, total correlation and dimension-wise KL the penalties of β-VAE and its relatives amount to.

Chen et al. (2022, RecurD), Table 1, corrected. KL = I(x; z) + TC + DW, where DW = Σ_j KL(q(z_j) ‖ p(z_j)). So β-TCVAE's
weight of TC is β − 1, since its KL holds TC once already; and InfoVAE's divergence KL(q(z) ‖ p(z)) is TC + DW, and
both get the weight α + λ − 1.

>>> weights = beta_tcvae(6.0)
>>> weights, weights.decomposed()
(Weights(kl=1.0, tc=5.0, dw=0.0), Decomposed(mi=1.0, tc=6.0, dw=1.0))
"""

from __future__ import annotations

from typing import NamedTuple


class Decomposed(NamedTuple):
    """The same penalty as weights of I(x; z), TC and DW."""

    mi: float
    tc: float
    dw: float


class Weights(NamedTuple):
    """A penalty kl · KL(q(z|x) ‖ p(z)) + tc · TC + dw · DW."""

    kl: float
    tc: float = 0.0
    dw: float = 0.0

    def decomposed(self) -> Decomposed:
        """With the KL taken apart."""
        return Decomposed(self.kl, self.kl + self.tc, self.kl + self.dw)


def beta_vae(beta: float) -> Weights:
    """β · KL (Higgins et al. 2017)."""
    return Weights(beta)


def factor_vae(gamma: float) -> Weights:
    """KL + γ · TC (Kim & Mnih 2018)."""
    return Weights(1.0, gamma)


def beta_tcvae(beta: float, alpha: float = 1.0, gamma: float = 1.0) -> Weights:
    """α · I(x; z) + β · TC + γ · DW (Chen et al. 2018)."""
    return Weights(alpha, beta - alpha, gamma - alpha)


def dip_vae(weight: float) -> Weights:
    """KL + λ · KL(q(z) ‖ p(z)), which DIP-VAE's penalty on covariances stands for (Kumar et al. 2018): approximate."""
    return Weights(1.0, weight, weight)


def info_vae(alpha: float, weight: float) -> Weights:
    """(1 − α) · KL + (α + λ − 1) · KL(q(z) ‖ p(z)) (Zhao et al. 2019), whichever divergence is used for the second."""
    return Weights(1.0 - alpha, alpha + weight - 1.0, alpha + weight - 1.0)
