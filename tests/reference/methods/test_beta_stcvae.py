"""β-STCVAE against eq. 7 written out, for every estimator and with a smaller last group."""

from __future__ import annotations

import pytest

from unweave.methods import BetaSTCVAE

from .case import TIGHT, case
from .grouped import expected

TERMS = {"recon", "kl", "mi", "tc", "tc_joint", "tc_within", "dw"}


@pytest.mark.parametrize("likelihood", ["bernoulli", "squared"])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("estimator", ["batch", "mws", "mss", "exact-weights"])
@pytest.mark.parametrize("kl", ["analytic", "sampled"])
def test_terms(likelihood: str, size: int, estimator: str, kl: str) -> None:
    one = case(BetaSTCVAE(5.5, size, size > 3, estimator, kl), likelihood)
    weights = {"mi": 1.0, "tc_joint": 5.5, "tc_within": 0.0, "dw": 1.0}
    wanted = expected(one, size, weights, likelihood)
    loss = one.loss()
    assert set(loss.terms) == TERMS
    for name, value in loss.terms.items():
        assert value.item() == pytest.approx(wanted[name], rel=TIGHT, abs=1e-12), name
    assert loss.total.item() == pytest.approx(wanted["total"], rel=TIGHT)


def test_dropping_the_pressure_within_groups_is_not_leaving_it_at_one() -> None:
    """The obvious edit of β-TCVAE, R + KL + (β − 1) TC_joint, keeps Σ TC(z_g) once; eq. 7 does not hold it."""
    one = case(BetaSTCVAE(5.5, 3), "bernoulli")
    loss = one.loss()
    terms = {name: value.item() for name, value in loss.terms.items()}
    kept = terms["recon"] + terms["kl"] + 4.5 * terms["tc_joint"]
    assert abs(terms["tc_within"]) > 0.01
    assert loss.total.item() == pytest.approx(kept - terms["tc_within"], rel=TIGHT)
