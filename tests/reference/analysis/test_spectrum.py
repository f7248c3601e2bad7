"""Freezing spectra against loops, closed forms, and the numbers known for all of dSprites."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from unweave.analysis import critical_pressure, freezing_spectrum, linear_information
from unweave.analysis.spectrum import _iterate
from unweave.data import DSprites, Triangle


def standardised(images: torch.Tensor, likelihood: str) -> list[list[float]]:
    """(N, P') rows in plain loops: pixels that vary, centred, divided by √(p(1 − p)) for Bernoulli."""
    rows = [[float(v) for v in image] for image in images.double().flatten(1)]
    out: list[list[float]] = [[] for _ in rows]
    for pixel in range(len(rows[0])):
        p = sum(row[pixel] for row in rows) / len(rows)
        if max(row[pixel] for row in rows) == min(row[pixel] for row in rows):
            continue
        scale = math.sqrt(p * (1 - p)) if likelihood == "bernoulli" else math.sqrt(0.5)
        for n, row in enumerate(rows):
            out[n].append((row[pixel] - p) / scale)
    return out


@pytest.mark.parametrize("likelihood", ["bernoulli", "squared"])
@pytest.mark.parametrize("shape", [(6, 1, 4, 5), (40, 2, 3, 3)])
def test_eigenvalues_are_those_of_the_standardised_covariance(likelihood: str, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    images = torch.rand(shape)
    images[:, :, 0, 0] = 0.3
    s = standardised(images, likelihood)
    gram = [[sum(a * b for a, b in zip(x, y, strict=True)) / len(s) for y in s] for x in s]
    expected = np.linalg.eigvalsh(np.array(gram))[::-1]
    found = freezing_spectrum(images, likelihood)
    assert found.complete
    assert found.values.numpy() == pytest.approx(expected[: len(found.values)], rel=1e-6)
    assert expected[len(found.values) :] == pytest.approx(0, abs=1e-9)
    assert found.total == pytest.approx(expected.sum(), rel=1e-6)


def test_the_iteration_gives_what_a_whole_decomposition_gives() -> None:
    torch.manual_seed(1)
    half = torch.randn(300, 300, dtype=torch.float64) * torch.logspace(1, -2, 300, dtype=torch.float64)
    matrix = half.mT @ half
    values, vectors = _iterate(lambda y: matrix @ y, 300, 20)
    assert values.tolist() == pytest.approx(torch.linalg.eigvalsh(matrix).flip(0)[:20].tolist(), rel=1e-6)
    assert torch.allclose(matrix @ vectors, vectors * values, rtol=0, atol=1e-2 * float(values[0]))


@pytest.mark.parametrize("positions", [2, 5, 9])
def test_images_without_overlap(positions: int) -> None:
    """n images that share no pixel: each of its m pixels has p = 1/n, so every λ = m n/(n − 1), n − 1 times; doubled
    covariance: 2m/n."""
    images = torch.eye(positions).repeat_interleave(3, dim=1).reshape(positions, 1, positions, 3)
    found = freezing_spectrum(images)
    assert found.values.tolist() == pytest.approx([3 * positions / (positions - 1)] * (positions - 1))
    assert critical_pressure(images, "squared") == pytest.approx(6 / positions)


def test_linear_information_equals_the_mixture_in_loops() -> None:
    torch.manual_seed(2)
    images = torch.rand(12, 1, 3, 3)
    spectrum = freezing_spectrum(images)
    beta = 0.3 * spectrum.critical
    curve = linear_information(images, spectrum, points=2, draws=20_000, end=beta)
    used = [float(v) for v in spectrum.values if v > beta]
    scores = spectrum.scores(images.flatten(1))[:, : len(used)]
    rng = np.random.default_rng(0)
    total, count = 0.0, 4000
    for n in range(count):
        x = n % 12
        z = [
            math.sqrt(1 - beta / v) * float(scores[x, i]) + math.sqrt(beta / v) * rng.standard_normal()
            for i, v in enumerate(used)
        ]
        logs = [
            sum(
                -((z[i] - math.sqrt(1 - beta / v) * float(scores[m, i])) ** 2) / (2 * beta / v)
                for i, v in enumerate(used)
            )
            for m in range(12)
        ]
        total += logs[x] - math.log(sum(math.exp(one) for one in logs) / 12)
    assert curve.information[-1] == pytest.approx(total / count, abs=0.05)


def test_the_triangle_set() -> None:
    found = freezing_spectrum(Triangle(), modes=8)
    assert found.values[:4].tolist() == pytest.approx([44.1673, 44.1587, 42.8163, 41.9478], abs=1e-3)


def test_a_sample_of_dsprites_is_near_the_whole() -> None:
    found = freezing_spectrum(DSprites(), sample=3000, modes=7)
    whole = [199.18, 198.84, 163.59, 121.97, 119.18, 100.42, 100.00]
    assert found.values.tolist() == pytest.approx(whole, rel=0.08)


@pytest.mark.slow
def test_all_of_dsprites() -> None:
    """The numbers of the specification: three minutes, 737,280 images."""
    found = freezing_spectrum(DSprites(), sample=None)
    whole = [199.2, 198.8, 163.6, 122.0, 119.2, 100.4, 100.0, 63.5, 60.6, 59.9, 54.0]
    assert found.values[:11].tolist() == pytest.approx(whole, abs=0.06)
    assert found.total == pytest.approx(3296) and found.rows == found.sample == 737_280
    told = {80: 1.90, 70: 2.37, 60: 2.94, 40: 5.4, 30: 7.4, 12: 19.1}
    assert {beta: found.rate(beta) for beta in told} == pytest.approx(told, abs=0.06)


@pytest.mark.slow
def test_all_of_dsprites_with_squared_error() -> None:
    found = freezing_spectrum(DSprites(), "squared", sample=None, modes=16)
    assert found.values[:6].tolist() == pytest.approx([35.7, 35.6, 24.2, 24.0, 18.7, 12.6], abs=0.06)
