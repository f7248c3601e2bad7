"""The parts of the rate: they close within their errors, and are right where the truth has a closed form."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

import unweave
from unweave.analysis import kl_decompose
from unweave.types import LOGVAR_RANGE, Codes, UserError

NOISE = 0.25


def gaussian(count: int, sigma: Tensor, mean: Tensor) -> Codes:
    """Posteriors of variance NOISE around points whose mean and covariance make those of q(z) exact."""
    generator = torch.Generator().manual_seed(1)
    points = torch.randn(count, len(sigma), generator=generator, dtype=torch.float64)
    points = points - points.mean(0)
    white = torch.linalg.cholesky(torch.linalg.inv(points.mT @ points / count))
    root = torch.linalg.cholesky(sigma - NOISE * torch.eye(len(sigma), dtype=torch.float64))
    z = points @ white @ root.mT + mean
    return Codes.of(z, logvar=torch.full_like(z, math.log(NOISE)))


def test_every_part_is_within_two_percent_of_the_closed_form() -> None:
    """q(z) = N(m, Σ): MI = ½ log det Σ − ½ D log σ², TC = −½ log det corr Σ, DW = Σ_j KL(N(m_j, Σ_jj) ‖ N(0, 1)).

    Three samples of 6,000 draws are averaged: the error of one is about 1 % of the smallest part.
    """
    sigma = torch.tensor([[2.0, 1.5, 1.4], [1.5, 1.9, 1.5], [1.4, 1.5, 2.1]], dtype=torch.float64)
    mean = torch.tensor([1.5, -1.0, 1.2], dtype=torch.float64)
    codes = gaussian(6000, sigma, mean)
    each = [kl_decompose(codes, [(0, 1), (2,)], samples=6000, seed=seed) for seed in range(3)]
    variance = sigma.diagonal()
    tc = 0.5 * float(variance.log().sum() - torch.logdet(sigma))
    pair = 0.5 * float(variance[:2].log().sum() - torch.logdet(sigma[:2, :2]))
    dw = 0.5 * (mean**2 + variance - 1 - variance.log())
    mi = 0.5 * float(torch.logdet(sigma)) - 1.5 * math.log(NOISE)
    truth = {"mi": mi, "tc": tc, "tc_within": pair, "tc_joint": tc - pair, "dw": float(dw.sum())}
    for name, value in truth.items():
        found = [getattr(one, name) for one in each]
        assert sum(found) / 3 == pytest.approx(value, rel=0.02), name
        # A mixture of finitely many images is no Gaussian; half a percent is left for that.
        assert all(abs(a - value) < 3 * one.errors[name] + 0.005 * value for a, one in zip(found, each, strict=True))
    assert each[0].kl == pytest.approx(mi + tc + float(dw.sum()), rel=1e-9)
    assert all(one.closes() for one in each)
    for latent in range(3):
        units = [one.units[latent] for one in each]
        assert sum(one.dw for one in units) / 3 == pytest.approx(float(dw[latent]), rel=0.02)
        alone = 0.5 * math.log(float(variance[latent]) / NOISE)
        assert sum(one.mi for one in units) / 3 == pytest.approx(alone, rel=0.02)
        assert all(one.tc == 0.0 for one in units)
    assert each[0].units[-1].latents == (0, 1)
    assert sum(one.units[-1].tc for one in each) / 3 == pytest.approx(pair, rel=0.02)


@pytest.fixture(scope="module")
def trained() -> Codes:
    network = unweave.MLP((32,))
    optimiser = unweave.Adam(lr=2e-3)
    run = unweave.fit(
        "beta-vae", "triangle", steps=150, batch=32, latents=4, network=network, optimiser=optimiser, device="cpu"
    )
    return run.codes(None)


def test_parts_close_on_a_trained_model_within_the_error_they_state(trained: Codes) -> None:
    for seed in range(3):
        found = kl_decompose(trained, [(0, 1), (2, 3)], samples=1000, seed=seed)
        assert found.kl > 1.0
        assert found.closes(), (found.gap, found.errors)
        for one in found.units:
            assert abs(one.mi + one.tc + one.dw - one.kl) <= 4 * one.errors["sum"]


def test_errors_fall_with_the_root_of_the_samples_and_cover_the_truth(trained: Codes) -> None:
    few, many = kl_decompose(trained, samples=400), kl_decompose(trained, samples=6400)
    for name in ("mi", "tc", "dw", "sum"):
        assert few.errors[name] / many.errors[name] == pytest.approx(4.0, rel=0.3)
    assert abs(few.mi - many.mi) < 4 * few.errors["mi"]


def test_units_add_up_to_the_whole(trained: Codes) -> None:
    found = kl_decompose(trained, [(0, 1), (2, 3)], samples=300)
    singles = [one for one in found.units if len(one.latents) == 1]
    blocks = [one for one in found.units if len(one.latents) > 1]
    assert sum(one.kl for one in singles) == pytest.approx(found.kl, rel=1e-12)
    assert sum(one.dw for one in singles) == pytest.approx(found.dw, rel=1e-12)
    assert sum(one.tc for one in blocks) == pytest.approx(found.tc_within, rel=1e-12)
    # I(x; z) = Σ_g I(x; z_g) − TC_joint: what blocks share is told once.
    assert sum(one.mi for one in blocks) - found.tc_joint == pytest.approx(found.mi, rel=1e-10)


def test_the_table_has_a_row_a_unit_and_one_for_all(trained: Codes) -> None:
    found = kl_decompose(trained, [(0, 1), (2, 3)], samples=100)
    rows = found.table()
    assert [row["unit"] for row in rows] == ["0", "1", "2", "3", "0 1", "2 3", "all"]
    assert list(rows[0]) == ["unit", "kl", "mi", "mi_error", "tc", "tc_error", "dw", "dw_error"]
    assert rows[-1]["mi"] == found.mi and rows[-1]["mi_error"] == found.errors["mi"]


def test_one_sample_has_no_error() -> None:
    with pytest.raises(UserError, match="samples = 1; allowed: at least 2"):
        kl_decompose(Codes.of(torch.zeros(5, 2), logvar=torch.zeros(5, 2)), samples=1)


def test_posteriors_narrower_than_any_training_keeps_are_read_as_the_narrowest() -> None:
    """Codes of another program, whose exp(800) is no number."""
    mean = torch.randn(40, 2, generator=torch.Generator().manual_seed(0))
    absurd, narrowest = (Codes.of(mean, logvar=torch.full((40, 2), v)) for v in (-800.0, LOGVAR_RANGE[0]))
    ours, theirs = kl_decompose(absurd, samples=200), kl_decompose(narrowest, samples=200)
    assert ours == theirs and math.isfinite(ours.mi + ours.tc)
