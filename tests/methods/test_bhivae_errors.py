"""Bad hyperparameters of the two BHiVAEs: one line that says what was given and what is allowed."""

from __future__ import annotations

import math
from typing import Any

import pytest

from unweave.data import Factors
from unweave.methods import BHiVAE, BHiVAESupervised, Method
from unweave.types import UserError

from .case import LATENTS, SPEC

NAN = math.nan
TWO: dict[str, Any] = {"blocks": (2, 2)}

WRONG = [
    (BHiVAE(), "6 latents with blocks (2, 2, 2) leave none for c; allowed: 7 latents or more"),
    (BHiVAE(blocks=()), "blocks = (); allowed: a tuple of sizes from 1"),
    (BHiVAE(blocks=[2, 2]), "blocks = [2, 2]; allowed: a tuple"),
    (BHiVAE(blocks=(2, 0)), "blocks = (2, 0)"),
    (BHiVAE(blocks=(2.0, 1)), "blocks = (2.0, 1)"),
    (BHiVAE(**TWO, rho=1.0), "rho = 1.0 with blocks (2, 2); allowed: numbers between −1 and 1, both excluded"),
    (BHiVAE(**TWO, rho=-1.0), "rho = -1.0 with blocks (2, 2)"),
    (BHiVAE(blocks=(1, 3), rho=-0.5), "rho = -0.5 with blocks (1, 3); allowed: numbers between −1/2 and 1"),
    (BHiVAE(blocks=(1, 1), rho=1.0), "rho = 1.0 with blocks (1, 1); allowed: numbers below 1"),
    (BHiVAE(**TWO, rho=NAN), "rho = nan"),
    (BHiVAE(**TWO, rho="high"), "rho = 'high'"),
    (BHiVAE(**TWO, recon_weight=-1.0), "recon_weight = -1.0"),
    (BHiVAE(**TWO, gamma=NAN), "gamma = nan"),
    (BHiVAE(**TWO, kernel_weight=-3.0), "kernel_weight = -3.0"),
    (BHiVAE(**TWO, critic_lr=-1.0), "critic_lr = -1.0"),
    (BHiVAE(**TWO, critic_layers=0), "critic_layers = 0"),
    (BHiVAE(**TWO, width=0), "width = 0"),
    (BHiVAE(**TWO, encoder="stochastik"), "did you mean 'stochastic'?"),
    (BHiVAE(**TWO, matching="mdm"), "did you mean 'mmd'?"),
    (BHiVAE(**TWO, separation="kl"), "allowed: adversarial, hsic, none"),
    (BHiVAE(**TWO, reconstruction="layer"), "did you mean 'layers'?"),
    (BHiVAE(**TWO, stabiliser="noisy"), "did you mean 'noise'?"),
    (
        BHiVAE(**TWO, stabiliser="spectral", encoder="stochastic", matching="kl", separation="none"),
        "stabiliser = 'spectral' where there are no critics",
    ),
    (BHiVAE(**TWO, instance_noise=-0.1), "instance_noise = -0.1"),
    (BHiVAE(**TWO, matching="kl"), "matching = 'kl' with a deterministic encoder"),
    (BHiVAE(**TWO, single_discriminator=True, separation="none"), "allowed: 'adversarial' for both"),
    (BHiVAE(**TWO, single_discriminator=True, matching="mmd"), "allowed: 'adversarial' for both"),
    (BHiVAE(**TWO, single_discriminator=True, disc_weight=-1.0), "disc_weight = -1.0"),
    (BHiVAE(**TWO, disc_weight=2.0), "disc_weight = 2.0 without single_discriminator"),
    (BHiVAESupervised(), "6 latents with blocks (2, 2, 2) leave none for c"),
    (BHiVAESupervised(**TWO, labels=("shap",)), "labels name 'shap' — did you mean 'shape'? (allowed: shape, size"),
    (BHiVAESupervised(**TWO, labels=("size", "size")), "labels = ('size', 'size'); allowed: different ones, at most 2"),
    (BHiVAESupervised(**TWO, labels=("shape", "size", "place")), "at most 2, the number of blocks (2, 2)"),
    (BHiVAESupervised(**TWO, labels=["size"]), "labels = ['size']; allowed: a tuple"),
    (BHiVAESupervised(**TWO, labels="size"), "labels = 'size'; allowed: a tuple"),
    (BHiVAESupervised(**TWO, beta=-1.0), "beta = -1.0"),
    (BHiVAESupervised(**TWO, gamma=NAN), "gamma = nan"),
    (BHiVAESupervised(**TWO, classifier_hidden=0), "classifier_hidden = 0"),
    (BHiVAESupervised(**TWO, inhibition="adversarial"), "did you mean 'adversary'?"),
    (BHiVAESupervised(**TWO, rho=1.5), "rho = 1.5"),
]


@pytest.mark.parametrize(("method", "said"), WRONG, ids=lambda one: repr(one) if isinstance(one, Method) else "")
def test_one_clear_line(method: Method, said: str) -> None:
    with pytest.raises(UserError) as error:
        method.check(SPEC, LATENTS)
    message = str(error.value)
    assert said in message and message.startswith(f"{method.name}: ") and "\n" not in message


@pytest.mark.parametrize("factors", [None, Factors((), ()), Factors(("colour",), (1,))], ids=str)
def test_labels_need_factors(factors: Factors | None) -> None:
    with pytest.raises(UserError, match=r"^bhivae-supervised: it learns from labels, and this data set has none; all"):
        BHiVAESupervised(blocks=(2, 2)).check(SPEC._replace(factors=factors), LATENTS)


def test_a_factor_of_one_level_teaches_nothing() -> None:
    spec = SPEC._replace(factors=Factors(("colour", "shape", "size"), (1, 3, 2)))
    with pytest.raises(UserError, match="label 'colour' has one level"):
        BHiVAESupervised(blocks=(2, 2), labels=("colour",)).check(spec, LATENTS)
    method = BHiVAESupervised(blocks=(2, 2))
    method.check(spec, LATENTS)
    assert method.columns(spec) == (1, 2)


@pytest.mark.parametrize("rho", [-0.999, 0.0, 0.999])
def test_any_correlation_with_a_density_is_allowed(rho: float) -> None:
    BHiVAE(blocks=(2, 2), rho=rho).check(SPEC, LATENTS)
    BHiVAE(blocks=(3, 2), rho=max(rho, -0.499)).check(SPEC, LATENTS)


def test_a_batch_of_one_has_nothing_to_permute() -> None:
    method = BHiVAE(blocks=(2, 2))
    with pytest.raises(UserError, match=r"bhivae: batch = 1; allowed: 2 or more"):
        method.noise(SPEC, LATENTS, 1)
    assert method.noise(SPEC, LATENTS, 2)
    with pytest.raises(UserError, match=r"bhivae: batch = 3; allowed: 4 or more"):
        BHiVAE(blocks=(2, 2), separation="hsic").noise(SPEC, LATENTS, 3)


def test_one_image_is_enough_where_nothing_is_compared_between_images() -> None:
    alone = BHiVAE(**TWO, encoder="stochastic", matching="kl", separation="none")
    assert all(what.shape[0] == 1 for what in alone.noise(SPEC, LATENTS, 1).values())
    with pytest.raises(UserError, match="batch = 1; allowed: 2 or more"):
        BHiVAE(**TWO).noise(SPEC, LATENTS, 1)
