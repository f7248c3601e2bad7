"""Bad hyperparameters of the methods that match moments, priors or pairs: one line that says what is allowed."""

from __future__ import annotations

import math

import pytest

from unweave.data.base import DataSpec
from unweave.data.factors import Factors
from unweave.methods import DIPVAE1, DIPVAE2, AdaGVAE, AdaMLVAE, InfoVAE, Method, VampPrior
from unweave.types import UserError

from .case import LATENTS, SPEC

NAN, INF = math.nan, math.inf

WRONG = [
    *(
        (kind(**{name: value}), f"{name} = {value}")
        for kind in (DIPVAE1, DIPVAE2)
        for name in ("lambda_od", "lambda_d")
        for value in (-1.0, NAN, INF)
    ),
    (DIPVAE1(lambda_od="10"), "lambda_od = '10'; allowed: numbers of 0 or more"),
    (InfoVAE(lambda_mmd=0.001), "lambda_mmd = 0.001 with alpha = 0.0 rewards distance from the prior; allowed: 1"),
    (InfoVAE(alpha=-3.0, lambda_mmd=3.5), "allowed: 4 or more"),
    (InfoVAE(lambda_mmd=-1.0), "lambda_mmd = -1.0"),
    (InfoVAE(lambda_mmd=INF), "lambda_mmd = inf"),
    (InfoVAE(alpha=1.5), "alpha = 1.5; allowed: 1 or less"),
    (InfoVAE(alpha=NAN), "alpha = nan"),
    (InfoVAE(alpha=-INF), "alpha = -inf"),
    (InfoVAE(kernel="img"), "did you mean 'imq'?"),
    (InfoVAE(bandwidth=0.0), "bandwidth = 0.0"),
    (VampPrior(pseudo_inputs=0), "pseudo_inputs = 0; allowed: numbers of 1 or more"),
    (VampPrior(warmup_steps=0), "warmup_steps = 0"),
    (VampPrior(pseudo_std=-0.1), "pseudo_std = -0.1"),
    (VampPrior(pseudo_mean=NAN), "pseudo_mean = nan; allowed: finite numbers"),
    *(
        pair
        for kind in (AdaGVAE, AdaMLVAE)
        for pair in [
            (kind(beta=-1.0), "beta = -1.0"),
            (kind(beta=NAN), "beta = nan"),
            (kind(changed=-1), "changed = -1; allowed: numbers of 0 or more"),
            (kind(changed=3), "changed = 3 of 3 factors that vary; allowed: 0 (drawn) to 2"),
            (kind(distance="symetric"), "did you mean 'symmetric'?"),
        ]
    ),
    (AdaMLVAE(average="mean"), "allowed: product, geometric"),
]


def refused(method: Method, said: str, spec: DataSpec = SPEC, latents: int = LATENTS) -> None:
    with pytest.raises(UserError) as error:
        method.check(spec, latents)
    message = str(error.value)
    assert said in message and message.startswith(f"{method.name}: ") and "\n" not in message


@pytest.mark.parametrize(("method", "said"), WRONG, ids=lambda one: repr(one) if isinstance(one, Method) else "")
def test_one_clear_line(method: Method, said: str) -> None:
    refused(method, said)


@pytest.mark.parametrize("kind", [AdaGVAE, AdaMLVAE])
def test_pairs_need_factors(kind: type[AdaGVAE] | type[AdaMLVAE]) -> None:
    refused(kind(), "this data set has none; allowed: data with factors", SPEC._replace(factors=None))
    refused(kind(), "1 vary here; allowed: 2 up", SPEC._replace(factors=Factors(("a", "b"), (5, 1))))
    refused(kind(), "1 latent, which every pair would share; allowed: 2 or more", latents=1)
    two = SPEC._replace(factors=Factors(("a", "b", "c"), (5, 1, 2)))
    refused(kind(changed=2), "changed = 2 of 2 factors that vary; allowed: 0 (drawn) to 1", two)
    kind(changed=1).check(two, LATENTS)


@pytest.mark.parametrize(
    "method", [DIPVAE1(0.0, 0.0), InfoVAE(alpha=1.0, lambda_mmd=0.0), InfoVAE(lambda_mmd=1.0), AdaGVAE(changed=0)]
)
def test_the_edges_are_allowed(method: Method) -> None:
    method.check(SPEC, LATENTS)
