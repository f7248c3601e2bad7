"""Measures of what a model computes on the way to its code: layers, mini-batches, marginals, effort."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from unweave.analysis import (
    batch_properties,
    complexity,
    evaluation_time,
    layer_codes,
    marginal_entropies,
    pairwise_nmi,
    training_macs,
)
from unweave.analysis.pairwise import pooled
from unweave.job import Arrays, Measure, Values
from unweave.metrics import DCI, MIG, SAP
from unweave.networks import Judged, Model
from unweave.networks.bodies import Trunk
from unweave.run import Run
from unweave.types import Codes, Gaussian


@dataclass(frozen=True)
class LayerMIG(Measure):
    """MIG of the layers of RecurD, every map averaged over its pixels.

    Values: ``mig.m2``, ``mig.routed 2`` … for what ``features`` names, and ``mig.m1`` for the first convolutions of the
    first module, where it has two.

    Args:
        count: images.
    """

    count: int = 5_000

    @property
    def label(self) -> str:
        """``MIG of layers``."""
        return "MIG of layers"

    def __call__(self, run: Run, codes: Codes) -> tuple[Values, Arrays]:
        found = layer_codes(run.model, run.data, run.images, count=self.count)
        values = {f"mig.{name}": MIG()(one).value for name, one in found.items() if not name.startswith("router")}
        inner = run.model.model if isinstance(run.model, Judged) else run.model
        encoders = list(getattr(inner, "first", ()))
        if encoders and all(isinstance(one, Trunk) and len(one.layers) > 2 for one in encoders):
            first = layer_codes(_FirstMaps(run.model, encoders), run.data, run.images, count=self.count)
            values["mig.m1"] = MIG()(first["m1"]).value
        return values, {}


class _FirstMaps(Model):
    """A model whose one layer is the first convolution of each of RecurD's first encoders."""

    def __init__(self, inner: Model, encoders: Sequence[Trunk]) -> None:
        super().__init__()
        self.inner, self.encoders = inner, encoders

    def encode(self, x: Tensor, space: int = 0) -> Gaussian:
        return self.inner.encode(x, space)

    def decode(self, z: Tensor, space: int = 0) -> Tensor:
        return self.inner.decode(z, space)

    def features(self, x: Tensor) -> Mapping[str, Tensor]:
        return {"m1": torch.cat([pooled(one.layers[:2](x)) for one in self.encoders], 1)}


@dataclass(frozen=True)
class Pairs(Measure):
    """How much latents tell of each other, and the channels of the last convolution of each other: mean NMI of pairs.

    Values: ``pairs.z`` and ``pairs.m``, the means over pairs of two different ones.
    Arrays: ``pairs.z`` (D, D), ``pairs.m`` (C, C).

    Args:
        count: images.
    """

    count: int = 5_000

    @property
    def label(self) -> str:
        """``pairs``."""
        return "pairs of latents and of channels"

    def __call__(self, run: Run, codes: Codes) -> tuple[Values, Arrays]:
        with torch.no_grad():
            shapes = {name: one.ndim for name, one in run.model.features(run.view(torch.arange(2))).items()}
        layer = [name for name in shapes if shapes[name] == max(shapes.values())][-1]
        below = layer_codes(run.model, run.data, run.images, [layer], count=self.count)[layer]
        found = {"z": pairwise_nmi(codes), "m": pairwise_nmi(below)}
        values = {}
        for name, matrix in found.items():
            apart = ~np.eye(len(matrix), dtype=bool)
            values[f"pairs.{name}"] = float(matrix[apart].mean()) if len(matrix) > 1 else 0.0
        return values, {f"pairs.{name}": matrix for name, matrix in found.items()}


