"""The arithmetic of the objectives on plain Python numbers and lists: no tensors, nothing of the package."""

from __future__ import annotations

import math
from collections.abc import Sequence

Numbers = Sequence[float]
Matrix = Sequence[Numbers]


def softplus(value: float) -> float:
    """log(1 + exp(value)), for any size of value."""
    return max(value, 0.0) + math.log1p(math.exp(-abs(value)))


def sigmoid(value: float) -> float:
    """1 / (1 + exp(−value)), for any size of value."""
    if value >= 0:
        return 1 / (1 + math.exp(-value))
    return math.exp(value) / (1 + math.exp(value))


def bernoulli(logits: Numbers, pixels: Numbers) -> float:
    """−Σ x log s + (1 − x) log(1 − s) of one image, s = sigmoid(logit)."""
    return sum(x * softplus(-a) + (1 - x) * softplus(a) for a, x in zip(logits, pixels, strict=True))


def squared(logits: Numbers, pixels: Numbers) -> float:
    """Σ (x − s)² of one image."""
    return sum((x - sigmoid(a)) ** 2 for a, x in zip(logits, pixels, strict=True))


DISTORTIONS = {"bernoulli": bernoulli, "squared": squared}


def reconstruction(likelihood: str, logits: Matrix, images: Matrix) -> float:
    """Summed over pixels, averaged over images."""
    return mean([DISTORTIONS[likelihood](a, x) for a, x in zip(logits, images, strict=True)])


def mean(values: Numbers) -> float:
    """The average."""
    return math.fsum(values) / len(values)


def split(outputs: Matrix) -> tuple[list[list[float]], list[list[float]]]:
    """Means and log-variances (kept in [−30, 20]) from the rows that an encoder put out."""
    half = len(outputs[0]) // 2
    means = [list(row[:half]) for row in outputs]
    return means, [[min(max(v, -30.0), 20.0) for v in row[half:]] for row in outputs]


def sample(means: Matrix, logvars: Matrix, noise: Matrix) -> list[list[float]]:
    """mean + σ · noise."""
    return [
        [m + math.exp(v / 2) * e for m, v, e in zip(*row, strict=True)]
        for row in zip(means, logvars, noise, strict=True)
    ]


def kl(means: Matrix, logvars: Matrix) -> float:
    """KL to N(0, I), summed over latents, averaged over images."""
    return mean(
        [
            math.fsum(0.5 * (m**2 + math.exp(v) - v - 1) for m, v in zip(*row, strict=True))
            for row in zip(means, logvars, strict=True)
        ]
    )


def determinant(matrix: Matrix) -> float:
    """By elimination with pivots."""
    rows = [list(row) for row in matrix]
    out = 1.0
    for column in range(len(rows)):
        pivot = max(range(column, len(rows)), key=lambda r: abs(rows[r][column]))
        if pivot != column:
            rows[column], rows[pivot] = rows[pivot], rows[column]
            out = -out
        out *= rows[column][column]
        for below in range(column + 1, len(rows)):
            factor = rows[below][column] / rows[column][column]
            for place in range(column, len(rows)):
                rows[below][place] -= factor * rows[column][place]
    return out


def product(left: Matrix, right: Matrix) -> list[list[float]]:
    """Matrix times matrix."""
    return [
        [math.fsum(a * row[j] for a, row in zip(one, right, strict=True)) for j in range(len(right[0]))] for one in left
    ]


def transposed(matrix: Matrix) -> list[list[float]]:
    """Rows as columns."""
    return [list(column) for column in zip(*matrix, strict=True)]
