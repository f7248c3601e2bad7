"""FactorVAE's critic as an estimator, and who learns from which term."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from unweave.methods import FactorVAE
from unweave.methods.factor_vae import cross_entropy, permute_latents
from unweave.networks import Critic, Judged, Model
from unweave.types import Batch, Gaussian

from .case import BODY, SPEC, case, gradients

SIZE = 10


class Given(Model):
    """A model whose codes are the images themselves, so that the critic sees a distribution that is known."""

    def __init__(self) -> None:
        super().__init__()
        self.latents, self.likelihood = SIZE, "squared"

    def encode(self, x: Tensor, space: int = 0) -> Gaussian:
        return Gaussian(x.flatten(1), torch.full((len(x), SIZE), -30.0))

    def decode(self, z: Tensor, space: int = 0) -> Tensor:
        return z.view(-1, 1, 1, SIZE)


def correlated(count: int, rho: float) -> Tensor:
    """Five pairs of standard normals with correlation ρ, the pairs independent: TC = −5/2 · ln(1 − ρ²)."""
    a, b = torch.randn(2, count, SIZE // 2)
    return torch.cat([a, rho * a + math.sqrt(1 - rho**2) * b], 1)


def estimate(rho: float) -> float:
    """TC in nats as a small critic sees it after training through the method's own loss."""
    torch.manual_seed(0)
    model = Judged(Given(), tc=Critic(SIZE, 2, 64, 2))
    method = FactorVAE()
    adam = torch.optim.Adam(model.parameters(), 4e-3, (0.5, 0.9))

    def batch(count: int) -> Batch:
        x = correlated(count, rho).view(-1, 1, 1, SIZE)
        noise = {"z": torch.randn(count, SIZE), "permute": torch.rand(SIZE, count).argsort(-1)}
        return Batch(x, x, torch.zeros(count, 0), noise, torch.tensor(0), count)

    for step in range(500):
        for group in adam.param_groups:
            group["lr"] = 4e-3 * (1 - step / 500)
        adam.zero_grad()
        method.loss(model, batch(256), {}).total.backward()
        adam.step()
    with torch.no_grad():
        return float(method.loss(model, batch(50_000), {}).terms["tc"])


@pytest.mark.parametrize("rho", [pytest.param(0.6, marks=pytest.mark.slow), 0.9])
def test_the_critic_finds_the_total_correlation_of_a_gaussian(rho: float) -> None:
    truth = -SIZE / 4 * math.log(1 - rho**2)
    assert estimate(rho) == pytest.approx(truth, rel=0.1)


@pytest.mark.slow
def test_independent_codes_have_none() -> None:
    assert estimate(0.0) == pytest.approx(0.0, abs=0.05)


@pytest.mark.parametrize("second_batch", [False, True])
def test_each_term_teaches_its_own_part(second_batch: bool) -> None:
    """Without a penalty the model learns as a VAE does, and γ changes nothing in the critic's gradient."""
    options = {"critic_hidden": 8, "critic_layers": 2, "second_batch": second_batch}
    found = []
    for gamma in (0.0, 50.0):
        one = case(FactorVAE(gamma=gamma, **options))
        one.loss().total.backward()
        found.append(gradients(one.model))
    plain = case(FactorVAE(gamma=0.0, **options))
    terms = plain.loss().terms
    (terms["recon"] + terms["kl"]).backward()
    for name, value in gradients(plain.model).items():
        if name.startswith("critics"):
            torch.testing.assert_close(found[0][name], found[1][name], rtol=1e-12, atol=1e-14)
            assert bool(found[0][name].any())
        else:
            torch.testing.assert_close(found[0][name], value, rtol=1e-12, atol=1e-14)
    moved = "model.encoder.head.weight"
    assert not torch.allclose(found[0][moved], found[1][moved])


def test_permuting_keeps_every_latents_values_and_breaks_their_company() -> None:
    torch.manual_seed(0)
    z = torch.arange(60.0).view(20, 3)
    permuted = permute_latents(z, torch.rand(3, 20).argsort(-1))
    assert torch.equal(permuted.sort(0).values, z) and not torch.equal(permuted, z)
    assert len({tuple(row) for row in permuted.int().tolist()} & {tuple(row) for row in z.int().tolist()}) < 5
    assert torch.equal(permute_latents(z, torch.arange(20).expand(3, 20)), z)


def test_a_critic_that_cannot_tell_has_an_entropy_of_ln_2() -> None:
    assert float(cross_entropy(torch.zeros(4, 2), 0)) == pytest.approx(math.log(2))
    one = case(FactorVAE(critic_hidden=8, critic_layers=2))
    with torch.no_grad():
        one.model.critics["tc"].head.weight.zero_()
        one.model.critics["tc"].head.bias.zero_()
    terms = one.loss().terms
    assert terms["critic"].item() == pytest.approx(math.log(2)) and terms["tc"].item() == 0


def test_saturated_logits_stay_finite() -> None:
    logits = torch.tensor([[1e4, -1e4], [-1e4, 1e4]], requires_grad=True)
    loss = cross_entropy(logits, 0) + cross_entropy(logits, 1)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(2e4) and bool(torch.isfinite(logits.grad).all())


def test_critic_as_published() -> None:
    method = FactorVAE()
    critic = method.network(SPEC, 10, BODY).critics["tc"]
    widths = [layer.out_features for layer in critic.trunk.layers if isinstance(layer, torch.nn.Linear)]
    slopes = {layer.negative_slope for layer in critic.trunk.layers if isinstance(layer, torch.nn.LeakyReLU)}
    assert widths == [1000] * 6 and slopes == {0.2} and critic.head.out_features == 2
    assert method.optimisers()["critic"].lr == 1e-4 and method.optimisers()["critic"].betas == (0.5, 0.9)
