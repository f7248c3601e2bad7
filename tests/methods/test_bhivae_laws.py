"""Laws of the two BHiVAEs: the block prior, who learns from which term, and that they learn at all."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import unweave
from unweave.methods import BHiVAE, BHiVAESupervised
from unweave.methods.bhivae_supervised import cross_entropy, entropy, inverse_frequency
from unweave.methods.blocks import hsic, permuted_parts, verdict
from unweave.networks import MLP, Conv, Critic, Judged
from unweave.networks.blocks import block_root, kl_to_block
from unweave.testing import Dots
from unweave.types import Gaussian

from .case import BODY, LATENTS, SPEC, Case, case, gradients

SMALL: dict[str, Any] = {"blocks": (2, 1), "width": 5, "part_width": 7, "critic_hidden": 8, "critic_layers": 2}
TAUGHT: dict[str, Any] = {"blocks": (2, 1), "width": 5, "part_width": 7, "classifier_hidden": 8}


@pytest.mark.parametrize("data, latents", [("dsprites", 10), ("mnist", 14), ("triangle", 12)])
def test_published_settings(data: str, latents: int) -> None:
    """Fig. 5 and §4.2; twelve elsewhere are ours."""
    one = unweave.Experiment("bhivae", data).complete()
    assert one.method == BHiVAE(recon_weight=10.0, gamma=3.0, rho=0.5, blocks=(2, 2, 2))
    assert (one.latents, one.steps, one.batch, one.optimiser.lr) == (latents, 100_000, 128, 1e-4)


def test_faces_are_taught_the_published_attributes() -> None:
    """§4.3 and Fig. 7: black hair, bald and gender, in this order of layers."""
    one = unweave.Experiment("bhivae-supervised", "celeba").complete()
    assert one.method == BHiVAESupervised(labels=("Black_Hair", "Bald", "Male"))
    assert one.data.factors is not None
    taught = [one.data.factors.names[column] for column in one.method.columns(one.spec)]  # type: ignore[attr-defined]
    assert taught == ["Black_Hair", "Bald", "Male"]
    assert (one.latents, one.steps, one.batch) == (12, 100_000, 128)


@pytest.mark.parametrize(("size", "rho"), [(1, 0.5), (2, 0.5), (2, -0.9), (3, -0.4), (4, 0.8)])
def test_the_kl_to_a_block_is_that_of_torch(size: int, rho: float) -> None:
    torch.manual_seed(0)
    q = Gaussian(torch.randn(6, size).double(), torch.randn(6, size).double())
    assert q.logvar is not None
    root = block_root(size, rho, q.mean)
    normal = torch.distributions.MultivariateNormal
    own = normal(q.mean, torch.diag_embed(torch.exp(q.logvar)))
    prior = normal(torch.zeros(size).double(), root @ root.T)
    found = kl_to_block(q, root)
    torch.testing.assert_close(found, torch.distributions.kl_divergence(own, prior), rtol=1e-12, atol=1e-12)
    assert bool((found >= 0).all())


def test_the_kl_of_a_matching_gaussian_is_nothing() -> None:
    """Diagonal Gaussians match the prior exactly where ρ = 0; elsewhere the best one is left with ½ log det Σ / d."""
    q = Gaussian(torch.zeros(3, 2).double(), torch.zeros(3, 2).double())
    assert torch.equal(kl_to_block(q, block_root(2, 0.0, q.mean)), torch.zeros(3).double())
    for rho in (0.5, -0.7):
        best = Gaussian(q.mean, torch.full_like(q.mean, math.log(1 - rho**2)))
        least = kl_to_block(best, block_root(2, rho, q.mean))
        torch.testing.assert_close(least, torch.full_like(least, -0.5 * math.log(1 - rho**2)))
        for off in (0.1, -0.1):
            moved = Gaussian(best.mean + off, best.logvar)
            assert bool((kl_to_block(moved, block_root(2, rho, q.mean)) > least).all())


def test_where_all_codes_together_are_the_prior_the_kl_is_the_information() -> None:
    """Means from N(0, Σ − v I) and variances v fill N(0, Σ): the mean KL is I(x; z) = ½ log det Σ − ½ d log v."""
    rho, v = 0.5, 0.2
    torch.manual_seed(0)
    root = block_root(2, rho, torch.zeros(1).double())
    sigma = root @ root.T
    inner = torch.linalg.cholesky(sigma - v * torch.eye(2).double())
    mean = torch.randn(400_000, 2).double() @ inner.T
    found = kl_to_block(Gaussian(mean, torch.full_like(mean, math.log(v))), root).mean()
    information = 0.5 * (torch.logdet(sigma) - 2 * math.log(v))
    assert float(found) == pytest.approx(float(information), rel=0.01)


def critics_and_rest(one: Case) -> tuple[list[str], list[str]]:
    groups = one.model.groups()
    return list(groups["critic"]), list(groups["model"])


@pytest.mark.parametrize(
    "method",
    [
        BHiVAE(**SMALL),
        BHiVAE(**SMALL, single_discriminator=True),
        BHiVAE(**SMALL, encoder="stochastic"),
        *(BHiVAESupervised(**TAUGHT, inhibition=i) for i in ("shared", "adversary")),
    ],
    ids=lambda m: f"{m.name}-{getattr(m, 'encoder', '')}-{getattr(m, 'inhibition', '')}",
)
def test_critics_learn_from_their_own_term_and_nobody_else_does(method: Any) -> None:
    one = case(method)
    critics, rest = critics_and_rest(one)
    loss = one.loss()
    loss.terms["critic"].backward(retain_graph=True)
    found = gradients(one.model)
    assert all(bool(found[name].any()) for name in critics) and not any(bool(found[name].any()) for name in rest)
    one.model.zero_grad()
    (loss.total - loss.terms["critic"]).backward()
    found = gradients(one.model)
    assert all(bool(found[name].any()) for name in rest)
    assert all(float(found[name].abs().max()) < 1e-12 for name in critics)


@pytest.mark.parametrize("inhibition", ["shared", "adversary"])
def test_the_entropy_teaches_the_encoder_alone(inhibition: str) -> None:
    one = case(BHiVAESupervised(**TAUGHT, inhibition=inhibition))
    one.loss().terms["entropy"].backward()
    reached = {name for name, value in gradients(one.model).items() if bool(value.any())}
    assert reached and all(name.startswith("model.encoders.") for name in reached)


def test_the_reader_of_the_shared_kind_leaves_the_head_alone() -> None:
    one = case(BHiVAESupervised(**TAUGHT))
    one.loss().terms["critic"].backward()
    reached = {name for name, value in gradients(one.model).items() if bool(value.any())}
    assert reached == {f"critics.reader_{i}.{part}" for i in (1, 2) for part in ("weight", "bias")}


def test_later_layers_teach_earlier_ones() -> None:
    """The paper trains the encoder as a whole: what layer 2 is told reaches Enc_1."""
    one = case(BHiVAE(**SMALL))
    one.loss().terms["kl.2"].backward()
    reached = {name for name, value in gradients(one.model).items() if bool(value.any())}
    assert any(name.startswith("model.encoders.0") for name in reached)
    assert any(name.startswith("model.encoders.1") for name in reached)


@pytest.mark.parametrize("weight", ["gamma", "disc_weight"])
def test_one_discriminator_has_one_weight(weight: str) -> None:
    single = {"single_discriminator": True}
    a = case(BHiVAE(**SMALL, **single, gamma=2.5)).loss()
    b = case(BHiVAE(**SMALL, **single, gamma=9.0, disc_weight=2.5)).loss()
    assert torch.equal(a.total, b.total) and "separation" not in a.terms


def test_without_weights_only_the_reconstruction_is_left() -> None:
    method = BHiVAE(
        **SMALL, encoder="stochastic", matching="mmd", separation="hsic", kernel_weight=0.0, recon_weight=1.0
    )
    loss = case(method).loss()
    assert torch.equal(loss.total, loss.terms["recon"])


def test_a_stochastic_encoder_without_spread_is_the_deterministic_one() -> None:
    still, one = case(BHiVAE(**SMALL), spread=0.0), case(BHiVAE(**SMALL, encoder="stochastic"), spread=0.0)
    found = dict(one.model.state_dict())
    for i, (s, h) in enumerate(((2, 5), (1, 3))):
        means = torch.cat([torch.arange(s), 2 * s + torch.arange(h)])
        last = f"model.encoders.{i}." + ("head" if i == 0 else "2")
        for part in ("weight", "bias"):
            found[f"{last}.{part}"][means] = still.model.state_dict()[f"{last}.{part}"]
            spread = torch.cat([s + torch.arange(s), 2 * s + h + torch.arange(h)])
            found[f"{last}.{part}"][spread] = 0.0 if part == "weight" else -80.0
    rest = {n: v for n, v in still.model.state_dict().items() if v.shape == found[n].shape}
    one.model.load_state_dict({**found, **rest})
    torch.testing.assert_close(one.loss().terms["recon"], still.loss().terms["recon"], rtol=1e-4, atol=1e-6)


def test_permuting_keeps_blocks_whole_and_parts_them() -> None:
    s, h = torch.arange(10.0).view(5, 2), 100 + torch.arange(15.0).view(5, 3)
    order = torch.stack([torch.tensor([1, 2, 3, 4, 0]), torch.tensor([3, 4, 0, 1, 2])])
    found = permuted_parts(s, h, order)
    assert torch.equal(found[:, :2], s[order[0]]) and torch.equal(found[:, 2:], h[order[1]])
    rows = {tuple(row) for row in torch.cat([s, h], 1).tolist()}
    assert not rows & {tuple(row) for row in found.tolist()}


def test_a_critic_that_cannot_tell() -> None:
    critic = Critic(3, 1, 4, 1)
    nn.init.zeros_(critic.head.weight)
    nn.init.zeros_(critic.head.bias)
    z, others = torch.randn(4, 3), [torch.randn(4, 3), torch.randn(4, 3)]
    ratio, told = verdict(critic, z, others)
    assert ratio.item() == 0 and told.item() == pytest.approx(math.log(2))


def estimate(sample: Any, other: Any) -> float:
    """KL in nats as a small critic sees it."""
    torch.manual_seed(0)
    critic = Critic(2, 1, 64, 2)
    adam = torch.optim.Adam(critic.parameters(), 4e-3, (0.5, 0.9))
    for step in range(600):
        for group in adam.param_groups:
            group["lr"] = 4e-3 * (1 - step / 600)
        adam.zero_grad()
        verdict(critic, sample(256), other(256))[1].backward()
        adam.step()
    with torch.no_grad():
        return float(verdict(critic, sample(50_000), other(50_000))[0])


def test_critics_find_the_kl_and_the_information_of_a_gaussian() -> None:
    """N(0, Σ) with ρ = 0.9 against independent normals: both are −½ ln(1 − ρ²) nats."""
    root = block_root(2, 0.9, torch.zeros(1))

    def sample(count: int) -> Tensor:
        return torch.randn(count, 2) @ root.T

    def independent(count: int) -> list[Tensor]:
        return [torch.randn(count, 2)]

    def permuted(count: int) -> list[Tensor]:
        z = sample(count)
        return [permuted_parts(z[:, :1], z[:, 1:], torch.stack([torch.randperm(count), torch.randperm(count)]))]

    truth = -0.5 * math.log(1 - 0.9**2)
    assert estimate(sample, independent) == pytest.approx(truth, rel=0.12)
    assert estimate(sample, permuted) == pytest.approx(truth, rel=0.12)


def test_weights_by_inverse_frequency() -> None:
    y, like = torch.tensor([0, 0, 0, 2]), torch.zeros(4, 5)
    weights = inverse_frequency(y, like)
    torch.testing.assert_close(weights, torch.tensor([1 / 6, 1 / 6, 1 / 6, 1 / 2]))
    even = inverse_frequency(torch.tensor([0, 1, 2, 1, 0, 2]), torch.zeros(6, 3))
    torch.testing.assert_close(even, torch.full((6,), 1 / 6))
    logits = torch.zeros(4, 5)
    assert float(cross_entropy(logits, y, weights)) == pytest.approx(math.log(5))
    assert entropy(logits).tolist() == pytest.approx([math.log(5)] * 4)
    torch.testing.assert_close(entropy(torch.tensor([[1e4, 0.0]])), torch.zeros(1))


def test_labels_choose_columns_and_layers() -> None:
    method = BHiVAESupervised(blocks=(2, 1, 1), labels=("place",), width=5)
    model = method.network(SPEC, LATENTS, BODY)
    assert isinstance(model, Judged)
    net: Any = model.model
    assert net.columns == (2,) and net.parts == (2, 4) and model.blocks == ((0, 1), (2, 3), (4, 5))
    assert [one.head.head.out_features for one in net.classifiers] == [4]
    BHiVAESupervised(labels=("place",)).check(SPEC, 3)
    many: Any = BHiVAESupervised(blocks=(2, 1, 1), width=5).network(SPEC, LATENTS, BODY)
    assert many.model.columns == (0, 1, 2) and [c.head.head.out_features for c in many.model.classifiers] == [3, 2, 4]


def test_the_networks_of_binary_and_of_coloured_images() -> None:
    for shape, likelihood, kind in (
        ((1, 16, 16), "bernoulli", MLP),
        ((3, 16, 16), "squared", Conv),
        ((1, 16, 16), "squared", Conv),
    ):
        model: Any = BHiVAE(**SMALL).network(SPEC._replace(shape=shape, likelihood=likelihood), LATENTS)
        convolutions = any("Conv" in type(part).__name__ for part in model.model.encoders[0].modules())
        assert convolutions is (kind is Conv)
        assert model.decode(torch.zeros(2, LATENTS)).shape == (2, *shape)


def test_the_prior_of_the_run_is_the_methods() -> None:
    run = unweave.fit(
        BHiVAE(**SMALL, rho=0.8), Dots(), steps=2, batch=8, latents=6, network=MLP((8,)), precision="float64"
    )
    draws = torch.randn(100_000, 6, dtype=torch.float64)
    found = torch.cov(run.model.prior(draws).T)
    assert float(found[0, 1]) == pytest.approx(0.8, abs=0.02) and abs(float(found[0, 2])) < 0.02
    images = run.traverse(run.model.blocks[0], torch.linspace(-3, 3, 7), torch.zeros(6, dtype=torch.float64))
    assert images.shape == (7, 1, 8, 8) and not torch.equal(images[0], images[6])


def test_hsic_tells_dependent_parts_from_independent_ones() -> None:
    torch.manual_seed(0)
    a, b = torch.randn(2, 400, 2).double()
    assert abs(float(hsic(a, b))) < 1e-3 < float(hsic(a, a + 0.5 * b))
    few = torch.stack([hsic(*torch.randn(2, 8, 2).double()) for _ in range(2000)])
    assert abs(float(few.mean())) < 4 * float(few.std()) / math.sqrt(2000)


@pytest.mark.slow
@pytest.mark.parametrize("inhibition", ["shared", "adversary"])
def test_labels_are_learned_and_c_forgets_them(inhibition: str) -> None:
    method = BHiVAESupervised(
        labels=("size", "row"), blocks=(2, 2), width=32, part_width=32, inhibition=inhibition, beta=20.0, gamma=5.0
    )
    adam = unweave.Adam(lr=1e-3)
    run = unweave.fit(method, Dots(), steps=600, batch=32, latents=8, network=MLP((64,)), optimiser=adam, every=50)
    assert run.terms["recon"][-1] < 0.25 * run.terms["recon"][0]
    assert min(run.terms["accuracy.1"][-3:]) > 0.9 and min(run.terms["accuracy.2"][-3:]) > 0.9
    # c may not say the row: whoever reads it off c is as good as lost. h^1 still holds it, for layer 2.
    assert run.terms["entropy.2"][-1] > 0.95 * math.log(4)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"single_discriminator": True},
        {"matching": "mmd", "separation": "hsic"},
        {"encoder": "stochastic", "matching": "kl"},
    ],
    ids=["two", "one", "kernels", "closed form"],
)
def test_images_come_through_the_blocks(options: dict[str, Any]) -> None:
    method = BHiVAE(
        blocks=(2, 2), width=8, part_width=32, critic_hidden=64, critic_layers=2, recon_weight=1.0, gamma=1.0, **options
    )
    adam = unweave.Adam(lr=1e-3)
    run = unweave.fit(method, Dots(), steps=600, batch=32, latents=6, network=MLP((64,)), optimiser=adam, every=50)
    assert run.terms["recon"][-1] < 0.4 * run.terms["recon"][0]
    if "mmd" in run.terms:
        assert run.terms["mmd"][-1] < 0.1 * run.terms["mmd"][0]
