"""A report shows a correlated block's latents moving together, and all others one by one."""

from __future__ import annotations

import pytest
import torch

from unweave import MLP, BHiVAE, fit
from unweave.report.from_run import STRIPS, tell

SMALL = {"steps": 2, "batch": 4, "latents": 7, "network": MLP((8,)), "precision": "float32"}


@pytest.mark.parametrize("encoder", ["deterministic", "stochastic"])
def test_a_strip_a_block(encoder: str) -> None:
    method = BHiVAE(blocks=(2, 2), width=8, part_width=8, critic_hidden=8, critic_layers=1, encoder=encoder)
    run = fit(method, "triangle", **SMALL)
    strips = tell(run, codes=run.codes(200)).traversals
    assert run.model.blocks == ((0, 1), (2, 3), (4, 5), (6,)) and run.model.correlated
    assert {strip.label for strip in strips} == {*(f"Latents {a}, {a + 1} together" for a in (0, 2, 4)), ""}
    assert all((strip.kl is None) is (encoder == "deterministic") for strip in strips)
    in_order = sorted(strips, key=lambda strip: strip.latent)
    assert all(strip.latent in block for strip, block in zip(in_order, run.model.blocks, strict=True))


def test_a_strip_a_latent_without() -> None:
    run = fit("beta-stcvae", "triangle", **{**SMALL, "latents": 10})
    strips = tell(run, codes=run.codes(200)).traversals
    assert run.model.blocks and not run.model.correlated
    assert len(strips) == min(STRIPS, 10) and not any(strip.label for strip in strips)
    assert torch.isfinite(torch.tensor([strip.kl or 0.0 for strip in strips])).all()
