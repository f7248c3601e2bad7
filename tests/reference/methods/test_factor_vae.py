"""FactorVAE against its two objectives written out, and its one backward pass against two."""

from __future__ import annotations

import math

import pytest
import torch

from unweave.methods import FactorVAE

from . import oracle
from .case import TIGHT, case, gradients, rows, table


def log_softmax(logits: oracle.Numbers, label: int) -> float:
    top = max(logits)
    return logits[label] - top - math.log(sum(math.exp(a - top) for a in logits))


@pytest.mark.parametrize("likelihood", ["bernoulli", "squared"])
@pytest.mark.parametrize("second_batch", [False, True])
def test_terms(likelihood: str, second_batch: bool) -> None:
    method = FactorVAE(gamma=6.4, critic_hidden=8, critic_layers=3, second_batch=second_batch)
    one = case(method, likelihood)
    vae, critic = one.model.model, one.model.critics["tc"]
    means, logvars = oracle.split(rows(vae.encoder(one.batch.x)))
    z = oracle.sample(means, logvars, rows(one.batch.noise["z"]))
    other = z
    if second_batch:
        assert not torch.equal(one.batch.y, one.batch.x)
        other = oracle.sample(*oracle.split(rows(vae.encoder(one.batch.y))), rows(one.batch.noise["y"]))
    order = one.batch.noise["permute"].tolist()
    permuted = [[other[order[d][n]][d] for d in range(len(z[0]))] for n in range(len(z))]
    recon = oracle.reconstruction(likelihood, rows(vae.decoder(table(z))), rows(one.batch.x))
    kl = oracle.kl(means, logvars)
    joint, shuffled = rows(critic(table(z))), rows(critic(table(permuted)))
    tc = oracle.mean([a - b for a, b in joint])
    told = -0.5 * (oracle.mean([log_softmax(a, 0) for a in joint]) + oracle.mean([log_softmax(a, 1) for a in shuffled]))
    loss = one.loss()
    for name, value in {"recon": recon, "kl": kl, "tc": tc, "critic": told}.items():
        assert loss.terms[name].item() == pytest.approx(value, rel=TIGHT), name
    assert loss.total.item() == pytest.approx(recon + kl + 6.4 * tc + told, rel=TIGHT)


@pytest.mark.parametrize("second_batch", [False, True])
def test_one_backward_gives_the_gradients_of_two(second_batch: bool) -> None:
    one = case(FactorVAE(gamma=6.4, critic_hidden=8, critic_layers=3, second_batch=second_batch))
    one.loss().total.backward()
    together = gradients(one.model)

    model, critic, batch = one.model, one.model.critics["tc"], one.batch
    for parameter in critic.parameters():
        parameter.requires_grad_(False)
    model.zero_grad()
    q = model.encode(batch.x)
    z = q.mean + torch.exp(q.logvar / 2) * batch.noise["z"]
    recon = torch.nn.functional.binary_cross_entropy_with_logits(model.decode(z), batch.x, reduction="sum") / len(z)
    kl = torch.distributions.kl_divergence(
        torch.distributions.Normal(q.mean, torch.exp(q.logvar / 2)),
        torch.distributions.Normal(torch.zeros_like(z), torch.ones_like(z)),
    )
    scores = critic(z)
    (recon + kl.sum() / len(z) + 6.4 * (scores[:, 0] - scores[:, 1]).mean()).backward()
    apart = gradients(model.model)

    for parameter in critic.parameters():
        parameter.requires_grad_(True)
    model.zero_grad()
    with torch.no_grad():
        z = z.clone()
        other = z
        if second_batch:
            q = model.encode(batch.y)
            other = q.mean + torch.exp(q.logvar / 2) * batch.noise["y"]
        columns = [other[batch.noise["permute"][d], d] for d in range(z.shape[1])]
    labels = torch.zeros(len(z), dtype=torch.long)
    entropy = torch.nn.functional.cross_entropy
    (0.5 * (entropy(critic(z), labels) + entropy(critic(torch.stack(columns, 1)), labels + 1))).backward()
    told = gradients(critic)

    for name, value in apart.items():
        torch.testing.assert_close(together[f"model.{name}"], value, rtol=1e-9, atol=1e-11)
    for name, value in told.items():
        assert value.abs().max() > 0
        torch.testing.assert_close(together[f"critics.tc.{name}"], value, rtol=1e-9, atol=1e-11)
