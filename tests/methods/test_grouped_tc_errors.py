"""Bad hyperparameters of the grouped total-correlation family: one line with what was given and what is allowed."""

from __future__ import annotations

import math

import pytest

from unweave.methods import HFVAE, BetaSTCVAE, BetaTCVAE, Method
from unweave.types import UserError

from .case import LATENTS, SPEC

WRONG = [
    (BetaTCVAE(beta=-1.0), "beta = -1.0; allowed: numbers of 0 or more"),
    (BetaTCVAE(beta=math.nan), "beta = nan"),
    (BetaTCVAE(mi_weight=-0.1), "mi_weight = -0.1"),
    (BetaTCVAE(dw_weight=math.inf), "dw_weight = inf"),
    (BetaTCVAE(estimator="mws "), "did you mean 'mws'?"),
    (BetaTCVAE(estimator="exact"), "allowed: batch, mws, mss, exact-weights"),
    (BetaTCVAE(kl="analitic"), "did you mean 'analytic'?"),
    (HFVAE(beta=-1.0), "beta = -1.0"),
    (HFVAE(within_weight=-1.0), "within_weight = -1.0; allowed: numbers of 0 or more"),
    (HFVAE(mi_weight=math.nan), "mi_weight = nan"),
    (HFVAE(dw_weight=-2.0), "dw_weight = -2.0"),
    (HFVAE(group_size=0), "group_size = 0; allowed: numbers of 1 or more"),
    (HFVAE(group_size=7), "group_size = 7; allowed: 1 to 6, the number of latents"),
    (HFVAE(group_size=4), "leaves a remainder of 2 of 6 latents; allowed: 1, 2, 3, 6, or allow_remainder"),
    (HFVAE(estimator="batches"), "did you mean 'batch'?"),
    (HFVAE(kl="mc"), "allowed: analytic, sampled"),
    (BetaSTCVAE(beta=-math.inf), "beta = -inf"),
    (BetaSTCVAE(group_size=-2), "group_size = -2"),
    (BetaSTCVAE(group_size=12, allow_remainder=True), "group_size = 12; allowed: 1 to 6"),
    (BetaSTCVAE(group_size=5), "allowed: 1, 2, 3, 6, or allow_remainder for a smaller last group"),
    (BetaSTCVAE(estimator="MSS"), "estimator = 'MSS'"),
    (BetaSTCVAE(kl="sample"), "did you mean 'sampled'?"),
]


@pytest.mark.parametrize(("method", "said"), WRONG, ids=lambda one: repr(one) if isinstance(one, Method) else "")
def test_one_clear_line(method: Method, said: str) -> None:
    with pytest.raises(UserError) as error:
        method.check(SPEC, LATENTS)
    message = str(error.value)
    assert said in message and message.startswith(f"{method.name}: ") and "\n" not in message


@pytest.mark.parametrize("method", [HFVAE(group_size=6), BetaSTCVAE(group_size=6)])
def test_one_group_of_all_warns_that_beta_is_idle(method: Method) -> None:
    with pytest.warns(UserWarning, match="one group of all latents: beta has no effect"):
        method.check(SPEC, LATENTS)


@pytest.mark.parametrize("method", [BetaSTCVAE(group_size=4, allow_remainder=True), HFVAE(group_size=3), BetaTCVAE()])
def test_groups_that_fit_are_accepted(method: Method) -> None:
    method.check(SPEC, LATENTS)
