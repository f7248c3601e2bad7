"""Bad hyperparameters of Guided-VAE, InfoGAN and NVAE: one line that says what was given and what is allowed."""

from __future__ import annotations

import math

import pytest

from unweave.data.base import DataSpec
from unweave.data.factors import Factors
from unweave.methods import NVAE, GuidedVAE, GuidedVAESupervised, InfoGAN, Method
from unweave.types import UserError

from .case import LATENTS, SPEC

NAN, INF = math.nan, math.inf

WRONG = [
    (GuidedVAE(light=-0.5), "light = -0.5; allowed: numbers of 0 or more"),
    (GuidedVAE(light=NAN), "light = nan"),
    (GuidedVAE(orthogonality=-1.0), "orthogonality = -1.0"),
    (GuidedVAE(orthogonality=INF), "orthogonality = inf"),
    (GuidedVAESupervised(excitation=-1.0), "excitation = -1.0"),
    (GuidedVAESupervised(inhibition=NAN), "inhibition = nan"),
    (GuidedVAESupervised(critic_lr=-1e-4), "critic_lr = -0.0001"),
    (GuidedVAESupervised(critic_hidden=0), "critic_hidden = 0"),
    (GuidedVAESupervised(labels=("shpe",)), "did you mean 'shape'? (allowed: shape, size, place)"),
    (GuidedVAESupervised(labels=("shape", "shape")), "allowed: each factor once"),
    (InfoGAN(info=-1.0), "info = -1.0"),
    (InfoGAN(info=NAN), "info = nan"),
    (InfoGAN(noise_size=0), "noise_size = 0; allowed: numbers of 1 or more"),
    (InfoGAN(generator_lr=-1e-3), "generator_lr = -0.001"),
    (InfoGAN(discriminator_lr=INF), "discriminator_lr = inf"),
    (InfoGAN(categories=(1,)), "categories = (1,); allowed: numbers of 2 or more"),
    (InfoGAN(categories=[2]), "categories = [2]; allowed: a tuple"),
    (InfoGAN(categories=(6,)), "6 latents with categories = (6,), which take 6; allowed: 7 latents or more"),
    (NVAE(groups=()), "groups = (); allowed: a tuple"),
    (NVAE(groups=[2, 2]), "groups = [2, 2]; allowed: a tuple"),
    (NVAE(groups=(2, 0)), "groups = (2, 0); allowed: numbers of 1 or more"),
    (NVAE(groups=(1, 1, 1, 1)), "4 scales for images of 8×8; allowed: at most 3"),
    (NVAE(), "6 latents for images of 8×8 and groups = (2, 2); allowed: multiples of 10"),
    (NVAE(warmup_steps=0), "warmup_steps = 0"),
    (NVAE(spectral=-0.01), "spectral = -0.01"),
    (NVAE(power_iterations=0), "power_iterations = 0"),
    (NVAE(width=12), "width = 12; allowed: multiples of 8"),
    (NVAE(width=0), "width = 0"),
]


def said_by(method: Method, spec: DataSpec = SPEC, latents: int = LATENTS) -> str:
    """The one line with which it refuses."""
    with pytest.raises(UserError) as error:
        method.check(spec, latents)
    message = str(error.value)
    assert message.startswith(f"{method.name}: ") and "\n" not in message
    return message


@pytest.mark.parametrize(("method", "said"), WRONG, ids=lambda one: repr(one) if isinstance(one, Method) else "")
def test_one_clear_line(method: Method, said: str) -> None:
    assert said in said_by(method)


def test_data_that_do_not_suit() -> None:
    guided = GuidedVAESupervised()
    assert "has no factors; allowed: data sets with labels" in said_by(guided, SPEC._replace(factors=None))
    single = SPEC._replace(factors=Factors(("colour", "shape"), (1, 3)))
    assert "factor 'colour' has 1 level; allowed: factors of 2 levels or more" in said_by(guided, single)
    GuidedVAESupervised(("shape",)).check(single, LATENTS)
    assert "images of 7×9; allowed: at least 8 pixels a side" in said_by(NVAE(), SPEC._replace(shape=(1, 7, 9)))


def test_too_few_latents() -> None:
    assert "2 latents; allowed with the transformer: 3 or more" in said_by(GuidedVAE(), latents=2)
    GuidedVAE(transformer=False).check(SPEC, 1)
    both = GuidedVAESupervised(("shape", "size"))
    assert "2 latents for 2 guided factors; allowed: 3 or more" in said_by(both, latents=2)
    both.check(SPEC, 3)
    assert "12 latents for images of 64×64" in said_by(NVAE(), SPEC._replace(shape=(1, 64, 64)), 12)
