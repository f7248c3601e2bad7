"""BHiVAE without labels against its objective written out, for every option."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from unweave.methods import BHiVAE

from . import oracle
from .case import TIGHT, Case, case, gradients, rows, table

SMALL: dict[str, Any] = {"blocks": (2, 1), "width": 5, "part_width": 7, "critic_hidden": 8, "critic_layers": 2}
SIZES = ((2, 5), (1, 3))
"""d(s^i) and d(h^i) for 6 latents: what is left for c is 3."""
RHO = 0.3

Rows = list[list[float]]


def covariance(size: int, rho: float) -> Rows:
    return [[1.0 if a == b else rho for b in range(size)] for a in range(size)]


def root_of(matrix: Rows) -> Rows:
    """Cholesky's lower triangle, entry by entry."""
    out = [[0.0] * len(matrix) for _ in matrix]
    for i in range(len(matrix)):
        for j in range(i + 1):
            rest = matrix[i][j] - math.fsum(out[i][k] * out[j][k] for k in range(j))
            out[i][j] = math.sqrt(rest) if i == j else rest / out[j][j]
    return out


def inverse(matrix: Rows) -> Rows:
    """By elimination (Gauss and Jordan); covariances need no pivots."""
    size = len(matrix)
    rows_ = [[*row, *(float(i == j) for j in range(size))] for i, row in enumerate(matrix)]
    for i in range(size):
        rows_[i] = [value / rows_[i][i] for value in rows_[i]]
        for k in range(size):
            if k != i:
                rows_[k] = [a - rows_[k][i] * b for a, b in zip(rows_[k], rows_[i], strict=True)]
    return [row[size:] for row in rows_]


def kl_to(mean: list[float], logvar: list[float], sigma: Rows) -> float:
    """KL(N(mean, diag exp(logvar)) ‖ N(0, sigma)) of one image."""
    turned, size = inverse(sigma), len(mean)
    trace = math.fsum(turned[j][j] * math.exp(logvar[j]) for j in range(size))
    square = math.fsum(mean[i] * turned[i][j] * mean[j] for i in range(size) for j in range(size))
    return 0.5 * (trace + square - size + math.log(oracle.determinant(sigma)) - math.fsum(logvar))


class Level:
    """One layer in plain lists: means, log-variances (None for points) and samples of block and rest."""

    def __init__(self, one: Case, net: Any, place: int, below: Any) -> None:
        size, rest = SIZES[place]
        out = rows(net.encoders[place](below))
        if one.method.encoder == "deterministic":
            self.q = None
            z = out
        else:
            of_s = oracle.split([row[: 2 * size] for row in out])
            of_h = oracle.split([row[2 * size :] for row in out])
            means = [a + b for a, b in zip(of_s[0], of_h[0], strict=True)]
            logvars = [a + b for a, b in zip(of_s[1], of_h[1], strict=True)]
            self.q = (means, logvars)
            z = oracle.sample(means, logvars, rows(one.batch.noise[f"z.{place + 1}"]))
        assert len(z[0]) == size + rest
        self.z = z
        self.s, self.h = [row[:size] for row in z], [row[size:] for row in z]


def levels_of(one: Case, net: Any) -> list[Level]:
    first = Level(one, net, 0, one.batch.x)
    return [first, Level(one, net, 1, table(first.h))]


def drawn_of(one: Case, place: int) -> Rows:
    """Prior samples: the block's normals times the Cholesky factor, the rest as it is."""
    size = SIZES[place][0]
    root = root_of(covariance(size, one.method.rho))
    found = []
    for row in rows(one.batch.noise[f"prior.{place + 1}"]):
        block = [math.fsum(root[i][k] * row[k] for k in range(size)) for i in range(size)]
        found.append(block + row[size:])
    return found


def permuted_of(one: Case, level: Level, place: int) -> Rows:
    order = one.batch.noise[f"permute.{place + 1}"].tolist()
    return [level.s[order[0][n]] + level.h[order[1][n]] for n in range(len(level.s))]


def kernel(x: list[float], y: list[float]) -> float:
    """Inverse multiquadratic, averaged over seven widths."""
    apart = math.fsum((p - q) ** 2 for p, q in zip(x, y, strict=True))
    widths = [2 * len(x) * scale for scale in (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)]
    return math.fsum(w / (w + apart) for w in widths) / 7


