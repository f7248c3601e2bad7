"""RecurD: who learns from which term, and what it is without its penalties."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from unweave.engine import Experiment
from unweave.methods import BetaVAE, RecurD
from unweave.methods.mutual_information import ESTIMATORS, bounded
from unweave.networks import Conv
from unweave.types import Batch

from .case import LATENTS, SPEC, case, gradients

SMALL: dict[str, Any] = {"critic_hidden": 8, "critic_layers": 2}


@pytest.mark.parametrize("modules", [0, 1, 2])
@pytest.mark.parametrize("weight", [0.0, 1.0, 4.0])
def test_without_penalties_the_model_learns_as_a_beta_vae(modules: int, weight: float) -> None:
    """λ_1 = λ_2 = 0 is a β-VAE on the compositional architecture, with β = kl_weight."""
    one = case(RecurD(modules, l1=0.0, l2=0.0, kl_weight=weight, **SMALL))
    one.loss().total.backward()
    mine = gradients(one.model.model)
    one.model.zero_grad()
    BetaVAE(weight).loss(one.model.model, one.batch, {}).total.backward()
    for name, value in gradients(one.model.model).items():
        torch.testing.assert_close(mine[name], value, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("l1", [0.0, 0.1, 1.0, 50.0])
def test_the_kl_has_the_weight_of_minimal_sufficiency(l1: float) -> None:
    """Eq. 1: λ_1 weighs I(x; z), which the KL bounds, unless another weight is asked for."""
    left, given, other = (case(RecurD(l1=l1, kl_weight=w, **SMALL)).loss() for w in (None, l1, l1 + 1))
    torch.testing.assert_close(left.total, given.total, rtol=0, atol=0)
    torch.testing.assert_close(other.total - left.total, left.terms["kl"], rtol=1e-9, atol=1e-9)
    assert RecurD(l1=l1).kl_weight is None


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_penalties_do_not_teach_the_critics(estimator: str) -> None:
    found = []
    for scale in (0.0, 30.0):
        one = case(RecurD(estimator=estimator, l1=scale, l2=2 * scale, **SMALL))
        one.loss().total.backward()
        found.append(gradients(one.model))
    for name, value in found[0].items():
        if name.startswith("critics"):
            torch.testing.assert_close(found[1][name], value, rtol=1e-12, atol=1e-14)
            assert bool(value.any())
    moved = "model.following.0.bias"
    assert not torch.allclose(found[0][moved], found[1][moved])


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_one_backward_gives_the_gradients_of_two(estimator: str) -> None:
    """The model descends recon + KL + λ·I with critics held fixed, then the critics on features held fixed."""
    method = RecurD(estimator=estimator, l1=0.6, l2=1.7, kl_weight=0.8, negatives=2, smile_clip=0.5, **SMALL)
    one = case(method)
    one.loss().total.backward()
    together = gradients(one.model)
    net, critics, batch = one.model.model, one.model.critics, one.batch

    def followed(name: str, part: Any, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        """What the model descends and what the critic ascends for one term, pair by pair."""
        raw = critics[name.replace(".", "_")](left, right, *part.pairs)
        t = raw if estimator == "club" else 10 * torch.tanh(raw / 10)
        joint, apart = t[0], t[1:].flatten(0, 1)
        if estimator == "dv":
            slope = joint.mean(0) - apart.exp().mean(0) / apart.exp().mean(0).detach()
        elif estimator in ("jsd", "smile"):
            slope = torch.log(torch.sigmoid(joint)).mean(0) + torch.log(torch.sigmoid(-apart)).mean(0)
        elif estimator == "nwj":
            slope = joint.mean(0) - apart.exp().mean(0)
        elif estimator == "infonce":
            slope = torch.log(joint.exp() / t.exp().sum(0)).mean(0)
        else:
            slope = torch.relu(joint.mean(0) - apart.mean(0))
        return slope.sum(), (joint.mean(0) if estimator == "club" else slope).mean()

    q, seen = net.passes(batch.x)
    z = q.sample(batch.noise["z"])
    parts = method.parts(seen, z.unflatten(-1, (-1, 1)))
    assert set(parts) == {"sufficient.2", "disentangled.2", "disentangled.z"}

    one.model.zero_grad()
    objective = net.distortion(net.decode(z), batch.x).mean() + 0.8 * q.kl().sum(-1).mean()
    for name, part in parts.items():
        weight = 0.6 if name.startswith("s") else 1.7
        objective = objective + weight * followed(name, part, part.left, part.right)[0]
    objective.backward()
    for name, value in gradients(net).items():
        torch.testing.assert_close(together[f"model.{name}"], value, rtol=1e-9, atol=1e-11)

    one.model.zero_grad()
    for name, part in parts.items():
        (-followed(name, part, part.left.detach(), part.right.detach())[1]).backward()
    for name, value in gradients(critics).items():
        assert bool(value.any())
        torch.testing.assert_close(together[f"critics.{name}"], value, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_critics_gone_wild_stay_finite(estimator: str) -> None:
    one = case(RecurD(estimator=estimator, **SMALL), precision="float32")
    with torch.no_grad():
        for critic in one.model.critics.values():
            critic.head.weight.mul_(1e3)
            critic.head.bias.add_(1e3)
    loss = one.loss()
    loss.total.backward()
    values = [loss.total, *loss.terms.values(), *loss.state.values(), *gradients(one.model).values()]
    assert all(bool(torch.isfinite(value).all()) for value in values)


def test_shown_information_is_never_below_zero() -> None:
    for seed in range(5):
        terms = case(RecurD(**SMALL), seed=seed).loss().terms
        assert all(value >= 0 for name, value in terms.items() if name.startswith(("sufficient", "disentangled")))


@pytest.mark.parametrize("modules", [0, 1, 2])
def test_all_latents_are_encoded_and_their_layers_shown(modules: int) -> None:
    one = case(RecurD(modules, **SMALL))
    q = one.model.encode(one.batch.x)
    assert q.mean.shape == q.logvar.shape == (len(one.batch.x), LATENTS)
    shown = one.model.features(one.batch.x)
    layers = {f"{what}{place}" for place in range(2, 2 + modules) for what in ("m", "routed ", "router ")}
    assert set(shown) == layers or not modules
    for name, value in shown.items():
        if name.startswith("router"):
            torch.testing.assert_close(value.sum(1), torch.ones_like(value[:, 0]))
        elif modules:
            assert value.ndim == 2


def test_parts_of_two_latents_are_blocks() -> None:
    one = case(RecurD(size=2, **SMALL))
    assert one.model.blocks == ((0, 1), (2, 3), (4, 5))
    assert case(RecurD(**SMALL)).model.blocks == ()


def test_the_model_waits_for_the_critics() -> None:
    assert [RecurD(n_critic=3).rates(step)["model"].scale for step in range(6)] == [0, 0, 1, 0, 0, 1]
    assert RecurD().rates(0)["model"].scale == 1
    assert RecurD(critic_lr=3e-4, critic_clip=0.5).optimisers()["critic"].lr == 3e-4


@pytest.mark.parametrize(
    "method, colours, latents, count",
    [
        (RecurD(0), 3, 8, 632_531),
        (RecurD(1), 3, 8, 650_395),
        (RecurD(2), 3, 16, 615_735),
        (RecurD(2, combine="concat"), 3, 16, 845_111),
        (RecurD(1), 1, 8, 645_273),
    ],
)
def test_networks_as_published(method: RecurD, colours: int, latents: int, count: int) -> None:
    """Parameter counts worked out by hand from Tables 3 to 5."""
    judged: Any = method.network(SPEC._replace(shape=(colours, 64, 64)), latents)
    assert sum(p.numel() for p in judged.model.parameters()) == count


def test_shared_critics_are_about_half_a_million_weights() -> None:
    """The paper's shared critics have 1.325 − 0.826 million (Table 10)."""
    judged: Any = RecurD().network(SPEC._replace(shape=(3, 64, 64)), 8)
    assert 0.4e6 < sum(p.numel() for p in judged.critics.parameters()) < 0.6e6
    own: Any = RecurD(shared=False, critic_hidden=8).network(SPEC, LATENTS, Conv("lite"))
    pairs = {name: critic.head.weight.shape[0] for name, critic in own.critics.items()}
    assert pairs == {"sufficient_2": 30, "disentangled_2": 15, "disentangled_z": 15}


