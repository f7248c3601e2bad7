"""Reconstruction: how much of an image is lost, under the four conventions in use."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from unweave.metrics.base import Metric
from unweave.names import known
from unweave.types import Codes, Reference, Score, UserError

KINDS = ("sum-bce", "sum-se", "mean-bce", "mean-se")
_STORED = {"bce": "bce", "se": "squared_error"}


@dataclass(frozen=True)
class Reconstruction(Metric):
    """Reconstruction error, averaged over images; lower is better.

    ``sum`` adds over the pixels and channels of an image, as the ELBO does; ``mean`` divides that by their number.
    ``bce`` is binary cross-entropy in nats, −Σ [x log x̂ + (1 − x) log(1 − x̂)]; ``se`` is squared error Σ (x − x̂)²,
    without a factor ½. Numbers of different conventions cannot be compared.

    Args:
        kind: which of sum-bce, sum-se, mean-bce and mean-se is the value.

    Parts: every one of the four that the codes allow.

    Raises UserError for codes without that distortion, or for a mean when the number of pixels is unknown.

    >>> import torch
    >>> codes = Codes.of([[0.0], [1.0]])._replace(distortion={"bce": torch.tensor([10.0, 30.0])}, pixels=100)
    >>> score = Reconstruction()(codes)
    >>> score.value, score.parts["mean-bce"]
    (20.0, 0.2)
    """

    name: ClassVar[str] = "reconstruction"
    references: ClassVar[tuple[Reference, ...]] = (
        Reference(
            "kingma2014auto",
            "Kingma, Diederik P. and Welling, Max",
            "Auto-Encoding Variational Bayes",
            "International Conference on Learning Representations",
            2014,
            "https://arxiv.org/abs/1312.6114",
        ),
    )
    better: ClassVar[str] = "lower"
    reads: ClassVar[str] = "distortion"
    limits: ClassVar[tuple[float, float]] = (0.0, math.inf)
    cost: ClassVar[str] = "0.02 s"

    kind: Literal["sum-bce", "sum-se", "mean-bce", "mean-se"] = "sum-bce"

    @property
    def label(self) -> str:
        """``reconstruction`` for the sum of binary cross-entropies, else with the kind behind it."""
        return "-".join([self.name, *([] if self.kind == "sum-bce" else [self.kind])])

    def check(self) -> None:
        """Raises UserError for settings that no score can be computed with."""
        known(self.kind, KINDS, "kind of Reconstruction")

    def __call__(self, codes: Codes, seed: int = 0) -> Score:
        self.check()
        parts: dict[str, float] = {}
        for short, stored in _STORED.items():
            if stored in codes.distortion:
                total = float(codes.distortion[stored].double().mean())
                parts[f"sum-{short}"] = total
                if codes.pixels > 0:
                    parts[f"mean-{short}"] = total / codes.pixels
        if self.kind not in parts:
            there = ", ".join(parts) or "none, because they were made without reconstructing images"
            raise UserError(f"Reconstruction: these codes have no {self.kind}; available: {there}")
        settings = {**self.settings(codes, seed), "pixels": codes.pixels}
        return Score(parts[self.kind], parts, settings)
