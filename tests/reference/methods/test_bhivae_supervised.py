"""BHiVAE with labels against its objective written out, for every option."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from unweave.methods import BHiVAESupervised

from . import oracle
from .case import SIZES, TIGHT, case, gradients, rows, table
from .test_bhivae import covariance, kl_to

SMALL: dict[str, Any] = {"width": 5, "part_width": 7, "classifier_hidden": 8}
NAMES = ("shape", "size", "place")


def log_softmax(logits: list[float]) -> list[float]:
    top = max(logits)
    norm = top + math.log(math.fsum(math.exp(a - top) for a in logits))
    return [a - norm for a in logits]


def cross_entropy(logits: list[list[float]], labels: list[int], balanced: bool) -> float:
    """Over the batch; balanced: the mean over levels that occur of the mean over their images."""
    each = [-log_softmax(row)[y] for row, y in zip(logits, labels, strict=True)]
    if not balanced:
        return oracle.mean(each)
    return oracle.mean(
        [oracle.mean([e for e, y in zip(each, labels, strict=True) if y == level]) for level in set(labels)]
    )


def entropy(logits: list[float]) -> float:
    return -math.fsum(math.exp(a) * a for a in log_softmax(logits))


@pytest.mark.parametrize("labels", [("place", "shape"), ("size",), ()], ids=str)
@pytest.mark.parametrize("inhibition", ["shared", "adversary"])
@pytest.mark.parametrize("balanced", [True, False])
@pytest.mark.parametrize("likelihood", ["bernoulli", "squared"])
def test_terms(labels: tuple[str, ...], inhibition: str, balanced: bool, likelihood: str) -> None:
    method = BHiVAESupervised(
        recon_weight=1.3, beta=7.0, gamma=2.0, labels=labels, balanced=balanced, inhibition=inhibition, rho=0.3,
        blocks=(2, 1), **SMALL
    )  # fmt: skip
    one = case(method, likelihood)
    net, batch = one.model.model, one.batch
    taught = [NAMES.index(label) for label in (labels or ("shape", "size"))]
    blocks = (2, 1)[: len(taught)]
    means, logvars, below, c = [], [], batch.x, 6 - sum(blocks)
    for place, size in enumerate(blocks):
        out = rows(net.encoders[place](below))
        mean, logvar = oracle.split([row[: 2 * size] for row in out])
        means.append(mean)
        logvars.append(logvar)
        rest = [row[2 * size :] for row in out]
        below = table(rest)
    mean, logvar = oracle.split(rest)
    assert len(mean[0]) == c
    means.append(mean)
    logvars.append(logvar)
    noise, start, parts, rests = rows(batch.noise["z"]), 0, [], []
    for mean, logvar in zip(means, logvars, strict=True):
        wide = len(mean[0])
        parts.append(oracle.sample(mean, logvar, [row[start : start + wide] for row in noise]))
        start += wide
    if len(blocks) == 2:
        rests.append([row[4:] for row in rows(net.encoders[0](batch.x))])
    rests.append(parts[-1])

    features = torch.cat([net.part_decoders[p](table(part)) for p, part in enumerate(parts)], 1)
    recon = oracle.reconstruction(likelihood, rows(net.decoder(features)), rows(batch.x))
    found = {"recon": recon, "kl.c": oracle.kl(means[-1], logvars[-1])}
    told, silent, learned = [], [], []
    for place, column in enumerate(taught):
        y = [row[column] for row in batch.labels.tolist()]
        classifier, reader = net.classifiers[place], one.model.critics[f"reader_{place + 1}"]
        given = rows(classifier.head(classifier.project(table(parts[place]))))
        read = reader(table(rests[place]))
        read = rows(classifier.head(read) if inhibition == "shared" else read)
        assert len(given[0]) == len(read[0]) == SIZES[column]
        i = place + 1
        sigma = covariance(blocks[place], 0.3)
        found[f"kl.{i}"] = oracle.mean([kl_to(m, v, sigma) for m, v in zip(means[place], logvars[place], strict=True)])
        found[f"class.{i}"] = cross_entropy(given, y, balanced)
        found[f"entropy.{i}"] = oracle.mean([entropy(row) for row in read])
        found[f"accuracy.{i}"] = oracle.mean(
            [float(row.index(max(row)) == label) for row, label in zip(given, y, strict=True)]
        )
        told.append(found[f"class.{i}"])
        silent.append(found[f"entropy.{i}"])
        learned.append(cross_entropy(read, y, balanced))
    found["kl"] = math.fsum(value for name, value in found.items() if name.startswith("kl."))
    found |= {"class": math.fsum(told), "entropy": math.fsum(silent), "critic": math.fsum(learned)}
    total = 1.3 * recon + found["kl"] + 7.0 * found["class"] - 2.0 * found["entropy"] + found["critic"]
    loss = one.loss()
    assert set(loss.terms) == set(found)
    for name, value in found.items():
        assert loss.terms[name].item() == pytest.approx(value, rel=TIGHT, abs=1e-12), name
    assert loss.total.item() == pytest.approx(total, rel=TIGHT)


@pytest.mark.parametrize("inhibition", ["shared", "adversary"])
def test_one_backward_gives_the_gradients_of_two(inhibition: str) -> None:
    """Encoder, decoder and classifiers from everything but the readers' own loss; the readers from that alone."""
    method = BHiVAESupervised(inhibition=inhibition, rho=0.3, blocks=(2, 1), beta=7.0, gamma=2.0, **SMALL)
    one = case(method)
    one.loss().total.backward()
    together = gradients(one.model)
    net, readers, batch = one.model.model, one.model.critics, one.batch

    def logits(place: int, h: Any) -> Any:
        read = readers[f"reader_{place + 1}"](h)
        return net.classifiers[place].head(read) if inhibition == "shared" else read

    def weighed(scores: Any, y: Any) -> Any:
        each = torch.nn.functional.cross_entropy(scores, y, reduction="none")
        return sum(each[y == level].mean() for level in y.unique()) / len(y.unique())

    def all_but_entropy() -> tuple[Any, list[Any]]:
        q = net.encode(batch.x)
        z = q.mean + torch.exp(q.logvar / 2) * batch.noise["z"]
        h = net.encoders[0](batch.x)[:, 4:]
        recon = net.distortion(net.decode(z), batch.x).mean()
        sigma = torch.tensor([[1.0, 0.3], [0.3, 1.0]], dtype=torch.float64)
        normal = torch.distributions.MultivariateNormal
        zero = torch.zeros(2).double()
        own = torch.diag_embed(torch.exp(q.logvar[:, :2]))
        kl = torch.distributions.kl_divergence(normal(q.mean[:, :2], own), normal(zero, sigma))
        others = 0.5 * (q.mean**2 + torch.exp(q.logvar) - q.logvar - 1)[:, 2:].sum(1)
        told = sum(
            weighed(net.classifiers[p](z[:, a:b]), batch.labels[:, p]) for p, (a, b) in enumerate([(0, 2), (2, 3)])
        )
        return method.recon_weight * recon + (kl + others).mean() + 7.0 * told, [h, z[:, 3:]]

    one.model.zero_grad()
    readers.requires_grad_(False)
    loss, rests = all_but_entropy()
    # The entropy's gradient stops at the rests: first with respect to them, then from them back into the encoder.
    silent = 0.0
    for place, h in enumerate(rests):
        p = torch.softmax(logits(place, h), 1)
        silent = silent - (p * torch.log(p)).sum(1).mean()
    back = torch.autograd.grad(-2.0 * silent, rests, retain_graph=True)
    (loss + sum((h * g).sum() for h, g in zip(rests, back, strict=True))).backward()
    for name, value in gradients(net).items():
        torch.testing.assert_close(together[f"model.{name}"], value, rtol=1e-9, atol=1e-11, msg=name)

    one.model.zero_grad()
    readers.requires_grad_(True)
    sum(weighed(logits(p, h.detach()), batch.labels[:, p]) for p, h in enumerate(rests)).backward()
    for name, value in gradients(readers).items():
        assert bool(value.any()), name
        torch.testing.assert_close(together[f"critics.{name}"], value, rtol=1e-9, atol=1e-11, msg=name)
