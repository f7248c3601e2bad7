"""Critics on frozen features: known information, and a model whose own critics are blind."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import unweave
from unweave.analysis import critic_information, refreshed_information
from unweave.networks import PairCritic
from unweave.types import UserError


def gaussians(rho: float, count: int = 8000) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(3)
    a, b = torch.randn(2, count, 1, 1, generator=g, dtype=torch.float64)
    return a, rho * a + math.sqrt(1 - rho**2) * b


PAIR = (torch.tensor([0]), torch.tensor([0]))


@pytest.mark.parametrize("own", [False, True])
def test_gaussians_with_known_information(own: bool) -> None:
    a, b = gaussians(0.8)
    found = critic_information(a, b, PAIR, steps=400, hidden=32, layers=2, lr=5e-3, own=own)
    assert found.shape == (1,)
    assert found[0] == pytest.approx(-0.5 * math.log(1 - 0.8**2), abs=0.1)


def test_independent_parts_have_none() -> None:
    a, b = gaussians(0.0)
    found = critic_information(a, b, PAIR, steps=200, hidden=32, layers=2)
    assert abs(found[0]) < 0.05


def test_same_seed_same_number_and_other_random_state_untouched() -> None:
    a, b = gaussians(0.5, 400)
    before = torch.get_rng_state()
    first, second = (critic_information(a, b, PAIR, steps=5, hidden=8, seed=4) for _ in range(2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, critic_information(a, b, PAIR, steps=5, hidden=8, seed=5))
    assert torch.equal(before, torch.get_rng_state())


def test_a_blind_critic_is_found_out() -> None:
    """All but the new critic's numbers are 0 where the model's own critics always answer the same."""
    method = unweave.RecurD(critic_hidden=8, critic_layers=2)
    run = unweave.fit(method, "triangle", latents=4, steps=2, batch=8, network=unweave.MLP((16,)), precision="float64")
    with torch.no_grad():
        for critic in run.model.critics.values():
            critic.head.weight.zero_()
    found = refreshed_information(run.model, method, run.images, count=800, steps=100, hidden=16)
    assert set(found) == {"sufficient.2", "disentangled.2", "disentangled.z"}
    for one in found.values():
        assert one.trained is not None
        assert one.trained.shape == one.fresh.shape == (len(one.pairs),)
        assert np.allclose(one.trained, 0, atol=1e-12)
    assert found["disentangled.2"].fresh.mean() > 0.1
    assert run.model.critics["sufficient_2"].shifts == 1


def test_the_models_own_critics_stay_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is measured on the CPU is a copy, or a model on a GPU would come back in two places."""
    moved = []
    monkeypatch.setattr(PairCritic, "cpu", lambda self: moved.append(self) or self)
    method = unweave.RecurD(critic_hidden=8, critic_layers=2)
    run = unweave.fit(method, "triangle", latents=4, steps=1, batch=8, network=unweave.MLP((16,)))
    before = {name: (id(one), one.shifts) for name, one in run.model.critics.items()}
    refreshed_information(run.model, method, run.images, count=40, steps=1, hidden=8)
    assert len(moved) == 2 * len(before), "those of the model and the new ones"
    assert not {id(one) for one in moved} & {place for place, _ in before.values()}
    assert {name: (id(one), one.shifts) for name, one in run.model.critics.items()} == before


def test_what_is_refused() -> None:
    a, b = gaussians(0.5, 100)
    with pytest.raises(UserError, match="100 and 99 rows"):
        critic_information(a, b[1:], PAIR)
    with pytest.raises(UserError, match="39 and 39 rows; allowed: as many of both, 40 or more"):
        critic_information(a[:39], b[:39], PAIR)
    with pytest.raises(UserError, match="steps = 0"):
        critic_information(a, b, PAIR, steps=0)
    with pytest.raises(UserError, match="NaN"):
        critic_information(a * math.nan, b, PAIR)
    with pytest.raises(UserError, match="hidden = 0"):
        critic_information(a, b, PAIR, hidden=0)
    with pytest.raises(UserError, match=r"shapes \(100, 1\) and \(100, 1, 1\)"):
        critic_information(a[..., 0], b)
    with pytest.raises(UserError, match="0 pairs of 1 and 1 parts"):
        critic_information(a, a)
    with pytest.raises(UserError, match="1 pairs of 1 and 1 parts; allowed: one pair or more, of parts that are there"):
        critic_information(a, b, (torch.tensor([0]), torch.tensor([1])))


def test_pairs_that_are_not_named_are_all() -> None:
    random = torch.Generator().manual_seed(0)
    a, b = torch.randn(60, 3, 1, generator=random), torch.randn(60, 2, 1, generator=random)
    every = torch.cartesian_prod(torch.arange(3), torch.arange(2))
    found = critic_information(a, b, steps=2, hidden=4)
    assert found.tolist() == critic_information(a, b, (every[:, 0], every[:, 1]), steps=2, hidden=4).tolist()
    assert len(critic_information(a, a, steps=2, hidden=4)) == 3
