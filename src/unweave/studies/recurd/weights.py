"""RecurD, Table 1: the objectives of five methods as weights of the same three penalties, checked on their losses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch

from unweave.data import Triangle
from unweave.engine import Experiment
from unweave.engine.feed import Feed
from unweave.engine.step import build
from unweave.job import Cost, Job, Result, Told, once, quiet
from unweave.methods import DIPVAE1, BetaTCVAE, BetaVAE, FactorVAE, InfoVAE, Method
from unweave.methods.objective_map import Weights, beta_tcvae, beta_vae, dip_vae, factor_vae, info_vae
from unweave.networks import MLP
from unweave.studies.base import Entry, Scale, Study
from unweave.studies.table import Column

ROWS: Mapping[str, Method] = {
    "β-VAE": BetaVAE(beta=4.0),
    "FactorVAE": FactorVAE(gamma=6.4, critic_hidden=16, critic_layers=2),
    "β-TCVAE": BetaTCVAE(beta=4.0),
    "DIP-VAE": DIPVAE1(lambda_od=10.0, lambda_d=10.0),
    "InfoVAE": InfoVAE(alpha=0.5, lambda_mmd=10.0),
}


@dataclass(frozen=True)
class Identity(Job):
    """Does a method's loss equal its reconstruction and the penalties with the weights that the table gives it?

    Values: ``weight.a``, ``weight.b``, ``weight.c``, the corrected weights of KL, TC and DW; ``residual``, the largest
    |loss − its parts| / |loss − reconstruction| over the batches, in float64. A method's own estimate stands for TC
    (FactorVAE, β-TCVAE) or for TC + DW (the penalties of DIP-VAE and InfoVAE).

    Args:
        method: one of the five.
        batches: random batches of an untrained model.
        seed: of the model and of the batches.
    """

    name: ClassVar[str] = "identity"

    method: Method
    batches: int = 20
    seed: int = 0

    @property
    def title(self) -> str:
        """The method's name."""
        return f"parts of the loss of {self.method.name}"

    @property
    def cost(self) -> Cost:
        """Next to nothing."""
        return Cost(0.01 * self.batches)

    def run(self, out: Path, *, root: Path | None = None, device: str | None = None, told: Told = quiet) -> Result:
        """Evaluate the loss and add its parts up."""
        return once(self, out, lambda folder: (self._check(), {}))

    def _check(self) -> dict[str, float]:
        full = Experiment(
            self.method,
            Triangle(),
            network=MLP((16,)),
            latents=4,
            steps=1,
            batch=32,
            precision="float64",
            seed=self.seed,
        ).complete()
        where = torch.device("cpu")
        model, feed = build(full, where), Feed(full, Triangle().open(), where)
        weights, parts = claimed(self.method)
        residual = 0.0
        with torch.no_grad():
            for step in range(self.batches):
                found = full.method.loss(model, feed.batch(step), full.method.init(full.spec, full.latents))
                whole = sum((weight * found.terms[name] for name, weight in parts.items()), found.terms["recon"])
                penalties = found.total - found.terms["recon"]
                residual = max(residual, float((found.total - whole).abs() / penalties.abs()))
        return {"weight.a": weights.kl, "weight.b": weights.tc, "weight.c": weights.dw, "residual": residual}


def claimed(method: Method) -> tuple[Weights, Mapping[str, float]]:
    """The weights of a method's penalties, and what each recorded term must then be multiplied by.

    >>> claimed(BetaTCVAE(beta=4.0))
    (Weights(kl=1.0, tc=3.0, dw=0.0), {'kl': 1.0, 'tc': 3.0})
    """
    stands: tuple[str, ...] = ()
    if isinstance(method, BetaVAE):
        weights = beta_vae(method.beta)
    elif isinstance(method, FactorVAE):
        weights, stands = factor_vae(method.gamma), ("tc",)
    elif isinstance(method, BetaTCVAE):
        weights, stands = beta_tcvae(method.beta, method.mi_weight, method.dw_weight), ("tc",)
    elif isinstance(method, DIPVAE1):
        weights, stands = dip_vae(method.lambda_od), ("off_diagonal", "diagonal")
    else:
        assert isinstance(method, InfoVAE)
        weights, stands = info_vae(method.alpha, method.lambda_mmd), ("mmd",)
    parts = {"kl": weights.kl, **dict.fromkeys(stands, weights.tc)}
    return weights, {**parts, "critic": 1.0} if isinstance(method, FactorVAE) else parts


@dataclass(frozen=True)
class RecurDTable1(Study):
    """Table 1: which weights the penalties of five methods amount to."""

    name: ClassVar[str] = "recurd-table1"
    paper: ClassVar[str] = "recurd"
    where: ClassVar[str] = "Table 1, section 2.1"
    title: ClassVar[str] = "β-VAE and four of its relatives as weights of KL, total correlation and dimension-wise KL"
    decided: ClassVar[tuple[str, ...]] = (
        "Nothing is trained: β = 4, γ = 6.4, β-TCVAE with β = 4, λ = 10, α = 0.5 and λ = 10 are put in, and every "
        "loss of 20 random batches must be the sum of its parts with these weights.",
        "Put right: the weight of TC in β-TCVAE is β − 1, for its KL holds TC once; InfoVAE's divergence is TC + DW, "
        "and each gets α + λ − 1; equation 15 takes λ_b and λ_c in the other order than equation 2.",
        "What the methods penalise stands for TC or for TC + DW: a critic, a batch's estimate, covariances, an MMD.",
    )
    columns: ClassVar[tuple[Column, ...]] = (
        Column("λ_a", ("weight.a",), "", pooled="shown"),
        Column("λ_b", ("weight.b",), "", pooled="shown"),
        Column("λ_c", ("weight.c",), "", pooled="shown"),
        Column("loss − parts", ("residual",), "lower"),
    )
    scales: ClassVar[Mapping[str, Scale]] = dict.fromkeys(
        ("smoke", "small", "paper"), Scale(1, 32, 1, 1e-4, images=640)
    )

    def jobs(self, scale: str) -> list[Entry]:
        self.scale(scale)
        return [({"data": "any", "row": row, "seed": 0}, Identity(method)) for row, method in ROWS.items()]


STUDIES: Mapping[str, type[Study]] = {RecurDTable1.name: RecurDTable1}
