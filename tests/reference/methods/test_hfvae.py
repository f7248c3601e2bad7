"""HFVAE against its objective written out, for every estimator and with a smaller last group."""

from __future__ import annotations

import pytest

from unweave.methods import HFVAE

from .case import TIGHT, case
from .grouped import expected

TERMS = {"recon", "kl", "mi", "tc", "tc_joint", "tc_within", "dw"}


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("estimator", ["batch", "mws", "mss", "exact-weights"])
@pytest.mark.parametrize("kl", ["analytic", "sampled"])
@pytest.mark.parametrize("mi_weight, dw_weight", [(1.0, 1.0), (0.3, 2.0)])
def test_terms(size: int, estimator: str, kl: str, mi_weight: float, dw_weight: float) -> None:
    likelihood = "squared" if kl == "sampled" else "bernoulli"
    one = case(HFVAE(5.5, 2.5, size, mi_weight, dw_weight, size > 3, estimator, kl), likelihood)
    weights = {"mi": mi_weight, "tc_joint": 5.5, "tc_within": 2.5, "dw": dw_weight}
    wanted = expected(one, size, weights, likelihood)
    loss = one.loss()
    assert set(loss.terms) == TERMS
    for name, value in loss.terms.items():
        assert value.item() == pytest.approx(wanted[name], rel=TIGHT, abs=1e-12), name
    assert loss.total.item() == pytest.approx(wanted["total"], rel=TIGHT)
