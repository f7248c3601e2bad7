"""What studies measure on a trained model beside scores: spaces, traversals, information and robustness of latents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from unweave.analysis import Course, point
from unweave.analysis.course import ALIVE
from unweave.job import Measure
from unweave.metrics import IRS, MIG, Reconstruction
from unweave.metrics.information import nmi
from unweave.metrics.rows import table
from unweave.run import Run
from unweave.types import Codes, Gaussian, UserError

Found = tuple[Mapping[str, float], Mapping[str, NDArray[np.float64]]]

TILES = 9
"""Images of a traversal."""


@dataclass(frozen=True)
class Recon(Measure):
    """Reconstruction errors in all four conventions, and ``recon``: the one the model was trained with.

    Values: ``recon`` (sum over an image: nats for Bernoulli, squared error otherwise), ``recon.sum-bce``,
    ``recon.sum-se``, ``recon.mean-bce``, ``recon.mean-se``.
    """

    @property
    def label(self) -> str:
        return "recon"

    def __call__(self, run: Run, codes: Codes) -> Found:
        kind = "sum-bce" if run.experiment.likelihood == "bernoulli" else "sum-se"
        parts = Reconstruction()(codes).parts
        return {"recon": parts[kind], **{f"recon.{name}": value for name, value in parts.items()}}, {}


@dataclass(frozen=True)
class Information(Measure):
    """What every latent tells of every factor, and its KL; a latent below 0.01 nats is dead and tells nothing.

    Args:
        bins: equal-width bins a latent.
        alone: also ``alone.FACTOR``: the largest, over latents, of the NMI with a factor less the most that the latent
            tells of any other.

    Values: ``nmi1`` and ``nmi2`` (means over factors), ``nmi1.FACTOR``, ``nmi2.FACTOR``, ``kl`` in nats.
    Arrays: ``nmi`` (D, F), ``kl_of`` (D,) in nats.
    """

    bins: int = 20
    alone: bool = False

    @property
    def label(self) -> str:
        return f"information-{self.bins}" + ("-alone" if self.alone else "")

    def __call__(self, run: Run, codes: Codes) -> Found:
        share, kl = np.clip(nmi(codes, self.bins), 0.0, 1.0), _kl(codes)
        if codes.logvar is not None:
            # Bins are cut between a latent's own extremes, so one that is dead would seem to know something.
            share[kl < ALIVE] = 0.0
        ranked = -np.sort(-share, axis=0)
        second = ranked[1] if len(ranked) > 1 else np.zeros_like(ranked[0])
        values = {"nmi1": float(ranked[0].mean()), "nmi2": float(second.mean())}
        for k, name in enumerate(codes.names):
            values |= {f"nmi1.{name}": float(ranked[0, k]), f"nmi2.{name}": float(second[k])}
        for k, name in enumerate(codes.names) if self.alone else ():
            others = np.delete(share, k, axis=1).max(axis=1, initial=0.0)
            values[f"alone.{name}"] = float((share[:, k] - others).max())
        return values | {"kl": float(kl.sum())}, {"nmi": share, "kl_of": kl}


@dataclass(frozen=True)
class Tracing(Measure):
    """What a ``Course`` is made of, for jobs that measure on the way.

    Values: ``rate.kl``, ``rate.mi``, ``rate.tc``, ``rate.dw`` in nats and their errors ``rate.mi_error`` …,
    ``error.bce``, ``error.squared_error``.
    Arrays: ``information`` (D, F) and ``entropies`` (F,) in nats, ``kl_of`` (D,) in nats.

    Args:
        samples: draws for the parts of the rate, 0 for none.
    """

    samples: int = 1000

    @property
    def label(self) -> str:
        return f"tracing-{self.samples}"

    def __call__(self, run: Run, codes: Codes) -> Found:
        found = point(codes, run.step, samples=min(self.samples, len(codes.mean)))
        values = {f"rate.{name}": value for name, value in found.rate.items()}
        values |= {f"error.{name}": value for name, value in found.recon.items()}
        return values, {"information": found.information, "entropies": found.entropies, "kl_of": found.kl}


def course(arrays: Mapping[str, NDArray[np.float64]], factors: tuple[str, ...]) -> Course | None:
    """The course that ``Tracing`` left in a job's arrays; None where it was not measured on the way."""
    if "course.information" not in arrays:
        return None

    def each(prefix: str) -> dict[str, NDArray[np.float64]]:
        head = f"course.{prefix}."
        return {name.removeprefix(head): values for name, values in arrays.items() if name.startswith(head)}

    return Course(
        steps=arrays["course.step"].astype(np.float64),
        information=arrays["course.information"],
        entropies=arrays["course.entropies"],
        kl=arrays["course.kl_of"],
        factors=factors,
        rate=each("rate"),
        recon=each("error"),
    )


