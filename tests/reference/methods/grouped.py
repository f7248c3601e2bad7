"""The parts of the rate from a batch's densities, in plain sums of plain exponentials."""

from __future__ import annotations

import math

from . import oracle
from .case import Case, rows, table

ROWS = 100
"""N, images in the data set that the weights speak of."""


def weight(estimator: str, b: int, m: int, count: int) -> float:
    """How much image m's posterior counts in the density at image b's code."""
    if estimator == "batch":
        return 1 / count
    if estimator == "mws":
        return 1 / (count * ROWS)
    others = count - 1
    if m == b:
        return 1 / ROWS
    if estimator == "exact-weights":
        return (ROWS - 1) / (ROWS * others)
    return (ROWS - others) / (ROWS * others) if m == (b + 1) % count else 1 / others


def log_density(
    z: oracle.Matrix, means: oracle.Matrix, logvars: oracle.Matrix, latents: list[int], estimator: str
) -> list[float]:
    """log q(z_S) at every code, S the latents given."""
    found = []
    for b, code in enumerate(z):
        total = 0.0
        for m in range(len(z)):
            product = weight(estimator, b, m, len(z))
            for j in latents:
                variance = math.exp(logvars[m][j])
                product *= math.exp(-((code[j] - means[m][j]) ** 2) / (2 * variance)) / math.sqrt(
                    2 * math.pi * variance
                )
            total += product
        found.append(math.log(total))
    return found


def parts(
    z: oracle.Matrix, means: oracle.Matrix, logvars: oracle.Matrix, size: int, estimator: str
) -> dict[str, float]:
    """MI, TC between and within groups of so many latents, and DW, averaged over the batch."""
    latents = list(range(len(z[0])))
    groups = [latents[low : low + size] for low in range(0, len(latents), size)]
    joint = oracle.mean(log_density(z, means, logvars, latents, estimator))
    by_group = [oracle.mean(log_density(z, means, logvars, group, estimator)) for group in groups]
    single = [oracle.mean(log_density(z, means, logvars, [j], estimator)) for j in latents]
    own = oracle.mean(
        [
            sum(
                -((c - m) ** 2) / (2 * math.exp(v)) - 0.5 * math.log(2 * math.pi * math.exp(v))
                for c, m, v in zip(*row, strict=True)
            )
            for row in zip(z, means, logvars, strict=True)
        ]
    )
    prior = oracle.mean([sum(-c * c / 2 - 0.5 * math.log(2 * math.pi) for c in code) for code in z])
    return {
        "mi": own - joint,
        "tc": joint - sum(single),
        "tc_joint": joint - sum(by_group),
        "tc_within": sum(by_group) - sum(single),
        "dw": sum(single) - prior,
    }


def expected(one: Case, size: int, weights: dict[str, float], likelihood: str) -> dict[str, float]:
    """Every term of a case's loss and its total; ``weights`` are those of mi, tc_joint, tc_within, dw."""
    means, logvars = oracle.split(rows(one.model.encoder(one.batch.x)))
    z = oracle.sample(means, logvars, rows(one.batch.noise["z"]))
    recon = oracle.reconstruction(likelihood, rows(one.model.decoder(table(z))), rows(one.batch.x))
    kl = oracle.kl(means, logvars)
    found = parts(z, means, logvars, size, one.method.estimator)
    if one.method.kl == "sampled":
        total = recon + sum(weights[name] * found[name] for name in weights)
    else:
        total = recon + kl + sum((weights[name] - 1) * found[name] for name in weights)
    recorded = parts(z, means, logvars, size, "batch" if one.method.estimator == "mws" else one.method.estimator)
    return {"recon": recon, "kl": kl, **recorded, "total": total}
