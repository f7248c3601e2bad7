"""Laws of the numbering of factor levels."""

import pytest
import torch

from unweave.data import Factors
from unweave.types import UserError

FACTORS = Factors(("shape", "scale", "x"), (3, 1, 5), (False, False, True))


def test_levels_and_index_are_inverse(device):
    index = torch.arange(FACTORS.count, device=device)
    levels = FACTORS.levels(index)
    assert FACTORS.count == 15
    assert torch.equal(FACTORS.index(levels), index)
    assert len(levels.unique(dim=0)) == 15
    assert levels[1].tolist() == [0, 0, 1]  # the last factor is the fastest


@pytest.mark.parametrize("levels", [[[3, 0, 0]], [[0, -1, 0]], [[0, 0]]])
def test_index_refuses_levels_outside(levels):
    with pytest.raises(UserError, match="leave the factors"):
        FACTORS.index(torch.tensor(levels))


def test_sample_is_uniform_and_holds(device):
    uniforms = torch.linspace(0, 1, 3001, device=device)[:-1, None].expand(-1, 3)
    levels = FACTORS.sample(uniforms, hold={"x": 4})
    assert torch.bincount(levels[:, 0]).tolist() == [1000, 1000, 1000]
    assert levels[:, 2].unique().tolist() == [4]
    nearly_one = torch.full((1, 3), 1.0, device=device).nextafter(torch.zeros(1, 3, device=device))
    assert FACTORS.sample(nearly_one).tolist() == [[2, 0, 4]]


def test_sample_refuses_a_level_outside_and_an_unknown_factor():
    with pytest.raises(UserError, match="levels 0 to 2, not 3"):
        FACTORS.sample(torch.rand(2, 3), hold={"shape": 3})
    with pytest.raises(UserError, match="unknown factor 'colour'; allowed: shape, scale, x"):
        FACTORS.sample(torch.rand(2, 3), hold={"colour": 0})


def test_traverse_moves_one_factor(device):
    levels = FACTORS.traverse(torch.tensor([2, 0, 3], device=device), "x")
    assert levels.tolist() == [[2, 0, k] for k in range(5)]
