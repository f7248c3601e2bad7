"""Experiments whose keys are recorded."""

from __future__ import annotations

from unweave.data import Triangle
from unweave.engine import Experiment
from unweave.methods import METHODS, BetaVAE
from unweave.networks import MLP, Conv
from unweave.types import Adam


def named_experiments() -> dict[str, Experiment]:
    """What the recorded keys stand for."""
    return {
        **{f"{name} on triangle": Experiment(name, "triangle", precision="float32") for name in METHODS},
        **{f"{name} on dsprites": Experiment(name, "dsprites", precision="float32", seed=3) for name in METHODS},
        "beta 2 in bf16": Experiment(BetaVAE(beta=2), "triangle", precision="bf16", steps=10),
        "dense": Experiment("vae", Triangle(angle_noise=5), MLP((10, 4)), "squared", 3, 7, 5, Adam(lr=1), "float64", 9),
        "narrow": Experiment("vae", "dsprites", Conv("burgess", hidden=16), precision="float32"),
    }
