"""NVAE against its objective written out: residual posteriors, warm-up, balance and both norms."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from unweave.methods import NVAE

from . import oracle
from .case import TIGHT, Case, case, rows

FLOOR = 0.01
SMALL = {"warmup_steps": 20, "width": 8}


def soft(value: float) -> float:
    return 5 * math.tanh(value / 5)


def flat(head: nn.Module, maps: Tensor) -> tuple[list[list[float]], list[list[float]]]:
    """Means and log-variances from a head's maps: half the channels each, image by image, channel by channel."""
    outputs = head(maps)
    channels = outputs.shape[1] // 2
    means, logvars = [], []
    for image in outputs.tolist():
        flat_rows = [[soft(v) for line in channel for v in line] for channel in image]
        means.append([v for channel in flat_rows[:channels] for v in channel])
        logvars.append([2 * v for channel in flat_rows[channels:] for v in channel])
    return means, logvars


def walk(one: Case, noise: list[list[float]] | None) -> tuple[list, list[list[float]], list[list[float]]]:
    """Every group's (prior mean, prior logvar, shift, change of logvar), all samples in a row, and the logits."""
    net, x = one.model, one.batch.x
    seen = []
    for trunk in net.up:
        x = trunk(x)
        seen.append(x)
    count = len(x)
    path = net.start.expand(count, -1, -1, -1)
    groups: list = []
    codes: list[list[float]] = [[] for _ in range(count)]
    place = 0
    for scale, number in enumerate(one.method.groups):
        for _ in range(number):
            group = net.latent_groups[place]
            image = seen[len(seen) - 1 - scale]
            shift, change = flat(group.posterior, torch.cat([path, image], 1))
            zeros = [[0.0] * len(row) for row in shift]
            prior = (zeros, zeros) if place == 0 else flat(group.prior, path)
            groups.append((*prior, shift, change))
            sample = []
            for n in range(count):
                start = len(codes[n])
                row = []
                for j, (m, v, dm, dv) in enumerate(zip(*(part[n] for part in groups[-1]), strict=True)):
                    e = 0.0 if noise is None else noise[n][start + j]
                    row.append(m + dm + math.exp((v + dv) / 2) * e)
                sample.append(row)
            for n, row in enumerate(sample):
                codes[n] += row
            maps = torch.tensor(sample, dtype=torch.float64).view(count, -1, *path.shape[2:])
            path = group.trunk(group.join(torch.cat([path, maps], 1)))
            place += 1
        path = net.down[scale](path)
    return groups, codes, rows(path)


def kl_of(prior_mean: list, prior_logvar: list, shift: list, change: list) -> float:
    """½ (Δμ² / σ² + Δσ² − ln Δσ² − 1), summed over latents, averaged over images."""
    each = []
    for row in zip(prior_mean, prior_logvar, shift, change, strict=True):
        each.append(
            math.fsum((dm**2 / math.exp(v) + math.exp(dv) - dv - 1) / 2 for _, v, dm, dv in zip(*row, strict=True))
        )
    return oracle.mean(each)


def power(matrix: list[list[float]], steps: int) -> float:
    """|W v| after some rounds of v <- Wᵀ W v / |…| from v_j = cos(j²)."""

    def times(m: oracle.Matrix, v: oracle.Numbers) -> list[float]:
        return [math.fsum(a * b for a, b in zip(row, v, strict=True)) for row in m]

    back = oracle.transposed(matrix)
    v = [math.cos(j * j) for j in range(len(matrix[0]))]
    for _ in range(steps):
        v = times(back, times(matrix, v))
        length = math.sqrt(math.fsum(a * a for a in v))
        v = [a / length for a in v]
    return math.sqrt(math.fsum(a * a for a in times(matrix, v)))


@pytest.mark.parametrize("groups", [(2, 1), (3,)])
@pytest.mark.parametrize("likelihood", ["bernoulli", "squared"])
@pytest.mark.parametrize("balance", [True, False])
@pytest.mark.parametrize("step", [0, 7, 19, 20, 50])
def test_terms(groups: tuple[int, ...], likelihood: str, balance: bool, step: int) -> None:
    one = case(NVAE(groups, balance=balance, spectral=0.3, power_iterations=3, **SMALL), likelihood, step)
    found, _, logits = walk(one, rows(one.batch.noise["z"]))
    kls = [kl_of(*group) for group in found]
    recon = oracle.reconstruction(likelihood, logits, rows(one.batch.x))
    beta = min(step / 20, 1.0)
    weights = [1.0] * len(kls)
    if balance and step < 20:
        each = [(kl + FLOOR) / len(group[0][0]) for kl, group in zip(kls, found, strict=True)]
        weights = [len(each) * value / math.fsum(each) for value in each]
    modules = list(one.model.modules())
    convolutions = [m for m in modules if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    spectral = math.fsum(power(m.weight.flatten(1).tolist(), 3) for m in convolutions)
    gain = math.fsum(max(abs(g) for g in m.weight.tolist()) for m in modules if isinstance(m, nn.GroupNorm))
    loss = one.loss()
    wanted = {"recon": recon, "kl": math.fsum(kls), "beta": beta, "spectral": spectral, "gain": gain}
    wanted |= {f"kl.{place}": kl for place, kl in enumerate(kls)}
    assert set(loss.terms) == set(wanted)
    for name, value in wanted.items():
        assert loss.terms[name].item() == pytest.approx(value, rel=TIGHT), name
    pressed = beta * math.fsum(w * kl for w, kl in zip(weights, kls, strict=True))
    assert loss.total.item() == pytest.approx(recon + pressed + 0.3 * (spectral + gain), rel=TIGHT)


@pytest.mark.parametrize("groups", [(2, 1), (3,)])
def test_the_representation_is_every_groups_mean(groups: tuple[int, ...]) -> None:
    one = case(NVAE(groups, **SMALL))
    found, codes, logits = walk(one, None)
    q = one.model.encode(one.batch.x)
    assert q.mean.flatten().tolist() == pytest.approx([v for row in codes for v in row], rel=TIGHT, abs=TIGHT)
    logvars = [[v + dv for g in found for v, dv in zip(g[1][n], g[3][n], strict=True)] for n in range(len(codes))]
    assert q.logvar.flatten().tolist() == pytest.approx([v for row in logvars for v in row], rel=TIGHT, abs=TIGHT)
    decoded = rows(one.model.decode(torch.tensor(codes, dtype=torch.float64)))
    assert [v for row in decoded for v in row] == pytest.approx(
        [v for row in logits for v in row], rel=TIGHT, abs=TIGHT
    )
