"""Identities of the table of penalties."""

from __future__ import annotations

import pytest

from unweave.methods.objective_map import Decomposed, Weights, beta_tcvae, beta_vae, dip_vae, factor_vae, info_vae


def penalty(weights: Weights, mi: float, tc: float, dw: float) -> float:
    return weights.kl * (mi + tc + dw) + weights.tc * tc + weights.dw * dw


MI, TC, DW = 4.0, 0.7, 0.2
KL = MI + TC + DW


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        (beta_vae(4.0), 4.0 * KL),
        (factor_vae(6.4), KL + 6.4 * TC),
        (beta_tcvae(8.0), MI + 8.0 * TC + DW),
        (beta_tcvae(8.0, 0.5, 2.0), 0.5 * MI + 8.0 * TC + 2.0 * DW),
        (dip_vae(10.0), KL + 10.0 * (TC + DW)),
        (info_vae(0.3, 5.0), 0.7 * KL + 4.3 * (TC + DW)),
        (info_vae(1.0, 1000.0), 1000.0 * (TC + DW)),
    ],
)
def test_weights_give_each_methods_penalty(weights: Weights, expected: float) -> None:
    assert penalty(weights, MI, TC, DW) == pytest.approx(expected, rel=1e-12)
    parts = weights.decomposed()
    assert parts.mi * MI + parts.tc * TC + parts.dw * DW == pytest.approx(expected, rel=1e-12)


def test_methods_meet_where_they_should() -> None:
    """All are the VAE somewhere; β-TCVAE is FactorVAE with γ = β − 1, and β-VAE with equal weights."""
    assert beta_vae(1.0) == factor_vae(0.0) == beta_tcvae(1.0) == dip_vae(0.0) == info_vae(0.0, 1.0) == Weights(1.0)
    assert beta_tcvae(7.0) == factor_vae(6.0)
    assert beta_tcvae(4.0, 4.0, 4.0) == beta_vae(4.0)
    assert info_vae(0.0, 3.0) == dip_vae(2.0)
    assert info_vae(0.4, 3.0).decomposed() == Decomposed(0.6, 3.0, 3.0)
