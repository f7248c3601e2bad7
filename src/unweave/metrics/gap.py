"""What both forms of MIG share: from shares of factors to gaps."""

from __future__ import annotations

import numpy as np

from unweave.metrics.rows import Floats


def gaps(share: Floats, names: tuple[str, ...]) -> tuple[float, dict[str, float]]:
    """The mean gap and its parts from I / H of B codes and F factors, (B, F); with one code the second best is 0."""
    ranked = -np.sort(-np.minimum(share, 1.0), axis=0)  # a perfect code's is above by rounding
    first, second = ranked[0], ranked[1] if len(ranked) > 1 else np.zeros_like(ranked[0])
    parts = {f"gap.{name}": float(gap) for name, gap in zip(names, first - second, strict=True)}
    parts |= {"nmi1": float(first.mean()), "nmi2": float(second.mean())}
    return float((first - second).mean()), parts
