"""The supervised Guided-VAE against its objectives written out, and its one backward pass against three."""

from __future__ import annotations

import math

import pytest
import torch

from unweave.methods import GuidedVAESupervised

from . import oracle
from .case import SIZES, TIGHT, case, gradients, rows, table

NAMES = ("shape", "size", "place")
GUIDED = [((), (0,)), (("place",), (2,)), (("size", "shape"), (1, 0)), (NAMES, (0, 1, 2))]


def log_softmax(logits: oracle.Numbers) -> list[float]:
    top = max(logits)
    whole = top + math.log(math.fsum(math.exp(a - top) for a in logits))
    return [a - whole for a in logits]


@pytest.mark.parametrize("likelihood", ["bernoulli", "squared"])
@pytest.mark.parametrize(("labels", "columns"), GUIDED)
def test_terms(likelihood: str, labels: tuple[str, ...], columns: tuple[int, ...]) -> None:
    one = case(GuidedVAESupervised(labels, 20.0, 30.0, critic_hidden=8), likelihood)
    net = one.model.model
    means, logvars = oracle.split(rows(net.encoder(one.batch.x)))
    z = oracle.sample(means, logvars, rows(one.batch.noise["z"]))
    recon = oracle.reconstruction(likelihood, rows(net.decoder(table(z))), rows(one.batch.x))
    kl = oracle.kl(means, logvars)
    excitation = inhibition = critic = 0.0
    for place, column in enumerate(columns):
        levels = one.batch.labels[:, column].tolist()
        own = [log_softmax(row) for row in rows(net.tellers[place](table([[row[place]] for row in z])))]
        others = table([[value for d, value in enumerate(row) if d != place] for row in z])
        rest = [log_softmax(row) for row in rows(one.model.critics[str(place)](others))]
        assert all(len(row) == SIZES[column] for row in own + rest)
        excitation -= oracle.mean([row[level] for row, level in zip(own, levels, strict=True)])
        critic -= oracle.mean([row[level] for row, level in zip(rest, levels, strict=True)])
        inhibition -= oracle.mean([math.fsum(row) / SIZES[column] for row in rest])
    wanted = {"recon": recon, "kl": kl, "excitation": excitation, "inhibition": inhibition, "critic": critic}
    loss = one.loss()
    for name, value in wanted.items():
        assert loss.terms[name].item() == pytest.approx(value, rel=TIGHT), name
    total = recon + kl + 20.0 * excitation + 30.0 * inhibition + critic
    assert loss.total.item() == pytest.approx(total, rel=TIGHT)


def test_one_backward_gives_the_gradients_of_the_authors_three() -> None:
    one = case(GuidedVAESupervised(("size",), 20.0, 30.0, critic_hidden=8))
    one.loss().total.backward()
    together = gradients(one.model)
    net, judge, batch = one.model.model, one.model.critics["0"], one.batch
    level, entropy = batch.labels[:, 1], torch.nn.functional.cross_entropy

    def code() -> tuple[torch.Tensor, torch.Tensor]:
        q = net.encode(batch.x)
        z = q.mean + torch.exp(q.logvar / 2) * batch.noise["z"]
        return z, (q.mean**2 + torch.exp(q.logvar) - 1 - q.logvar).sum() / 2 / len(z)

    one.model.zero_grad()
    z, kl = code()
    recon = torch.nn.functional.binary_cross_entropy_with_logits(net.decode(z), batch.x, reduction="sum") / len(z)
    (recon + kl + 20 * entropy(net.tellers[0](z[:, :1]), level)).backward()
    z, _ = code()
    flat = torch.full((len(z), 2), 0.5, dtype=z.dtype)
    (30 * entropy(judge(z[:, 1:]), flat)).backward()
    model = gradients(net)
    one.model.zero_grad()
    entropy(judge(code()[0][:, 1:].detach()), level).backward()
    critic = gradients(judge)
    for name, value in model.items():
        torch.testing.assert_close(together[f"model.{name}"], value, rtol=1e-9, atol=1e-11)
    for name, value in critic.items():
        assert value.abs().max() > 0
        torch.testing.assert_close(together[f"critics.0.{name}"], value, rtol=1e-9, atol=1e-11)
