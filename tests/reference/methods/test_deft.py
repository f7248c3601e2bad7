"""DEFT against its objective written out, and its gradient rules against gradients scaled from outside."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from unweave.methods import DEFT

from . import oracle
from .case import TIGHT, Case, case, gradients, rows, table

BETAS = (7.1, 3.3, 1.2)
GAMMA = 0.13
OPTIONS: list[dict[str, Any]] = [
    {"scaling": scaling, "future": future}
    for scaling in ("lr", "grad", "freeze_dit")
    for future in ("prior", "zero_grad", "scale")
    if scaling != "freeze_dit" or future == "prior"
] + [{"scaling": "grad", "future": future, "shared": True} for future in ("zero_grad", "scale")]


def deft(**options: Any) -> DEFT:
    return DEFT(betas=BETAS, gamma=GAMMA, stage_steps=10, **options)


def stage_at(step: int) -> int:
    return min(step // 10, 2)


def groups_of(one: Case, stage: int) -> tuple[list[list[list[float]]], list[list[list[float]]]]:
    """Means and log-variances of each group of two latents, as this stage decodes them."""
    means, logvars = [], []
    for i in range(3):
        encoder = one.model.encoders[0 if one.method.shared else i]
        m, v = oracle.split(rows(encoder(one.batch.x)))
        if one.method.shared:
            m, v = [row[2 * i : 2 * i + 2] for row in m], [row[2 * i : 2 * i + 2] for row in v]
        if one.method.scaling == "freeze_dit" and i < stage:
            w1, w2 = one.model.w_mean[i].tolist(), one.model.w_logvar[i].tolist()
            m = [[math.exp(w) * a for w, a in zip(w1, row, strict=True)] for row in m]
            v = [[w + a for w, a in zip(w2, row, strict=True)] for row in v]
        means.append(m)
        logvars.append(v)
    return means, logvars


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(map(str, o.values())))
@pytest.mark.parametrize("step", [0, 9, 10, 25, 30, 10_000])
def test_terms(options: dict[str, Any], step: int) -> None:
    likelihood = "squared" if step == 25 else "bernoulli"
    one = case(deft(**options), likelihood, step)
    stage = stage_at(step)
    means, logvars = groups_of(one, stage)
    m, v = ([[a for group in groups for a in group[n]] for n in range(len(one.batch.x))] for groups in (means, logvars))
    z = oracle.sample(m, v, rows(one.batch.noise["z"]))
    recon = oracle.reconstruction(likelihood, rows(one.model.decoder(table(z))), rows(one.batch.x))
    kls = [oracle.kl(*pair) for pair in zip(means, logvars, strict=True)]
    loss = one.loss()
    expected = {"recon": recon, "kl": sum(kls), "beta": BETAS[stage], "stage": float(stage)}
    for name, value in {**expected, **{f"kl.{i}": kl for i, kl in enumerate(kls)}}.items():
        assert loss.terms[name].item() == pytest.approx(value, rel=TIGHT), name
    assert loss.total.item() == pytest.approx(recon + BETAS[stage] * sum(kls), rel=TIGHT)


def factor(options: dict[str, Any], i: int, stage: int) -> float:
    """What the rule multiplies the gradient at a group's mean and log-variance with."""
    if options["scaling"] != "grad":
        return 0.0 if i > stage and options["future"] == "zero_grad" else 1.0
    if i == stage or (i > stage and options["future"] == "prior"):
        return 1.0
    return 0.0 if i > stage and options["future"] == "zero_grad" else GAMMA


@pytest.mark.parametrize(
    "options", [o for o in OPTIONS if o["scaling"] != "freeze_dit"], ids=lambda o: "-".join(map(str, o.values()))
)
@pytest.mark.parametrize("step", [5, 15, 25])
def test_gradients_of_every_group(options: dict[str, Any], step: int) -> None:
    one = case(deft(**options), step=step)
    one.loss().total.backward()
    got = gradients(one.model)

    one.model.zero_grad()
    stage = stage_at(step)
    outputs = [encoder(one.batch.x) for encoder in one.model.encoders]
    seen = [output.detach().requires_grad_() for output in outputs]
    halves = [output.chunk(2, -1) for output in seen]
    m, v = (torch.cat([pair[k] for pair in halves], -1) for k in (0, 1))
    z = m + torch.exp(v / 2) * one.batch.noise["z"]
    logits = one.model.decoder(z)
    recon = torch.nn.functional.binary_cross_entropy_with_logits(logits, one.batch.x, reduction="sum") / len(z)
    (recon + BETAS[stage] * 0.5 * (m**2 + torch.exp(v) - v - 1).sum() / len(z)).backward()
    for place, (output, leaf) in enumerate(zip(outputs, seen, strict=True)):
        factors = [factor(options, i, stage) for i in (range(3) if one.method.shared else [place]) for _ in range(2)]
        output.backward(leaf.grad * torch.tensor(factors * 2, dtype=torch.float64))
    for name, value in gradients(one.model).items():
        torch.testing.assert_close(got[name], value, rtol=1e-9, atol=1e-11, msg=name)


@pytest.mark.parametrize("step", [5, 15, 25])
def test_frozen_groups_learn_only_their_projection(step: int) -> None:
    one = case(deft(scaling="freeze_dit"), step=step)
    one.loss().total.backward()
    got = gradients(one.model)
    for i in range(3):
        old = i < stage_at(step)
        assert bool(got[f"encoders.{i}.head.weight"].any()) is not old
        for name in ("w_mean", "w_logvar") if i < 2 else ():  # the last group is never an old one
            assert bool(got[f"{name}.{i}"].any()) is old
