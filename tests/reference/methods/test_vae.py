"""VAE against the evidence lower bound written out."""

from __future__ import annotations

import pytest

from unweave.methods import VAE

from . import oracle
from .case import TIGHT, case, rows, table


@pytest.mark.parametrize("likelihood", ["bernoulli", "squared"])
def test_terms(likelihood: str) -> None:
    one = case(VAE(), likelihood)
    means, logvars = oracle.split(rows(one.model.encoder(one.batch.x)))
    z = oracle.sample(means, logvars, rows(one.batch.noise["z"]))
    recon = oracle.reconstruction(likelihood, rows(one.model.decoder(table(z))), rows(one.batch.x))
    kl = oracle.kl(means, logvars)
    loss = one.loss()
    assert loss.terms["recon"].item() == pytest.approx(recon, rel=TIGHT)
    assert loss.terms["kl"].item() == pytest.approx(kl, rel=TIGHT)
    assert loss.total.item() == pytest.approx(recon + kl, rel=TIGHT)