@pytest.mark.parametrize("data, modules, latents", [("dsprites", 1, 8), ("shapes3d", 1, 8), ("celeba", 2, 16)])
def test_published_settings(data: str, modules: int, latents: int) -> None:
    """Appendix D: RecurD1, and RecurD2 on CelebA."""
    one = Experiment("recurd", data).complete()
    assert one.method == RecurD(modules=modules, l1=1.0, l2=2.0)
    assert (one.latents, one.steps, one.batch, one.optimiser.lr) == (latents, 300_000, 64, 1e-4)


def test_the_loss_does_not_depend_on_the_order_of_rows_but_for_independent_pairs() -> None:
    """A cyclic roll of the whole batch changes nothing; independent pairs are never a row with itself."""
    one = case(RecurD(**SMALL))
    rolled = Batch(
        one.batch.x.roll(2, 0), one.batch.y, one.batch.labels, {"z": one.batch.noise["z"].roll(2, 0)}, *one.batch[4:]
    )
    torch.testing.assert_close(
        one.method.loss(one.model, rolled, one.state).total, one.loss().total, rtol=1e-12, atol=0
    )


def test_bounded_scores_keep_a_gradient() -> None:
    raw = torch.tensor([-1e3, -5.0, 0.0, 0.1, 30.0], dtype=torch.float64, requires_grad=True)
    found = bounded(raw, 10.0)
    found.sum().backward()
    assert found.abs().max() <= 10 and bool((raw.grad[1:] > 0).all())
    assert found[3].item() == pytest.approx(0.1, rel=1e-4)