@dataclass(frozen=True)
class Minibatches(Measure):
    """Error, information and disentanglement of mini-batches, a point each.

    Arrays, (K,) each: ``batch.recon`` a pixel, ``batch.mi`` = I(x; z) in nats, ``batch.sap``, ``batch.mig``,
    ``batch.dci-d``, ``batch.dci-c``, ``batch.dci-i``.

    Args:
        batch: images in one.
        batches: how many.
    """

    batch: int = 500
    batches: int = 10

    @property
    def label(self) -> str:
        """``mini-batches``."""
        return f"mini-batches of {self.batch}"

    def __call__(self, run: Run, codes: Codes) -> tuple[Values, Arrays]:
        if codes.logvar is None or not codes.distortion:
            return {}, {}
        rows: list[list[float]] = []

        def score(one: Codes) -> float:
            dci = DCI(estimator="fast")(one)
            parts = [dci.parts[name] for name in ("disentanglement", "completeness", "informativeness")]
            rows.append([SAP()(one).value, MIG()(one).value, *parts])
            return rows[-1][0]

        error = "bce" if run.experiment.likelihood == "bernoulli" else "squared_error"
        size = min(self.batch, len(codes.mean))
        found = batch_properties(codes, size, error, score, self.batches)
        names = ("sap", "mig", "dci-d", "dci-c", "dci-i")
        arrays = {
            f"batch.{name}": np.array(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)
        }
        arrays["batch.recon"] = np.array([one.sufficiency for one in found]) / codes.pixels
        arrays["batch.mi"] = np.array([one.minimality for one in found])
        return {}, arrays


@dataclass(frozen=True)
class Properties(Measure):
    """Sufficiency, minimality and disentanglement of the code: means over mini-batches.

    Values: ``sufficiency``, the error a pixel; ``minimality``, I(x; z) in nats; ``dependence``, Σ_{i<j} I(z_i; z_j) in
    nats. Lower is better for all three.

    Args:
        images: how many are read, in batches of 50.
    """

    images: int = 1_000

    @property
    def label(self) -> str:
        """``three properties``."""
        return "three properties"

    def __call__(self, run: Run, codes: Codes) -> tuple[Values, Arrays]:
        error = "bce" if run.experiment.likelihood == "bernoulli" else "squared_error"
        found = np.array(batch_properties(codes, 50, error, batches=max(1, self.images // 50))).mean(0)
        names = ("sufficiency", "minimality", "dependence")
        return dict(zip(names, (found / [codes.pixels, 1, 1]).tolist(), strict=True)), {}


@dataclass(frozen=True)
class Bound(Measure):
    """The evidence lower bound, and the entropies of the marginals of the code.

    Values: ``elbo`` in nats an image, ``kl`` in nats; ``entropy.least``, the smallest H(q(z_i)) over latents, and
    ``entropy.least.group``, the smallest over the model's groups of latents.

    Args:
        samples: draws from q(z).
    """

    samples: int = 1_000

    @property
    def label(self) -> str:
        """``bound``."""
        return "evidence lower bound and marginal entropies"

    def __call__(self, run: Run, codes: Codes) -> tuple[Values, Arrays]:
        kind = "bce" if run.experiment.likelihood == "bernoulli" else "squared_error"
        kl = float(Gaussian(codes.mean, codes.logvar).kl().double().sum(1).mean())
        values = {"kl": kl, "elbo": -float(codes.distortion[kind].double().mean()) - kl}
        entropies = marginal_entropies(codes, samples=self.samples)
        values["entropy.least"] = float(entropies.min())
        if codes.blocks:
            groups = marginal_entropies(codes, codes.blocks, self.samples)
            values["entropy.least.group"] = float(groups.min())
        return values, {"entropies": entropies.numpy()}


@dataclass(frozen=True)
class Effort(Measure):
    """What a model costs: multiply-accumulates, parameters, seconds.

    Values: ``macs`` of one evaluation of the loss an image, critics among them, and ``macs.critics``; ``parameters``,
    critics among them, and ``parameters.critics``; ``encode.seconds`` of one image, ``step.seconds``.
    Arrays: ``progress`` (2, W): the step at which each window of the record ends, and the mean reconstruction error in
    it.

    Args:
        images: how many are encoded for the time.
    """

    images: int = 500

    @property
    def label(self) -> str:
        """``effort``."""
        return "multiply-accumulates, parameters and seconds"

    def __call__(self, run: Run, codes: Codes) -> tuple[Values, Arrays]:
        size = complexity(run.model, run.data.shape)
        macs = training_macs(run.experiment, run.images)
        values = {
            "macs": float(macs.model + macs.critics),
            "macs.critics": float(macs.critics),
            "parameters": float(size.parameters + size.critic_parameters),
            "parameters.critics": float(size.critic_parameters),
            "encode.seconds": evaluation_time(run.model, run.images, self.images, min(250, self.images)),
        }
        if run.folder is not None and run.folder.read("status").get("seconds_per_step"):
            values["step.seconds"] = float(run.folder.read("status")["seconds_per_step"])
        return values, {"progress": np.array([run.steps, run.terms["recon"]], dtype=np.float64)}
