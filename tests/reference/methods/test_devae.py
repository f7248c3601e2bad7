"""DeVAE against its objective written out, for every option."""

from __future__ import annotations

import math

import pytest
import torch

from unweave.methods import DeVAE

from . import oracle
from .case import TIGHT, Case, case, rows, table

BETAS = {1: (3.7,), 2: (1.0, 40.0), 3: (1.0, 10.0, 40.0)}
RIDGE = 1e-6


def spaces_of(one: Case) -> list[tuple[list[list[float]], list[list[float]], list[list[float]] | None]]:
    """Mean, log-variance and (for ``linear``) matrix of every space, from parameters alone."""
    model, method = one.model, one.method
    encoders = [model.encoder, *model.others]
    means, logvars = oracle.split(rows(model.encoder(one.batch.x)))
    found: list = [(means, logvars, None)]
    for i in range(len(method.betas) - 1):
        if method.hierarchy == "none":
            found.append((*oracle.split(rows(encoders[i + 1](one.batch.x))), None))
        elif method.hierarchy == "dit":
            w1, w2 = model.w_mean[i].tolist(), model.w_logvar[i].tolist()
            means = [[math.exp(min(max(w, -10), 10)) * m for w, m in zip(w1, row, strict=True)] for row in means]
            logvars = [[v + min(max(w, -10), 10) for w, v in zip(w2, row, strict=True)] for row in logvars]
            found.append((means, logvars, None))
        else:
            step = model.matrix[i].tolist()
            before = found[-1][2]
            found.append((means, logvars, step if before is None else oracle.product(step, before)))
    return found


def kl_of(means: oracle.Matrix, logvars: oracle.Matrix, w: list[list[float]] | None) -> float:
    """Diagonal, or ½ (tr S + m·m − D − log det S) with S = W diag(σ²) Wᵀ and the ridge on Wᵀ W."""
    if w is None:
        return oracle.kl(means, logvars)
    size = len(w)
    gram = oracle.product(oracle.transposed(w), w)
    for d in range(size):
        gram[d][d] += RIDGE
    logdet = math.log(oracle.determinant(gram))
    each = []
    for m, v in zip(means, logvars, strict=True):
        moved = [math.fsum(w[a][b] * m[b] for b in range(size)) for a in range(size)]
        trace = math.fsum(gram[d][d] * math.exp(v[d]) for d in range(size))
        each.append(0.5 * (trace + math.fsum(a * a for a in moved) - size - logdet - math.fsum(v)))
    return oracle.mean(each)


def recon_of(one: Case, i: int, space: tuple, noise: torch.Tensor, likelihood: str) -> float:
    means, logvars, w = space
    z = oracle.sample(means, logvars, rows(noise))
    if w is not None:
        z = [[math.fsum(w[a][b] * row[b] for b in range(len(row))) for a in range(len(row))] for row in z]
    count = len(one.method.betas)
    code: list[float] = []
    if count > 1:
        onehot = [float(i == k) for k in range(count)]
        code = onehot if one.method.space_code == "onehot" else one.model.code[i].tolist()
    logits = rows(one.model.decoder(table([row + code for row in z])))
    return oracle.reconstruction(likelihood, logits, rows(one.batch.x))