def mmd(a: Rows, b: Rows) -> float:
    """Unbiased."""
    n = len(a)
    own = [kernel(s[i], s[j]) for s in (a, b) for i in range(n) for j in range(n) if i != j]
    cross = [kernel(x, y) for x in a for y in b]
    return math.fsum(own) / (n * (n - 1)) - 2 * math.fsum(cross) / n**2


def hsic(s: Rows, h: Rows) -> float:
    """Unbiased: averages over pairs, triples and quadruples of different images."""
    n = range(len(s))
    k = [[kernel(s[i], s[j]) for j in n] for i in n]
    l = [[kernel(h[i], h[j]) for j in n] for i in n]
    two = [k[i][j] * l[i][j] for i in n for j in n if i != j]
    three = [k[i][j] * l[i][m] for i in n for j in n for m in n if len({i, j, m}) == 3]
    four = [k[i][j] * l[m][o] for i in n for j in n for m in n for o in n if len({i, j, m, o}) == 4]
    return oracle.mean(two) + oracle.mean(four) - 2 * oracle.mean(three)


def logits(one: Case, name: str, z: Rows) -> list[float]:
    return [row[0] for row in rows(one.model.critics[name](table(z)))]


def parted(one: Case, net: Any, parts: list[Rows | None]) -> float:
    """−log p(x|parts), those that are None contributing zeros."""
    features = []
    for place, part in enumerate(parts):
        if part is None:
            features.append(torch.zeros(len(one.batch.x), 7, dtype=torch.float64))
        else:
            layer = net.part_decoders[place][0]
            weight, bias = layer.weight.tolist(), layer.bias.tolist()
            features.append(
                table(
                    [
                        [
                            max(0.0, math.fsum(w * v for w, v in zip(line, row, strict=True)) + b)
                            for line, b in zip(weight, bias, strict=True)
                        ]
                        for row in part
                    ]
                )
            )
    made = net.decoder(torch.cat(features, 1))
    return oracle.reconstruction(net.likelihood, rows(made), rows(one.batch.x))


def expected(one: Case) -> dict[str, float]:
    """Every term and the total."""
    method, net = one.method, getattr(one.model, "model", one.model)
    levels = levels_of(one, net)
    found = {"recon": parted(one, net, [levels[0].s, levels[1].s, levels[1].h])}
    total = method.recon_weight * found["recon"]
    if method.reconstruction == "layers":
        for place in (0, 1):
            alone: list[Rows | None] = [None, None, None]
            alone[place] = levels[place].s
            found[f"recon.{place + 1}"] = parted(one, net, alone)
            total += method.recon_weight * found[f"recon.{place + 1}"]
    told: list[float] = []

    def against(role: str, z: Rows, *others: Rows) -> float:
        if method.stabiliser == "noise":
            z, *others = (
                [
                    [a + method.instance_noise * e for a, e in zip(*pair, strict=True)]
                    for pair in zip(*both, strict=True)
                ]
                for both in zip([z, *others], one.batch.noise[f"blur.{role}"].tolist(), strict=True)
            )
        true = logits(one, role, z)
        false = [oracle.mean([oracle.softplus(a) for a in logits(one, role, other)]) for other in others]
        told.append(0.5 * (oracle.mean([oracle.softplus(-a) for a in true]) + oracle.mean(false)))
        return oracle.mean(true)

    for place, level in enumerate(levels):
        i = place + 1
        if method.single_discriminator:
            found[f"kl.{i}"] = against(f"both_{i}", level.z, drawn_of(one, place), permuted_of(one, level, place))
            total += (method.gamma if method.disc_weight is None else method.disc_weight) * found[f"kl.{i}"]
            continue
        if method.matching == "adversarial":
            found[f"kl.{i}"] = against(f"prior_{i}", level.z, drawn_of(one, place))
            total += found[f"kl.{i}"]
        elif method.matching == "mmd":
            found[f"mmd.{i}"] = mmd(level.z, drawn_of(one, place))
            total += method.kernel_weight * found[f"mmd.{i}"]
        else:
            size, rest = SIZES[place]
            sigma = covariance(size + rest, 0.0)
            for a in range(size):
                for b in range(size):
                    sigma[a][b] = 1.0 if a == b else method.rho
            assert level.q is not None
            found[f"kl.{i}"] = oracle.mean([kl_to(m, v, sigma) for m, v in zip(*level.q, strict=True)])
            total += found[f"kl.{i}"]
        if method.separation == "adversarial":
            found[f"separation.{i}"] = against(f"separation_{i}", level.z, permuted_of(one, level, place))
            total += method.gamma * found[f"separation.{i}"]
        elif method.separation == "hsic":
            found[f"separation.{i}"] = hsic(level.s, level.h)
            total += method.gamma * method.kernel_weight * found[f"separation.{i}"]
    for name in ("kl", "mmd", "separation"):
        if f"{name}.1" in found:
            found[name] = found[f"{name}.1"] + found[f"{name}.2"]
    if told:
        found["critic"] = oracle.mean(told)
        total += found["critic"]
    return {**found, "total": total}


