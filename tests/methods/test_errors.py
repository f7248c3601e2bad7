"""Bad hyperparameters: one line that says what was given and what is allowed."""

from __future__ import annotations

import math
from collections import Counter
from importlib import import_module
from pathlib import Path

import pytest

from unweave.methods import (
    DEFT,
    DIPVAE1,
    DIPVAE2,
    HFVAE,
    METHODS,
    BetaSTCVAE,
    BetaTCVAE,
    BetaVAE,
    BHiVAE,
    ControlVAE,
    DeVAE,
    FactorVAE,
    InfoVAE,
    Method,
)
from unweave.types import UserError

from .case import LATENTS, SPEC

NAN, INF = math.nan, math.inf

WRONG = [
    (BetaVAE(beta=-1.0), "beta = -1.0; allowed: numbers of 0 or more"),
    (BetaVAE(beta=NAN), "beta = nan"),
    (BetaVAE(beta=INF), "beta = inf"),
    (BetaVAE(beta="4"), "beta = '4'"),
    (BetaVAE(schedule="liner", end=1.0), "did you mean 'linear'?"),
    (BetaVAE(schedule="linear"), "allowed: an end with 'linear'"),
    (BetaVAE(end=1.0), "allowed: an end with 'linear'"),
    (BetaVAE(schedule="linear", end=-2.0), "end = -2.0"),
    (BetaVAE(schedule="linear", end=NAN), "end = nan"),
    (BetaVAE(schedule="exp", end=0.0), "end = 0.0"),
    (BetaVAE(schedule="linear", end=1.0, anneal_steps=0), "anneal_steps = 0; allowed: numbers of 1 or more"),
    (FactorVAE(gamma=-0.1), "gamma = -0.1"),
    (FactorVAE(gamma=NAN), "gamma = nan"),
    (FactorVAE(critic_lr=-1e-4), "critic_lr = -0.0001"),
    (FactorVAE(critic_layers=0), "critic_layers = 0"),
    (FactorVAE(critic_hidden=0), "critic_hidden = 0"),
    (ControlVAE(c_start=-1.0), "c_start = -1.0"),
    (ControlVAE(c_start=20.0), "c_max = 18.0; allowed: at least c_start = 20.0"),
    (ControlVAE(c_max=NAN), "c_max = nan"),
    (ControlVAE(c_step=0.0), "c_step = 0; allowed: above 0"),
    (ControlVAE(c_step=-0.1), "c_step = -0.1"),
    (ControlVAE(c_every=0), "c_every = 0"),
    (ControlVAE(ki=0.001), "ki = 0.001; allowed: 0 or less"),
    (ControlVAE(ki=NAN), "ki = nan"),
    (ControlVAE(ki=-INF), "ki = -inf"),
    (ControlVAE(kp=-0.1), "kp = -0.1"),
    (ControlVAE(beta_min=-1.0), "beta_min = -1.0"),
    (ControlVAE(antiwindup="backs"), "did you mean 'back'?"),
    (DeVAE(betas=()), "betas = (); allowed: a tuple"),
    (DeVAE(betas=[1.0, 40.0]), "betas = [1.0, 40.0]; allowed: a tuple"),
    (DeVAE(betas=40.0), "betas = 40.0; allowed: a tuple"),
    (DeVAE(betas=(1.0, -40.0)), "betas = (1.0, -40.0); allowed: numbers of 0 or more"),
    (DeVAE(betas=(1.0, NAN)), "betas = (1.0, nan)"),
    (DeVAE(scale=0.0), "scale = 0.0"),
    (DeVAE(scale=-1.0), "scale = -1.0"),
    (DeVAE(hierarchy="linaer"), "did you mean 'linear'?"),
    (DeVAE(space_code="one-hot"), "did you mean 'onehot'?"),
    (DeVAE(aggregation="randm"), "did you mean 'random'?"),
    (DeVAE(aggregation="mean"), "allowed: sum, random"),
    (DEFT(betas=()), "betas = (); allowed: a tuple"),
    (DEFT(betas=[3.0, 1.0]), "betas = [3.0, 1.0]; allowed: a tuple"),
    (DEFT(betas=(3.0, NAN)), "betas = (3.0, nan)"),
    (DEFT(betas=(3.0, -1.0)), "betas = (3.0, -1.0)"),
    (DEFT(), "6 latents do not divide into 4 groups"),
    (DEFT(betas=(3.0, 1.0), gamma=1.5), "gamma = 1.5; allowed: 0 to 1"),
    (DEFT(betas=(3.0, 1.0), gamma=-0.5), "gamma = -0.5"),
    (DEFT(betas=(3.0, 1.0), gamma=NAN), "gamma = nan"),
    (DEFT(betas=(3.0, 1.0), stage_steps=0), "stage_steps = 0"),
    (DEFT(betas=(3.0, 1.0), scaling="grads"), "did you mean 'grad'?"),
    (DEFT(betas=(3.0, 1.0), future="zero-grad"), "did you mean 'zero_grad'?"),
    (DEFT(betas=(3.0, 1.0), shared=True), "shared goes only with scaling = 'grad'"),
    (DEFT(betas=(3.0, 1.0), scaling="grad", shared=True), "future = 'zero_grad' or 'scale'"),
    (DEFT(betas=(3.0, 1.0), scaling="freeze_dit", future="scale"), "allowed there: 'prior'"),
]


@pytest.mark.parametrize(("method", "said"), WRONG, ids=lambda one: repr(one) if isinstance(one, Method) else "")
def test_one_clear_line(method: Method, said: str) -> None:
    with pytest.raises(UserError) as error:
        method.check(SPEC, LATENTS)
    message = str(error.value)
    assert said in message and message.startswith(f"{method.name}: ") and "\n" not in message


def test_every_method_with_something_to_check_is_tried() -> None:
    """Three bad hyperparameters or more of each method, here or in another ``test_…_errors.py`` beside this file."""
    names = [path.stem for path in Path(__file__).parent.glob("test_*errors.py")]
    tried = Counter(type(entry[0]) for name in names for entry in import_module(f".{name}", __package__).WRONG)
    assert {name: tried[kind] for name, kind in METHODS.items() if tried[kind] < 3 and name != "vae"} == {}


COMPARE = (BetaTCVAE(), HFVAE(), BetaSTCVAE(), FactorVAE(), DIPVAE1(), DIPVAE2(), InfoVAE(), BHiVAE())


@pytest.mark.parametrize("method", COMPARE, ids=lambda method: method.name)
def test_one_image_has_nothing_to_be_compared_with(method: Method) -> None:
    with pytest.raises(UserError, match=f"{method.name}: batch = 1; allowed: 2 or more"):
        method.noise(SPEC, LATENTS, 1)
    assert method.noise(SPEC, LATENTS, 2)


@pytest.mark.parametrize("betas", [(1.0, 30.0), (5.0, 5.0), (9.0, 1.0, 4.0)])
def test_deft_warns_of_pressures_that_do_not_fall(betas: tuple[float, ...]) -> None:
    with pytest.warns(UserWarning, match="do not fall"):
        DEFT(betas=betas).check(SPEC, LATENTS)