@pytest.mark.parametrize("hierarchy", ["dit", "linear", "none"])
@pytest.mark.parametrize("space_code", ["embedding", "onehot"])
@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("shared_noise", [False, True])
@pytest.mark.parametrize("scale", [1.0, 0.3])
def test_sum_over_spaces(hierarchy: str, space_code: str, count: int, shared_noise: bool, scale: float) -> None:
    likelihood = "squared" if shared_noise else "bernoulli"
    method = DeVAE(BETAS[count], scale, hierarchy, space_code, "sum", shared_noise)
    one = case(method, likelihood)
    found = spaces_of(one)
    loss = one.loss()
    total = 0.0
    for i, space in enumerate(found):
        noise = one.batch.noise["z" if i == 0 or shared_noise else f"z.{i}"]
        recon, kl = recon_of(one, i, space, noise, likelihood), kl_of(*space)
        end = f".{i}" if i else ""
        assert loss.terms["recon" + end].item() == pytest.approx(recon, rel=TIGHT)
        assert loss.terms["kl" + end].item() == pytest.approx(kl, rel=TIGHT)
        total += scale**i * (recon + BETAS[count][i] * kl)
        if i and hierarchy == "dit":
            assert loss.terms[f"w1.{i}"].item() == pytest.approx(
                oracle.mean(one.model.w_mean[i - 1].tolist()), rel=TIGHT
            )
            assert loss.terms[f"w2.{i}"].item() == pytest.approx(
                oracle.mean(one.model.w_logvar[i - 1].tolist()), rel=TIGHT
            )
    assert loss.total.item() == pytest.approx(total, rel=TIGHT)
    exponents = {f"w{k}.{i}" for k in (1, 2) for i in range(1, count)} if hierarchy == "dit" else set()
    assert set(loss.terms) == {
        "recon",
        "kl",
        *(f"{n}.{i}" for n in ("recon", "kl") for i in range(1, count)),
        *exponents,
    }


@pytest.mark.parametrize("hierarchy", ["dit", "linear", "none"])
@pytest.mark.parametrize("space_code", ["embedding", "onehot"])
@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("uniform", [0.0, 0.69, 0.71, 0.98])
def test_one_random_space(hierarchy: str, space_code: str, count: int, uniform: float) -> None:
    scale = 0.4
    one = case(DeVAE(BETAS[count], scale, hierarchy, space_code, "random"))
    one.batch.noise["space"].fill_(uniform)
    weights = [scale**i for i in range(count)]
    drawn, passed = 0, weights[0] / sum(weights)
    while uniform >= passed:
        drawn += 1
        passed += weights[drawn] / sum(weights)
    found = spaces_of(one)
    recon = recon_of(one, drawn, found[drawn], one.batch.noise["z"], "bernoulli")
    loss = one.loss()
    assert loss.terms["recon"].item() == pytest.approx(recon, rel=TIGHT)
    for i, space in enumerate(found):
        assert loss.terms["kl" + (f".{i}" if i else "")].item() == pytest.approx(kl_of(*space), rel=TIGHT)
    assert loss.total.item() == pytest.approx(recon + BETAS[count][drawn] * kl_of(*found[drawn]), rel=TIGHT)


@pytest.mark.parametrize("count", [2, 3])
def test_linear_kl_is_that_of_the_full_covariance(count: int) -> None:
    one = case(DeVAE(BETAS[count], hierarchy="linear"))
    q = one.model.encode(one.batch.x)
    size = q.mean.shape[1]
    prior = torch.distributions.MultivariateNormal(torch.zeros(size).double(), torch.eye(size).double())
    for i in range(1, count):
        w = one.model.matrix[0] if i == 1 else one.model.matrix[1] @ one.model.matrix[0]
        covariance = w @ torch.diag_embed(torch.exp(q.logvar)) @ w.mT
        posterior = torch.distributions.MultivariateNormal(q.mean @ w.mT, covariance)
        expected = torch.distributions.kl_divergence(posterior, prior).mean().item()
        # The ridge of 1e-6 that keeps a singular W finite is all that differs.
        assert one.loss().terms[f"kl.{i}"].item() == pytest.approx(expected, rel=1e-4)


def test_exponents_are_bounded_by_ten() -> None:
    one = case(DeVAE((1.0, 40.0)))
    with torch.no_grad():
        one.model.w_mean[0, :2] = torch.tensor([400.0, -400.0])
        one.model.w_logvar[0, 2:4] = torch.tensor([400.0, -400.0])
    space = spaces_of(one)[1]
    loss = one.loss()
    assert loss.terms["kl.1"].item() == pytest.approx(kl_of(*space), rel=TIGHT)
    assert torch.isfinite(loss.total)
