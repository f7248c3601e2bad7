"""Identities of DeVAE: what it is with one space, with equal spaces, and what its rescaling keeps."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from unweave.methods import BetaVAE, DeVAE
from unweave.methods.devae import log_det
from unweave.networks import Model, SpacesVAE
from unweave.types import Gaussian

from .case import BODY, LATENTS, SPEC, case, gradients

HIERARCHIES = ["dit", "linear", "none"]


@pytest.mark.parametrize("hierarchy", HIERARCHIES)
@pytest.mark.parametrize("space_code", ["embedding", "onehot"])
@pytest.mark.parametrize("aggregation", ["sum", "random"])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_one_space_is_beta_vae_bit_for_bit(hierarchy: str, space_code: str, aggregation: str, precision: str) -> None:
    method = DeVAE((4.2,), 0.7, hierarchy, space_code, aggregation)
    one, other = (case(m, precision=precision, spread=0) for m in (method, BetaVAE(4.2)))
    theirs = dict(other.model.named_parameters())
    assert {n: p.shape for n, p in one.model.named_parameters()} == {n: p.shape for n, p in theirs.items()}
    assert all(torch.equal(p, theirs[n]) for n, p in one.model.named_parameters())
    mine, its = one.method.loss(one.model, other.batch, {}), other.loss()
    assert torch.equal(mine.total, its.total)
    assert torch.equal(mine.terms["recon"], its.terms["recon"]) and torch.equal(mine.terms["kl"], its.terms["kl"])
    mine.total.backward()
    its.total.backward()
    expected = gradients(other.model)
    assert all(torch.equal(value, expected[name]) for name, value in gradients(one.model).items())


class Space(Model):
    """One latent space of a SpacesVAE as a model of its own."""

    def __init__(self, net: SpacesVAE, space: int) -> None:
        super().__init__()
        self.net, self.space = net, space
        self.latents, self.likelihood = net.latents, net.likelihood

    def encode(self, x: Tensor, space: int = 0) -> Gaussian:
        return self.net.encode(x, self.space)

    def decode(self, z: Tensor, space: int = 0) -> Tensor:
        return self.net.decode(z, self.space)


def test_two_equal_spaces_are_the_sum_of_two_beta_vaes() -> None:
    """β_0 = β_1, w = 0, equal rows of the embedding: both terms are the same β-VAE, each with its own noise."""
    one = case(DeVAE((4.2, 4.2)))
    with torch.no_grad():
        one.model.w_mean.zero_()
        one.model.w_logvar.zero_()
        one.model.code[1] = one.model.code[0]
    total = one.loss().total
    noises = [one.batch.noise["z"], one.batch.noise["z.1"]]
    plain = Space(one.model, 0)
    losses = [BetaVAE(4.2).loss(plain, one.batch._replace(noise={"z": noise}), {}).total for noise in noises]
    assert not torch.equal(*losses)
    torch.testing.assert_close(total, sum(losses), rtol=1e-14, atol=0)


@pytest.mark.parametrize("hierarchy", ["dit", "none"])
@pytest.mark.parametrize("scale", [1.0, 0.3])
def test_the_loss_is_the_weighted_sum_of_the_spaces(hierarchy: str, scale: float) -> None:
    betas = (1.0, 10.0, 40.0)
    one = case(DeVAE(betas, scale, hierarchy))
    names = ["z", "z.1", "z.2"]
    losses = [
        BetaVAE(beta).loss(Space(one.model, i), one.batch._replace(noise={"z": one.batch.noise[names[i]]}), {}).total
        for i, beta in enumerate(betas)
    ]
    expected = sum(scale**i * loss for i, loss in enumerate(losses))
    torch.testing.assert_close(one.loss().total, expected, rtol=1e-13, atol=0)


def test_rescalings_add_up() -> None:
    """mean_i = exp(Σ w1) · mean_0 and logvar_i = logvar_0 + Σ w2 (the paper's eq. 5)."""
    one = case(DeVAE((1.0, 5.0, 10.0, 40.0)), spread=0.5)
    first = one.model.encode(one.batch.x)
    for i, q in enumerate(one.model.posteriors(one.batch.x)):
        same = one.model.encode(one.batch.x, i)
        torch.testing.assert_close(q.mean, torch.exp(one.model.w_mean[:i].sum(0)) * first.mean, rtol=1e-12, atol=0)
        torch.testing.assert_close(q.logvar, first.logvar + one.model.w_logvar[:i].sum(0), rtol=1e-12, atol=1e-14)
        assert torch.equal(q.mean, same.mean) and torch.equal(q.logvar, same.logvar)


def test_means_of_all_spaces_are_positive_multiples_latent_by_latent() -> None:
    """So every score that bins latents over their own range is the same in all spaces."""
    one = case(DeVAE((1.0, 10.0, 40.0)), spread=1.0)
    first = one.model.encode(one.batch.x).mean
    for i in (1, 2):
        ratio = one.model.encode(one.batch.x, i).mean / first
        assert bool((ratio > 0).all())
        torch.testing.assert_close(ratio, ratio[:1].expand_as(ratio), rtol=1e-12, atol=0)
        assert bool(ratio.max() / ratio.min() > 1.5)


@pytest.mark.parametrize("hierarchy", ["dit", "linear"])
def test_spaces_start_alike(hierarchy: str) -> None:
    """w = 0 and W = I: all KL are equal."""
    one = case(DeVAE((1.0, 10.0, 40.0), hierarchy=hierarchy), spread=0)
    loss = one.loss()
    for i in (1, 2):
        assert torch.allclose(
            loss.terms[f"kl.{i}"], loss.terms["kl"], rtol=0, atol=1e-5 if hierarchy == "linear" else 0
        )


def test_spaces_without_hierarchy_have_encoders_of_their_own() -> None:
    one = case(DeVAE((1.0, 40.0), hierarchy="none"), spread=0)
    q = [one.model.encode(one.batch.x, i).mean for i in (0, 1)]
    assert not torch.allclose(*q)
    assert len(one.model.others) == 1


@pytest.mark.parametrize("scale", [0.0, 1e-3, 1.0, 50.0])
@pytest.mark.parametrize("shift", [-25.0, 0.0, 15.0])
def test_linear_kl_is_never_negative(scale: float, shift: float) -> None:
    """For any W, the singular one too, and any variances."""
    one = case(DeVAE((1.0, 40.0), hierarchy="linear"))
    torch.manual_seed(1)
    with torch.no_grad():
        for rank in (1, LATENTS):
            w = torch.randn(LATENTS, rank).double() @ torch.randn(rank, LATENTS).double()
            one.model.matrix[0] = scale * w
            q = Gaussian(torch.zeros(20, LATENTS).double(), torch.randn(20, LATENTS).double() + shift)
            assert one.method.kl(one.model, q, 1).item() >= 0
        one.model.matrix[0] = torch.eye(LATENTS)
        at_prior = one.method.kl(one.model, Gaussian(*torch.zeros(2, 1, LATENTS).double()), 1)
        assert 0 <= at_prior.item() < 1e-10


@pytest.mark.parametrize("scale", [1.0, 10.0, 50.0])
@pytest.mark.parametrize("device", ["cpu", "a card, by hand"])
def test_a_singular_map_has_a_finite_kl_in_float32(scale: float, device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if device != "cpu":
        monkeypatch.setattr(torch.linalg, "slogdet", lambda gram: (None, log_det(gram)))
    one = case(DeVAE((1.0, 40.0), hierarchy="linear"))
    net, generator = one.model.float(), torch.Generator().manual_seed(2)
    for rank in (1, LATENTS - 1, LATENTS):
        for _ in range(20):
            left, right = (torch.randn(*size, generator=generator) for size in ((LATENTS, rank), (rank, LATENTS)))
            net.matrix.data[0] = scale * left @ right
            q = Gaussian(torch.zeros(5, LATENTS), torch.randn(5, LATENTS, generator=generator))
            kl = one.method.kl(net, q, 1)
            (slope,) = torch.autograd.grad(kl, net.matrix)
            assert kl.dtype == torch.float32 and torch.isfinite(kl) and kl >= 0 and torch.isfinite(slope).all()
            w = net.matrix.data[0].double()
            gram = w.mT @ w + 1e-6 * torch.eye(LATENTS, dtype=torch.float64)
            exact = torch.exp(q.logvar.double()) @ gram.diagonal() - LATENTS - q.logvar.double().sum(1)
            exact = 0.5 * (exact - torch.linalg.eigvalsh(gram).clamp_min(1e-12).log().sum()).mean()
            assert kl.item() == pytest.approx(exact.item(), rel=1e-4)


def test_later_spaces_keep_their_log_variances_in_range() -> None:
    one = case(DeVAE((1.0, 2.0, 4.0, 8.0)))
    with torch.no_grad():
        for w in one.model.w_logvar:
            w.fill_(10.0)
        for q in one.model.posteriors(1e3 * one.batch.x):
            assert q.logvar.max() <= 20.0 and torch.isfinite(q.kl()).all()


def test_random_space_is_drawn_with_its_weight() -> None:
    """p(i) ∝ s^i, and only the drawn space gets a gradient of the reconstruction."""
    scale, count = 0.5, 3
    one = case(DeVAE((0.0, 0.0, 0.0), scale, aggregation="random"))
    drawn = []
    for uniform in torch.linspace(0, 1, 141, dtype=torch.float64)[:-1]:
        one.batch.noise["space"].copy_(uniform)
        one.model.zero_grad()
        one.loss().total.backward()
        (which,) = one.model.code.grad.abs().sum(1).nonzero().flatten().tolist()
        drawn.append(which)
    shares = [drawn.count(i) / len(drawn) for i in range(count)]
    assert shares == pytest.approx([4 / 7, 2 / 7, 1 / 7], abs=2 / 140)
    assert drawn == sorted(drawn)


def test_default_body_is_the_authors() -> None:
    net = DeVAE().network(SPEC._replace(shape=(1, 64, 64)), 10)
    assert any(isinstance(layer, torch.nn.Conv2d) and layer.padding == (0, 0) for layer in net.encoder.trunk.layers)
    assert net.decoder.stem.in_features == 20
    assert DeVAE(space_code="onehot").network(SPEC, 10, BODY).decoder.stem.in_features == 12


def test_what_is_decoded_from_a_linear_space_hangs_together_as_in_training() -> None:
    one = case(DeVAE((1.0, 40.0), hierarchy="linear"))
    net = one.model
    with torch.no_grad():
        net.matrix[0] = torch.randn(net.latents, net.latents, generator=torch.Generator().manual_seed(0))
    x, noise = one.batch.x, one.batch.noise["z"]
    q = net.encode(x, 1)
    wanted = net.encode(x).sample(noise) @ net.matrix[0].mT
    assert torch.equal(net.sample(x, q, noise, 1), wanted)
    assert torch.allclose(q.mean, net.encode(x).mean @ net.matrix[0].mT)
    assert not torch.allclose(q.sample(noise), wanted)
    assert torch.equal(net.sample(x, net.encode(x), noise), net.encode(x).sample(noise))


def test_pressures_that_fall_are_told_of() -> None:
    with pytest.warns(UserWarning, match="fall: the first space, which is scored, is not the widest"):
        DeVAE((40.0, 1.0)).check(SPEC, LATENTS)
