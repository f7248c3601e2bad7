"""β-TCVAE against its objective written out, for every estimator."""

from __future__ import annotations

import pytest

from unweave.methods import BetaTCVAE

from .case import TIGHT, case
from .grouped import expected


@pytest.mark.parametrize("likelihood", ["bernoulli", "squared"])
@pytest.mark.parametrize("estimator", ["batch", "mws", "mss", "exact-weights"])
@pytest.mark.parametrize("kl", ["analytic", "sampled"])
@pytest.mark.parametrize("mi_weight, dw_weight", [(1.0, 1.0), (0.3, 2.0)])
def test_terms(likelihood: str, estimator: str, kl: str, mi_weight: float, dw_weight: float) -> None:
    one = case(BetaTCVAE(5.5, mi_weight, dw_weight, estimator, kl), likelihood)
    weights = {"mi": mi_weight, "tc": 5.5, "dw": dw_weight}
    wanted = expected(one, 1, weights, likelihood)
    loss = one.loss()
    assert set(loss.terms) == {"recon", "kl", "mi", "tc", "dw"}
    for name, value in loss.terms.items():
        assert value.item() == pytest.approx(wanted[name], rel=TIGHT), name
    assert loss.total.item() == pytest.approx(wanted["total"], rel=TIGHT)
