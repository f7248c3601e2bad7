"""Ada-GVAE and Ada-ML-VAE: pairs of images that share most factors, without saying which."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from unweave.data.base import DataSpec
from unweave.methods.base import STANDARD, Method, Preset, at_least, one_of
from unweave.networks import Model
from unweave.types import Batch, Draw, Gaussian, Loss, Reference, State, UserError

LOCATELLO_2020 = Reference(
    "locatello2020weakly",
    "Francesco Locatello and Ben Poole and Gunnar Rätsch and Bernhard Schölkopf and Olivier Bachem and "
    "Michael Tschannen",
    "Weakly-Supervised Disentanglement Without Compromises",
    "International Conference on Machine Learning",
    2020,
    "https://arxiv.org/abs/2002.02886",
)
PAIRS = STANDARD._replace(
    note="Locatello et al. 2020 as their code trains: batch 64, 300,000 steps, Adam 1e-4, 10 latents, here with beta 1"
)
DISTANCES = ("kl", "symmetric")
PRODUCTS = ("product", "geometric")
LOG_2 = math.log(2)


@dataclass(frozen=True)
class AdaGVAE(Method):
    """β-VAE on pairs of images; latents that seem to be shared get the mean of both posteriors.

        loss = ½ Σ_{i=1,2} ( E[−log p(x_i|z_i)] + β · KL(q̃(z_i|x_1, x_2) ‖ N(0, I)) )
        δ_j = KL(q(z_j|x_1) ‖ q(z_j|x_2)),     latent j of a pair is shared if δ_j ≤ ½ (max_j δ_j + min_j δ_j)
        shared: mean = ½ (mean_1 + mean_2), σ² = ½ (σ_1² + σ_2²);     not shared: each view's own

    Locatello et al. (2020), with the averaging of the GVAE (Hosoya, 2019). The images of a pair differ in
    ``changed`` factors, and nobody says which.

    Args:
        beta: pressure β ≥ 0.
        changed: k, how many factors differ within a pair; 0 for a number drawn for every pair, from 1 to all but one.
        distance: what δ is: ``kl`` (from the first view to the second, as above) or ``symmetric`` (the mean of both
            directions).

    Terms: ``recon`` and ``kl`` in nats an image, the means over both views; ``shared``, how many latents of a pair are
    taken as shared.

    Raises:
        UserError: data without factors or with fewer than two that vary, more changes than leave one factor in common,
            a single latent, a negative β, an unknown word.

    >>> import unweave
    >>> run = unweave.fit("ada-gvae", "triangle", steps=2, batch=8, network=unweave.MLP((16,)))
    >>> sorted(run.terms)
    ['kl', 'recon', 'shared', 'total']
    """

    beta: float = 1.0
    changed: int = 1
    distance: str = "kl"

    name: ClassVar[str] = "ada-gvae"
    summary: ClassVar[str] = "pairs of images; latents that seem shared get the mean posterior"
    presets: ClassVar[Mapping[str, Preset]] = {"": PAIRS}
    references = (
        LOCATELLO_2020,
        Reference(
            "hosoya2019group",
            "Haruo Hosoya",
            "Group-based Learning of Disentangled Representations with Generalizability for Novel Contents",
            "International Joint Conference on Artificial Intelligence",
            2019,
            "https://arxiv.org/abs/1809.02383",
        ),
    )

    @property
    def views(self) -> str:
        return "pair"

    @property
    def changes(self) -> int:
        return self.changed

    def check(self, data: DataSpec, latents: int) -> None:
        check_pairs(self, data, latents)

    def noise(self, data: DataSpec, latents: int, rows: int) -> Mapping[str, Draw]:
        return {"z": Draw((rows, latents)), "y": Draw((rows, latents))}

    def loss(self, model: Model, batch: Batch, state: State) -> Loss:
        return paired(model, batch, self.beta, self.distance, mean_posterior)


@dataclass(frozen=True)
class AdaMLVAE(Method):
    """β-VAE on pairs of images; latents that seem to be shared get the product of both posteriors.

        loss = ½ Σ_{i=1,2} ( E[−log p(x_i|z_i)] + β · KL(q̃(z_i|x_1, x_2) ‖ N(0, I)) )
        δ_j = KL(q(z_j|x_1) ‖ q(z_j|x_2)),     latent j of a pair is shared if δ_j ≤ ½ (max_j δ_j + min_j δ_j)
        shared: 1/σ² = 1/σ_1² + 1/σ_2², mean = σ² (mean_1/σ_1² + mean_2/σ_2²);     not shared: each view's own

    Locatello et al. (2020), with the product of the ML-VAE (Bouchacourt et al., 2018). The images of a pair
    differ in ``changed`` factors, and nobody says which.

    Args:
        beta: pressure β ≥ 0.
        changed: k, how many factors differ within a pair; 0 for a number drawn for every pair, from 1 to all but one.
        distance: what δ is: ``kl`` (from the first view to the second, as above) or ``symmetric`` (the mean of both
            directions).
        average: ``product`` (as above) or ``geometric`` (σ² twice as large: the normalised geometric mean of both
            densities, which is what the authors' code computes).

    Terms: ``recon`` and ``kl`` in nats an image, the means over both views; ``shared``, how many latents of a pair are
    taken as shared.

    Raises:
        UserError: data without factors or with fewer than two that vary, more changes than leave one factor in common,
            a single latent, a negative β, an unknown word.

    >>> import unweave
    >>> run = unweave.fit("ada-ml-vae", "triangle", steps=2, batch=8, network=unweave.MLP((16,)))
    >>> sorted(run.terms)
    ['kl', 'recon', 'shared', 'total']
    """

    beta: float = 1.0
    changed: int = 1
    distance: str = "kl"
    average: str = "product"

    name: ClassVar[str] = "ada-ml-vae"
    summary: ClassVar[str] = "pairs of images; latents that seem shared get the product of posteriors"
    presets: ClassVar[Mapping[str, Preset]] = {"": PAIRS}
    references = (
        LOCATELLO_2020,
        Reference(
            "bouchacourt2018multi",
            "Diane Bouchacourt and Ryota Tomioka and Sebastian Nowozin",
            "Multi-Level Variational Autoencoder: Learning Disentangled Representations from Grouped Observations",
            "AAAI Conference on Artificial Intelligence",
            2018,
            "https://arxiv.org/abs/1705.08841",
        ),
    )

    @property
    def views(self) -> str:
        return "pair"

    @property
    def changes(self) -> int:
        return self.changed

    def check(self, data: DataSpec, latents: int) -> None:
        check_pairs(self, data, latents)
        one_of(self, "average", PRODUCTS)

    def noise(self, data: DataSpec, latents: int, rows: int) -> Mapping[str, Draw]:
        return {"z": Draw((rows, latents)), "y": Draw((rows, latents))}

    def loss(self, model: Model, batch: Batch, state: State) -> Loss:
        average = product_posterior if self.average == "product" else geometric_posterior
        return paired(model, batch, self.beta, self.distance, average)


def check_pairs(method: AdaGVAE | AdaMLVAE, data: DataSpec, latents: int) -> None:
    """What both methods ask of their fields and of the data."""
    at_least(method, 0, "beta", "changed")
    one_of(method, "distance", DISTANCES)
    if data.factors is None:
        raise UserError(f"{method.name}: pairs share factors, and this data set has none; allowed: data with factors")
    vary = sum(size > 1 for size in data.factors.sizes)
    if vary < 2:
        raise UserError(
            f"{method.name}: pairs share a factor and differ in another, and {vary} vary here; allowed: 2 up"
        )
    if method.changed >= vary:
        raise UserError(
            f"{method.name}: changed = {method.changed} of {vary} factors that vary; allowed: 0 (drawn) to {vary - 1}, "
            "so that a pair shares something"
        )
    if latents < 2:
        raise UserError(f"{method.name}: {latents} latent, which every pair would share; allowed: 2 or more")


def paired(
    model: Model, batch: Batch, beta: Any, distance: str, average: Callable[[Gaussian, Gaussian], Gaussian]
) -> Loss:
    """The loss of both methods, which differ in how two posteriors become one."""
    # One after the other, not as one batch: then equal images have equal posteriors to the last bit.
    first, second = model.encode(batch.x), model.encode(batch.y)
    shared = seems_shared(apart(first, second, distance))
    q = joined(*(where(shared, average(first, second), own) for own in (first, second)))
    z = q.sample(torch.cat([batch.noise["z"], batch.noise["y"]]))
    recon = model.distortion(model.decode(z), torch.cat([batch.x, batch.y])).mean()
    kl = q.kl().sum(-1).mean()
    count = shared.to(kl.dtype).sum(-1).mean()
    return Loss(recon + beta * kl, {"recon": recon, "kl": kl, "shared": count})


def where(shared: Tensor, common: Gaussian, own: Gaussian) -> Gaussian:
    """The common posterior of shared latents, a view's own of all others."""
    assert common.logvar is not None and own.logvar is not None
    return Gaussian(torch.where(shared, common.mean, own.mean), torch.where(shared, common.logvar, own.logvar))


def joined(p: Gaussian, q: Gaussian) -> Gaussian:
    """Both views' posteriors as one batch."""
    assert p.logvar is not None and q.logvar is not None
    return Gaussian(torch.cat([p.mean, q.mean]), torch.cat([p.logvar, q.logvar]))


def apart(p: Gaussian, q: Gaussian, distance: str) -> Tensor:
    """(N, D) how far two posteriors of each latent are, in nats: KL(p ‖ q), or the mean of both directions."""
    return 0.5 * (divergence(p, q) + divergence(q, p)) if distance == "symmetric" else divergence(p, q)


def divergence(p: Gaussian, q: Gaussian) -> Tensor:
    """KL(p ‖ q) of each latent in nats: ½ ((mean_p − mean_q)² / σ_q² + σ_p²/σ_q² − 1 − log(σ_p²/σ_q²))."""
    assert p.logvar is not None and q.logvar is not None
    ratio = p.logvar - q.logvar
    return 0.5 * ((p.mean - q.mean) ** 2 * torch.exp(-q.logvar) + torch.expm1(ratio) - ratio)


def seems_shared(distances: Tensor) -> Tensor:
    """(N, D) whether a latent's distance lies in the lower half between its row's smallest and largest.

    >>> seems_shared(torch.tensor([[0.1, 4.0, 0.3], [2.0, 2.0, 2.0]])).tolist()
    [[True, False, True], [True, True, True]]
    """
    high, low = distances.amax(-1, keepdim=True), distances.amin(-1, keepdim=True)
    return (distances <= 0.5 * (high + low)) | (high == low)


def mean_posterior(p: Gaussian, q: Gaussian) -> Gaussian:
    """The mean of the means and of the variances (GVAE)."""
    assert p.logvar is not None and q.logvar is not None
    return Gaussian(0.5 * (p.mean + q.mean), torch.logaddexp(p.logvar, q.logvar) - LOG_2)


def product_posterior(p: Gaussian, q: Gaussian) -> Gaussian:
    """The normalised product of the densities (ML-VAE): precisions add up."""
    assert p.logvar is not None and q.logvar is not None
    logvar = -torch.logaddexp(-p.logvar, -q.logvar)
    mean = torch.exp(logvar - p.logvar) * p.mean + torch.exp(logvar - q.logvar) * q.mean
    return Gaussian(mean, logvar)


def geometric_posterior(p: Gaussian, q: Gaussian) -> Gaussian:
    """The normalised root of the product: its mean, twice its variance; of two equal posteriors, that posterior."""
    product = product_posterior(p, q)
    assert product.logvar is not None
    return Gaussian(product.mean, product.logvar + LOG_2)
