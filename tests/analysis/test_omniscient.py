"""Omniscient latents: what counts as one, in how many models."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from unweave.analysis import kl_decompose, marginal_entropies, omniscient
from unweave.types import Codes, UserError

PRIOR = 0.5 * math.log(2 * math.pi * math.e)


def codes(means: list[list[float]], logvar: float, copies: int = 20) -> Codes:
    mean = torch.tensor(means, dtype=torch.float64).repeat(copies, 1)
    return Codes.of(mean, logvar=torch.full_like(mean, logvar))


QUIET = codes([[0.0, 0.0]], 0.0)
CLUSTERS = codes([[-1.0, 0.0], [0.0, 1.0], [1.0, 2.0]], 2 * math.log(1e-3))
"""Three clusters of width 1e-3: H = ln 3 + ½ ln 2πe σ² for every latent."""


def test_entropies_have_their_closed_forms() -> None:
    assert marginal_entropies(QUIET, samples=4000).tolist() == pytest.approx([PRIOR, PRIOR], abs=0.05)
    sharp = math.log(3) + PRIOR + math.log(1e-3)
    assert marginal_entropies(CLUSTERS, samples=4000).tolist() == pytest.approx([sharp, sharp], abs=0.05)
    together = marginal_entropies(CLUSTERS, [(0, 1)], samples=4000)
    assert together.tolist() == pytest.approx([math.log(3) + 2 * (PRIOR + math.log(1e-3))], abs=0.05)


def test_they_are_those_of_the_decomposition() -> None:
    found = kl_decompose(CLUSTERS, [(0, 1)], samples=500)
    assert marginal_entropies(CLUSTERS, samples=500).tolist() == [found.entropies[(0,)], found.entropies[(1,)]]
    assert marginal_entropies(CLUSTERS, [(0, 1)], samples=500).item() == found.entropies[(0, 1)]


@pytest.mark.parametrize("many, found", [(100, True), (99, True), (98, False), (0, False)])
def test_the_share_of_models_that_must_have_one(many: int, found: bool) -> None:
    cell = [CLUSTERS] * many + [QUIET] * (100 - many)
    answer = omniscient(cell, samples=20)
    assert answer.share == many / 100 and answer.found is found
    assert len(answer.entropies) == len(answer.least) == len(answer.which) == 100


def test_a_single_model_and_which_latent_it_is() -> None:
    half = Codes.of(QUIET.mean, logvar=torch.tensor([[0.0, -20.0]]).expand(20, 2))
    answer = omniscient([half, half], samples=200)
    assert answer.found and answer.which == ((1,), (1,)) and answer.least[0] < -8
    assert not omniscient([half, QUIET], samples=200).found
    assert omniscient([half, QUIET], delta=0.5, samples=200).found


BAD: list[tuple[Any, str]] = [
    (lambda: omniscient([]), "0 models"),
    (lambda: omniscient([QUIET], delta=1.0), "delta = 1.0"),
    (lambda: omniscient([QUIET._replace(logvar=None)]), "these codes are points"),
    (lambda: marginal_entropies(QUIET, [(0, 2)]), "allowed: disjoint sets of 0 to 1"),
]


@pytest.mark.parametrize("call, said", BAD, ids=[said for _, said in BAD])
def test_one_clear_line(call: Any, said: str) -> None:
    with pytest.raises(UserError) as error:
        call()
    assert said in str(error.value) and "\n" not in str(error.value)
