"""The unsupervised Guided-VAE against its objective written out, with and without the spatial transformer."""

from __future__ import annotations

import math

import pytest

from unweave.methods import GuidedVAE

from . import oracle
from .case import TIGHT, Case, case, rows, table

SIDE = 8
EPS = 1e-6


def dense(layer, row: oracle.Numbers) -> list[float]:
    """W z + b of one code."""
    pairs = zip(layer.weight.tolist(), layer.bias.tolist(), strict=True)
    return [math.fsum(w * value for w, value in zip(weights, row, strict=True)) + bias for weights, bias in pairs]


def read(image: oracle.Numbers, u: float, v: float) -> float:
    """A pixel between pixels: the four around it by their nearness, and 0 outside."""
    across, down = ((u + 1) * SIDE - 1) / 2, ((v + 1) * SIDE - 1) / 2
    left, top = math.floor(across), math.floor(down)
    found = 0.0
    for y in (top, top + 1):
        for x in (left, left + 1):
            if 0 <= x < SIDE and 0 <= y < SIDE:
                found += image[y * SIDE + x] * (1 - abs(across - x)) * (1 - abs(down - y))
    return found


def light_of(one: Case, z: list[float]) -> list[float]:
    """The logits of the light decoder for one code."""
    net = one.model
    if not one.method.transformer:
        return dense(net.basis, z)
    flat = [oracle.sigmoid(a) for a in dense(net.basis, z[2:])]
    wide, high = dense(net.size, z[:1])
    (angle,) = dense(net.angle, z[1:2])
    logits = []
    for row in range(SIDE):
        for column in range(SIDE):
            u, v = (2 * column + 1) / SIDE - 1, (2 * row + 1) / SIDE - 1
            a, b = wide * u, high * v
            pixel = read(flat, math.cos(angle) * a + math.sin(angle) * b, math.cos(angle) * b - math.sin(angle) * a)
            pixel = min(max(pixel, EPS), 1 - EPS)
            logits.append(math.log(pixel / (1 - pixel)))
    return logits


@pytest.mark.parametrize("likelihood", ["bernoulli", "squared"])
@pytest.mark.parametrize("transformer", [False, True])
@pytest.mark.parametrize("weights", [(0.5, 1.0), (2.0, 0.0), (0.0, 0.3)])
def test_terms(likelihood: str, transformer: bool, weights: tuple[float, float]) -> None:
    one = case(GuidedVAE(*weights, transformer=transformer), likelihood)
    images = rows(one.batch.x)
    means, logvars = oracle.split(rows(one.model.encoder(one.batch.x)))
    z = oracle.sample(means, logvars, rows(one.batch.noise["z"]))
    recon = oracle.reconstruction(likelihood, rows(one.model.decoder(table(z))), images)
    kl = oracle.kl(means, logvars)
    light = oracle.reconstruction(likelihood, [light_of(one, row) for row in z], images)
    columns = oracle.transposed(one.model.basis.weight.tolist())
    overlap = math.fsum(
        abs(math.fsum(a * b for a, b in zip(left, right, strict=True)))
        for i, left in enumerate(columns)
        for j, right in enumerate(columns)
        if i != j
    )
    loss = one.loss()
    for name, value in {"recon": recon, "kl": kl, "light": light, "overlap": overlap}.items():
        assert loss.terms[name].item() == pytest.approx(value, rel=TIGHT), name
    assert loss.total.item() == pytest.approx(recon + kl + weights[0] * light + weights[1] * overlap, rel=TIGHT)
    assert len(columns) == (4 if transformer else 6)
