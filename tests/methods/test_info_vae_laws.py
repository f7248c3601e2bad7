"""The maximum mean discrepancy as an estimate, and what InfoVAE becomes at its corners."""

from __future__ import annotations

import pytest
import torch

from unweave.methods import VAE, InfoVAE
from unweave.methods.mmd import KERNELS, gram, mmd
from unweave.types import UserError

from .case import LATENTS, SPEC, case, gradients


@pytest.mark.parametrize("kernel", KERNELS)
def test_unbiased(kernel: str) -> None:
    """Over 2,000 pairs of samples of 8 from one distribution, the mean is 0 within four standard errors."""
    torch.manual_seed(0)
    values = torch.stack([mmd(*torch.randn(2, 8, 3, dtype=torch.float64), kernel) for _ in range(2000)])
    error = values.std() / len(values) ** 0.5
    assert abs(float(values.mean())) < 4 * float(error)
    assert bool((values < 0).any()) and bool((values > 0).any())
    biased = values.mean() + 2 * (1 - gram(*torch.randn(2, 500, 3), kernel).mean()) / 8
    assert float(biased) > 20 * float(error), "with the diagonal it would be far from 0"


@pytest.mark.parametrize("kernel", KERNELS)
def test_it_grows_with_the_distance(kernel: str) -> None:
    torch.manual_seed(0)
    a, b = torch.randn(2, 400, 3, dtype=torch.float64)
    values = [float(mmd(a, b + shift, kernel)) for shift in (0.0, 0.5, 1.0, 2.0, 4.0)]
    assert values == sorted(values) and abs(values[0]) < 0.01 and values[-1] > 0.3
    assert float(mmd(a, 3 * b, kernel)) > 0.05, "not only the means count"


@pytest.mark.parametrize("kernel", KERNELS)
def test_kernels(kernel: str) -> None:
    torch.manual_seed(0)
    a = torch.randn(6, 4, dtype=torch.float64)
    values = gram(a, a, kernel)
    assert torch.equal(values, values.T) and torch.equal(torch.diagonal(values), torch.ones(6, dtype=torch.float64))
    assert float(torch.linalg.eigvalsh(values).min()) > 0
    torch.testing.assert_close(gram(2 * a, 2 * a, kernel, 4.0), values, rtol=1e-12, atol=0)


@pytest.mark.parametrize("kernel", KERNELS)
def test_without_a_weight_it_is_a_vae(kernel: str) -> None:
    found = []
    for method in (VAE(), InfoVAE(alpha=0.0, lambda_mmd=1.0, kernel=kernel)):
        one = case(method)
        loss = one.loss()
        loss.total.backward()
        found.append((loss.total, gradients(one.model)))
    assert torch.equal(found[0][0], found[1][0])
    for name, value in found[0][1].items():
        torch.testing.assert_close(found[1][1][name], value, rtol=1e-12, atol=1e-14)


def test_alpha_1_has_no_kl() -> None:
    loss = case(InfoVAE(alpha=1.0, lambda_mmd=10.0)).loss()
    assert torch.equal(loss.total, loss.terms["recon"] + 0 * loss.terms["kl"] + 10 * loss.terms["mmd"])


def test_one_image_has_nothing_to_be_compared_with() -> None:
    with pytest.raises(UserError, match="batch = 1; allowed: 2 or more"):
        InfoVAE().noise(SPEC, LATENTS, 1)
    assert set(InfoVAE().noise(SPEC, LATENTS, 2)) == {"z", "prior"}