OPTIONS: list[dict[str, Any]] = [
    {},
    {"reconstruction": "layers"},
    {"single_discriminator": True},
    {"single_discriminator": True, "disc_weight": 1.7},
    {"stabiliser": "spectral"},
    {"stabiliser": "noise", "instance_noise": 0.4},
    {"stabiliser": "noise", "instance_noise": 0.4, "single_discriminator": True},
    {"matching": "mmd", "separation": "hsic"},
    {"matching": "mmd", "separation": "adversarial"},
    {"matching": "mmd", "separation": "none"},
    {"separation": "hsic"},
    {"separation": "none"},
    *({"encoder": "stochastic", "matching": m} for m in ("adversarial", "mmd", "kl")),
    {"encoder": "stochastic", "matching": "kl", "separation": "none"},
    {"encoder": "stochastic", "single_discriminator": True},
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(f"{v}" for v in o.values()) or "default")
@pytest.mark.parametrize("likelihood", ["bernoulli", "squared"])
def test_terms(options: dict[str, Any], likelihood: str) -> None:
    one = case(BHiVAE(rho=RHO, kernel_weight=30.0, **SMALL, **options), likelihood)
    wanted = expected(one)
    loss = one.loss()
    assert set(loss.terms) | {"total"} == set(wanted)
    for name, value in wanted.items():
        given = loss.total if name == "total" else loss.terms[name]
        assert given.item() == pytest.approx(value, rel=TIGHT, abs=1e-10), name


@pytest.mark.parametrize("single", [False, True])
def test_one_backward_gives_the_gradients_of_two(single: bool) -> None:
    one = case(BHiVAE(rho=RHO, **SMALL, single_discriminator=single))
    one.loss().total.backward()
    together = gradients(one.model)
    model, net, method, batch = one.model, one.model.model, one.method, one.batch
    roles = {"both": method.gamma} if single else {"prior": 1.0, "separation": method.gamma}

    model.zero_grad()
    model.critics.requires_grad_(False)
    first = net.encoders[0](batch.x)
    zs = [first, net.encoders[1](first[:, 2:])]
    features = [net.part_decoders[p](part) for p, part in enumerate((first[:, :2], zs[1][:, :1], zs[1][:, 1:]))]
    made = net.decoder(torch.cat(features, 1))
    recon = torch.nn.functional.binary_cross_entropy_with_logits(made, batch.x, reduction="sum") / len(made)
    loss = method.recon_weight * recon
    for role, weight in roles.items():
        loss = loss + sum(weight * model.critics[f"{role}_{i}"](z).mean() for i, z in enumerate(zs, 1))
    loss.backward()
    apart = gradients(net)

    model.zero_grad()
    model.critics.requires_grad_(True)
    told = []
    for place, z in enumerate(zs):
        fixed, size = z.detach(), SIZES[place][0]
        order = batch.noise[f"permute.{place + 1}"]
        others = {
            "prior": table(drawn_of(one, place)),
            "separation": torch.cat([fixed[order[0], :size], fixed[order[1], size:]], 1),
        }
        for role in roles:
            critic = model.critics[f"{role}_{place + 1}"]
            false = torch.cat(list(others.values())) if single else others[role]
            scores, labels = critic(fixed), torch.ones(len(fixed), 1, dtype=torch.float64)
            entropy = torch.nn.functional.binary_cross_entropy_with_logits
            wrong = critic(false)
            told.append(0.5 * (entropy(scores, labels) + entropy(wrong, torch.zeros_like(wrong))))
    (sum(told) / len(told)).backward()
    learned = gradients(model.critics)

    for name, value in apart.items():
        torch.testing.assert_close(together[f"model.{name}"], value, rtol=1e-9, atol=1e-11)
    for name, value in learned.items():
        assert value.abs().max() > 0
        torch.testing.assert_close(together[f"critics.{name}"], value, rtol=1e-9, atol=1e-11)