@dataclass(frozen=True)
class Spaces(Measure):
    """MIG and reconstruction of every latent space of a model that has several.

    Values: ``mig@i`` and ``recon@i`` of space i, from 0; of space 0 alone for other models.
    """

    count: int = 5_000

    @property
    def label(self) -> str:
        return f"spaces-{self.count}"

    def __call__(self, run: Run, codes: Codes) -> Found:
        kind = "sum-bce" if run.experiment.likelihood == "bernoulli" else "sum-se"
        values = {}
        for space in range(run.model.spaces):
            here = run.codes(self.count, space=space)
            values[f"mig@{space}"] = MIG()(here).value
            values[f"recon@{space}"] = Reconstruction()(here).parts[kind]
        return values, {}


@dataclass(frozen=True)
class Traversals(Measure):
    """Images along the latents with the highest KL, around the codes of some images.

    Args:
        latents: how many latents, by falling KL.
        bases: how many images.
        reach: from −reach to reach.

    Arrays: ``traversals`` (bases, latents, V, H, W, C) uint8, ``traversed`` (latents,), ``values`` (V,), ``bases`` and
    what the model makes of them, ``reconstructed`` (bases, H, W, C).
    """

    latents: int = 5
    bases: int = 3
    reach: float = 2.0

    @property
    def label(self) -> str:
        return f"traversals-{self.latents}-{self.bases}-{self.reach:g}"

    def __call__(self, run: Run, codes: Codes) -> Found:
        kl = _kl(codes)
        moved = [int(d) for d in np.argsort(-kl, kind="stable")[: self.latents]]
        values = torch.linspace(-self.reach, self.reach, TILES)
        generator = np.random.default_rng(0)
        rows = torch.as_tensor(generator.choice(run.images.rows, min(self.bases, run.images.rows), replace=False))
        with torch.no_grad():
            x, drawn = run.reconstruct(rows)
            means = run.model.encode(x).mean
        strips = np.stack([np.stack([as_bytes(run.traverse(d, values, base)) for d in moved]) for base in means])
        arrays = {"traversals": strips, "traversed": np.array(moved), "values": values.numpy()}
        return {}, {**arrays, "bases": as_bytes(x), "reconstructed": as_bytes(drawn)}


@dataclass(frozen=True)
class Robustness(Measure):
    """Visualisation of interventional robustness (Suter et al., 2019): each latent against its parent factor.

    Values: ``irs``.
    Arrays: ``irs`` (D, F), ``parents`` (D,) −1 where a latent is dead, ``parent_means`` and ``parent_sds`` (D, L): mean
    and standard deviation of latent d over images with each level of its parent, NaN beyond its levels.
    """

    @property
    def label(self) -> str:
        return "robustness"

    def __call__(self, run: Run, codes: Codes) -> Found:
        metric = IRS()
        found = metric.robustness(codes)
        rows = table(codes, "Robustness")
        latents, most = rows.z.shape[1], int(rows.levels.max()) + 1
        means, sds = np.full((latents, most), np.nan), np.full((latents, most), np.nan)
        names = list(rows.names)
        for d in range(latents):
            if found.parents[d] < 0:
                continue
            own = rows.levels[:, names.index(found.names[found.parents[d]])]
            for level in np.unique(own):
                here = rows.z[own == level, d]
                means[d, level], sds[d, level] = here.mean(), here.std()
        arrays = {"irs": found.matrix, "parents": found.parents, "parent_means": means, "parent_sds": sds}
        return {"irs": metric(codes).value}, arrays


def _kl(codes: Codes) -> NDArray[np.float64]:
    """(D,) mean KL of each latent; the variance of its means for codes that are points."""
    if codes.logvar is None:
        return codes.mean.double().var(0).numpy()
    return Gaussian(codes.mean.double(), codes.logvar.double()).kl().mean(0).numpy()


def as_bytes(images: torch.Tensor) -> NDArray[np.uint8]:
    """(N, C, H, W) in [0, 1] -> (N, H, W, C) uint8."""
    if images.ndim != 4:
        raise UserError(f"images of shape {tuple(images.shape)}; allowed: (N, C, H, W)")
    return (images.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
