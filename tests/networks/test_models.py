"""What every network keeps to: shapes, clamped log-variances, precision, and a partition of its parameters."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from unweave.data.base import DataSpec
from unweave.methods import DEFT, VAE, BetaVAE, ControlVAE, DeVAE, FactorVAE, Method
from unweave.networks import MLP, Body, Conv, Critic, GroupedVAE, Model, SpacesVAE, detached, set_precision
from unweave.networks.bodies import Trunk
from unweave.networks.likelihoods import distortion
from unweave.networks.vae import gaussian
from unweave.types import LOGVAR_RANGE, UserError

LATENTS = 6
METHODS = [
    VAE(),
    BetaVAE(),
    ControlVAE(),
    FactorVAE(critic_hidden=8, critic_layers=2),
    *(
        DeVAE((1.0, 5.0, 40.0), hierarchy=h, space_code=c)
        for h in ("dit", "linear", "none")
        for c in ("embedding", "onehot")
    ),
    DeVAE((4.0,)),
    DEFT((3.0, 2.0, 1.0)),
    DEFT((3.0, 2.0, 1.0), scaling="freeze_dit"),
    DEFT((3.0, 2.0, 1.0), scaling="grad", future="scale", shared=True),
    DEFT(tuple(float(12 - i) for i in range(12))),
]
methods = pytest.mark.parametrize(
    "method", METHODS, ids=lambda m: "-".join([m.name, *(str(v) for v in vars(m).values())])
)


def network(method: Method, latents: int = LATENTS, body: Body | None = None, size: int = 8) -> Any:
    torch.manual_seed(0)
    latents = 12 if isinstance(method, DEFT) and method.count == 12 else latents
    return method.network(DataSpec((1, size, size), "bernoulli", 100, None), latents, body or MLP((16,)))


@methods
def test_groups_hold_every_parameter_once(method: Method) -> None:
    model = network(method)
    named = [name for group in model.groups().values() for name in group]
    assert sorted(named) == sorted(name for name, _ in model.named_parameters())
    assert all(model.groups().values())


def test_groups_by_name() -> None:
    assert set(network(FactorVAE(critic_hidden=8)).groups()) == {"model", "critic"}
    assert set(network(DEFT((3.0, 2.0, 1.0))).groups()) == {"encoder 0", "encoder 1", "encoder 2", "decoder"}
    assert set(network(METHODS[-2]).groups()) == {"encoder", "decoder"}
    assert set(network(DeVAE()).groups()) == {"all"}
    frozen = network(DEFT((3.0, 2.0, 1.0), scaling="freeze_dit"))
    assert frozen.groups()["projection 1"] == ("w_mean.1", "w_logvar.1") and "projection 2" not in frozen.groups()


@methods
def test_every_space_encodes_and_decodes(method: Method) -> None:
    model = network(method)
    x = torch.rand(4, 1, 8, 8)
    for space in range(model.spaces):
        q = model.encode(x, space)
        assert q.mean.shape == q.logvar.shape == (4, model.latents)
        assert model.decode(q.mean, space).shape == x.shape
    draws = torch.randn(3, model.latents)
    assert torch.equal(model.prior(draws), draws)
    assert model.features(x)
    assert all(len(value) == 4 for value in model.features(x).values())


@methods
@pytest.mark.parametrize("precision", ["bf16", "float32", "float64"])
def test_latents_heads_and_outputs_keep_full_precision(method: Method, precision: str) -> None:
    model = set_precision(network(method, body=Conv("standard", hidden=12)), precision)
    assert isinstance(model, Model)
    full = torch.float64 if precision == "float64" else torch.float32
    seen: list[torch.dtype] = []
    for module in model.modules():
        if isinstance(module, Trunk):
            module.layers[1].register_forward_hook(lambda _m, _i, out: seen.append(out.dtype))
    x = torch.rand(2, 1, 8, 8, dtype=full)
    q = model.encode(x)
    logits = model.decode(q.mean)
    assert q.logvar is not None
    assert {value.dtype for value in (q.mean, q.logvar, logits, model.distortion(logits, x))} == {full}
    assert {parameter.dtype for parameter in model.parameters()} == {full}
    assert all(module.bf16 is (precision == "bf16") for module in model.modules() if isinstance(module, Trunk))
    assert seen and set(seen) == {torch.bfloat16 if precision == "bf16" else full}


def test_a_critic_in_bf16_scores_in_full_precision() -> None:
    critic = set_precision(Critic(6, 2, 8, 2), "bf16")
    assert critic(torch.randn(3, 6)).dtype == torch.float32


@pytest.mark.parametrize("value", [-1e9, -30.5, 20.5, 1e9])
def test_log_variances_stay_in_their_range(value: float) -> None:
    low, high = LOGVAR_RANGE
    q = gaussian(torch.full((2, 6), value))
    assert q.logvar is not None
    assert torch.equal(q.mean, torch.full((2, 3), value))
    assert bool((q.logvar == (low if value < 0 else high)).all())
    assert bool(torch.isfinite(q.kl()).all()) or abs(value) > 1e8
    inside = torch.linspace(low, high, 11)[None].repeat(1, 2)
    assert torch.equal(gaussian(inside).logvar, inside[:, :11])


def test_means_come_first() -> None:
    q = gaussian(torch.arange(6.0)[None])
    assert q.logvar is not None
    assert q.mean.tolist() == [[0, 1, 2]] and q.logvar.tolist() == [[3, 4, 5]]


def test_a_space_that_does_not_exist() -> None:
    model = network(DeVAE((1.0, 40.0)))
    for space in (-1, 2):
        with pytest.raises(UserError, match=f"latent space {space}; this model has 0 to 1"):
            model.encode(torch.rand(1, 1, 8, 8), space)


def test_space_codes() -> None:
    """Standard normal rows that are learned, or unit vectors that are not."""
    torch.manual_seed(0)
    many = SpacesVAE(MLP((4,)), (1, 4, 4), 200, "bernoulli", 50)
    assert isinstance(many.code, nn.Parameter) and many.code.shape == (50, 200)
    assert abs(float(many.code.detach().mean())) < 0.05 and abs(float(many.code.detach().std()) - 1) < 0.05
    units = SpacesVAE(MLP((4,)), (1, 4, 4), 5, "bernoulli", 3, space_code="onehot")
    assert torch.equal(units.code, torch.eye(3)) and "code" not in dict(units.named_parameters())


def test_linear_spaces_report_the_diagonal_of_their_covariance() -> None:
    model = network(DeVAE((1.0, 5.0, 40.0), hierarchy="linear"))
    with torch.no_grad():
        model.matrix += 0.5 * torch.randn_like(model.matrix)
    x = torch.rand(4, 1, 8, 8)
    first, q = model.encode(x), model.encode(x, 2)
    w = model.matrix[1] @ model.matrix[0]
    covariance = w @ torch.diag_embed(torch.exp(first.logvar)) @ w.T
    torch.testing.assert_close(torch.exp(q.logvar), torch.diagonal(covariance, dim1=-2, dim2=-1))
    torch.testing.assert_close(q.mean, first.mean @ w.T)


def test_shared_and_separate_encoders_order_their_latents_alike() -> None:
    """Group i holds latents i·D/G … (i + 1)·D/G − 1, whichever encoder made them."""
    shared = GroupedVAE(MLP((8,)), MLP((8,)), (1, 8, 8), 6, "bernoulli", 3, start_at_prior=False, shared=True)
    apart = GroupedVAE(MLP((8,)), MLP((8,)), (1, 8, 8), 6, "bernoulli", 3, start_at_prior=False)
    x = torch.rand(4, 1, 8, 8)
    for model in (shared, apart):
        whole = model.encode(x)
        for i, part in enumerate(model.parts(x)):
            assert torch.equal(whole.mean[:, 2 * i : 2 * i + 2], part.mean)
            assert whole.logvar is not None
            assert torch.equal(whole.logvar[:, 2 * i : 2 * i + 2], part.logvar)
    assert torch.equal(shared.encode(x).mean, shared.encoders[0](x)[:, :6])


def test_a_detached_critic_teaches_its_inputs_alone() -> None:
    critic = Critic(3, 2, 8, 2)
    z = torch.randn(4, 3, requires_grad=True)
    score = detached(critic, z)
    assert torch.equal(score, critic(z))
    score.sum().backward()
    assert z.grad is not None and bool(z.grad.any())
    assert all(parameter.grad is None for parameter in critic.parameters())


def test_likelihoods() -> None:
    torch.manual_seed(0)
    logits, x = torch.randn(3, 2, 4, 4).double(), torch.rand(3, 2, 4, 4).double()
    s = torch.sigmoid(logits)
    bernoulli = -(x * torch.log(s) + (1 - x) * torch.log(1 - s)).sum((1, 2, 3))
    torch.testing.assert_close(distortion("bernoulli", logits, x), bernoulli)
    torch.testing.assert_close(distortion("squared", logits, x), ((x - s) ** 2).sum((1, 2, 3)))
    extreme = distortion("bernoulli", torch.tensor([[[[1e4, -1e4]]]]), torch.tensor([[[[0.0, 1.0]]]]))
    assert extreme.tolist() == [2e4]
    with pytest.raises(UserError, match=r"unknown likelihood 'gaussian'.* \(allowed: bernoulli, squared\)"):
        distortion("gaussian", logits, x)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (MLP(()), r"hidden = \(\); allowed: one or more widths"),
        (MLP((8, 0)), r"hidden = \(8, 0\)"),
        (MLP((8,), "gelu"), r"unknown activation of MLP 'gelu'.* \(allowed: relu, tanh\)"),
    ],
)
def test_dense_bodies_refuse_nonsense(body: MLP, said: str) -> None:
    shape = (1, 4, 4)
    for build in (lambda: body.encoder(shape, 2), lambda: body.decoder(2, shape), lambda: body.check(shape)):
        with pytest.raises(UserError, match=said):
            build()


def test_dense_bodies_mirror_their_widths() -> None:
    body = MLP((20, 10), "tanh")
    sizes = [
        [tuple(layer.weight.shape) for layer in part.modules() if isinstance(layer, nn.Linear)]
        for part in (body.encoder((1, 4, 4), 6), body.decoder(3, (1, 4, 4)))
    ]
    assert sizes == [[(20, 16), (10, 20), (6, 10)], [(10, 3), (20, 10), (16, 20)]]
    assert any(isinstance(layer, nn.Tanh) for layer in body.decoder(3, (1, 4, 4)).modules())
