"""Bad hyperparameters of AnnealedVAE, CascadeVAE-C and DynamicVAE: one line that says what is allowed."""

from __future__ import annotations

import math

import pytest

from unweave.methods import AnnealedVAE, CascadeVAEC, DynamicVAE, Method
from unweave.types import UserError

from .case import LATENTS, SPEC

NAN, INF = math.nan, math.inf

WRONG = [
    (AnnealedVAE(gamma=-1.0), "gamma = -1.0; allowed: numbers of 0 or more"),
    (AnnealedVAE(gamma=NAN), "gamma = nan"),
    (AnnealedVAE(c_start=-0.5), "c_start = -0.5"),
    (AnnealedVAE(c_max=INF), "c_max = inf"),
    (AnnealedVAE(c_start=30.0), "c_max = 25.0; allowed: at least c_start = 30.0"),
    (AnnealedVAE(anneal_steps=0), "anneal_steps = 0; allowed: numbers of 1 or more"),
    (CascadeVAEC(beta_low=-0.1), "beta_low = -0.1"),
    (CascadeVAEC(beta_high=NAN), "beta_high = nan"),
    (CascadeVAEC(beta_low=11.0), "beta_low = 11.0; allowed: up to beta_high = 10.0"),
    (CascadeVAEC(stage_steps=0), "stage_steps = 0"),
    (CascadeVAEC(std="softpluss"), "did you mean 'softplus'?"),
    (CascadeVAEC(stages=LATENTS), "stages = 6 with reset_optimizer = False and 6 latents; allowed there: None"),
    (CascadeVAEC(reset_optimizer=True), "stages = None with reset_optimizer = True and 6 latents; allowed there: 6"),
    (CascadeVAEC(reset_optimizer=True, stages=10), "allowed there: 6"),
    (DynamicVAE(variant="cvpr2022"), "did you mean 'cvpr22'?"),
    (DynamicVAE(variant="cvpr22", beta_start=0.05), "beta_start = 0.05; allowed: at least beta_min"),
    (DynamicVAE(antiwindup="backs"), "did you mean 'back'?"),
    (DynamicVAE(antiwindup="author"), "goes only with variant = 'cvpr22'"),
    (DynamicVAE(ki=-0.005), "ki = -0.005; allowed with variant = 'erow': 0 or more"),
    (DynamicVAE("cvpr22", ki=0.004), "ki = 0.004; allowed with variant = 'cvpr22': 0 or less"),
    (DynamicVAE(ki=NAN), "ki = nan"),
    (DynamicVAE("cvpr22", ki=-INF), "ki = -inf"),
    (DynamicVAE(kp=-0.1), "kp = -0.1"),
    (DynamicVAE(beta_start=-1.0), "beta_start = -1.0"),
    (DynamicVAE(beta_min=NAN), "beta_min = nan"),
    (DynamicVAE(c_max=-18.0), "c_max = -18.0"),
    (DynamicVAE("cvpr22", c_max=0.1), "c_max = 0.1; allowed: at least c_start = 0.5"),
    (DynamicVAE("cvpr22", c_start=30.0), "c_max = 20.0; allowed: at least c_start = 30.0"),
    (DynamicVAE("cvpr22", c_step=-0.1), "c_step = -0.1"),
    (DynamicVAE("cvpr22", c_step=0.0), "c_step = 0; allowed: above 0, for C to rise from 0.5 to 20.0"),
    (DynamicVAE(smoothing=0.0), "smoothing = 0.0; allowed: above 0, up to 1"),
    (DynamicVAE(smoothing=1.5), "smoothing = 1.5"),
    (DynamicVAE(window=0), "window = 0"),
    (DynamicVAE(c_every=0), "c_every = 0"),
    (DynamicVAE(c_steps=4999), "c_steps = 4999; allowed: at least c_every = 5000"),
    (DynamicVAE("cvpr22", c_ramp=6001), "c_ramp = 6001; allowed: up to c_period = 6000"),
]


@pytest.mark.parametrize(("method", "said"), WRONG, ids=lambda one: repr(one) if isinstance(one, Method) else "")
def test_one_clear_line(method: Method, said: str) -> None:
    with pytest.raises(UserError) as error:
        method.check(SPEC, LATENTS)
    message = str(error.value)
    assert said in message and message.startswith(f"{method.name}: ") and "\n" not in message
