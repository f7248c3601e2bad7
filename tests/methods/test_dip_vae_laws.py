"""What the two covariance penalties see and what they leave alone."""

from __future__ import annotations

import pytest
import torch

from unweave.methods import DIPVAE1, DIPVAE2, VAE
from unweave.methods.dip_vae import RECURD, code_covariance, covariance, from_identity
from unweave.types import Gaussian, UserError

from .case import case, gradients


@pytest.mark.parametrize(
    ("matrix", "off", "diagonal"),
    [
        (torch.ones(10, 10), 90, 0),
        (torch.zeros(10, 10), 0, 10),
        (torch.eye(10), 0, 0),
        (2 * torch.eye(10), 0, 10),
    ],
    ids=["ones", "zeros", "identity", "twice the identity"],
)
def test_distance_from_the_identity(matrix: torch.Tensor, off: float, diagonal: float) -> None:
    found = from_identity(matrix)
    assert (float(found[0]), float(found[1])) == (off, diagonal)


def test_the_covariance_is_centred_over_the_batch_and_biased() -> None:
    torch.manual_seed(0)
    values = torch.randn(7, 4, dtype=torch.float64) + 100
    torch.testing.assert_close(covariance(values), torch.cov(values.T, correction=0), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(covariance(values), covariance(values - 1000), rtol=1e-8, atol=1e-8)


def test_type_ii_adds_each_latents_own_mean_variance() -> None:
    """Off the diagonal both types agree; variances of unequal latents stay with their latents."""
    torch.manual_seed(0)
    mean, logvar = torch.randn(2, 5, 3, dtype=torch.float64)
    added = code_covariance(Gaussian(mean, logvar)) - covariance(mean)
    wanted = torch.zeros(3, 3, dtype=torch.float64)
    for row in logvar:
        for j in range(3):
            wanted[j, j] += row[j].exp() / 5
    torch.testing.assert_close(added, wanted, rtol=1e-12, atol=1e-12)


def test_type_ii_is_the_covariance_of_codes() -> None:
    torch.manual_seed(0)
    mean, logvar = torch.randn(2, 6, 3, dtype=torch.float64)
    q = Gaussian(mean.repeat(200_000, 1), logvar.repeat(200_000, 1))
    z = q.sample(torch.randn_like(q.mean))
    torch.testing.assert_close(torch.cov(z.T), code_covariance(Gaussian(mean, logvar)), rtol=0, atol=0.01)


def test_a_point_mass_has_no_type_ii() -> None:
    with pytest.raises(UserError, match="allowed: dip-vae-i"):
        code_covariance(Gaussian(torch.zeros(2, 3), None))


@pytest.mark.parametrize("kind", [DIPVAE1, DIPVAE2])
def test_without_weights_it_is_a_vae(kind: type[DIPVAE1] | type[DIPVAE2]) -> None:
    found = []
    for method in (VAE(), kind(lambda_od=0.0, lambda_d=0.0)):
        one = case(method)
        loss = one.loss()
        loss.total.backward()
        found.append((loss.total, gradients(one.model)))
    assert torch.equal(found[0][0], found[1][0])
    for name, value in found[0][1].items():
        torch.testing.assert_close(found[1][1][name], value, rtol=1e-12, atol=1e-14)


def test_type_i_does_not_see_the_variances() -> None:
    """Shifting every log-variance changes the penalties of type II alone."""
    for kind, moves in ((DIPVAE1, False), (DIPVAE2, True)):
        one = case(kind())
        before = one.loss().terms
        with torch.no_grad():
            one.model.encoder.head.bias[6:] += 1.0
        after = one.loss().terms
        assert torch.equal(before["off_diagonal"], after["off_diagonal"])
        assert torch.equal(before["diagonal"], after["diagonal"]) is not moves


def test_readings_of_recurds_pair() -> None:
    pairs = {name: tuple(preset.fields.values()) for name, preset in RECURD.items()}
    assert pairs == {"literal": (100.0, 10.0), "swapped": (10.0, 100.0), "factor": (100.0, 1000.0)}
    assert DIPVAE1.presets["dsprites"] == RECURD["literal"]
    assert all(set(preset.fields) == {"lambda_od", "lambda_d"} for preset in RECURD.values())
    assert {preset.latents for preset in RECURD.values()} == {8}, "RecurD's Table 3, for all baselines"
