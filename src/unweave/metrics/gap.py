"""What both forms of MIG share: from shares of factors to gaps, and which latents form a code."""

from __future__ import annotations

from typing import Any

import numpy as np

from unweave.metrics.information import units
from unweave.metrics.rows import Floats, Table
from unweave.types import Codes


def gaps(share: Floats, names: tuple[str, ...]) -> tuple[float, dict[str, float]]:
    """The mean gap and its parts from I / H of B codes and F factors, (B, F); with one code the second best is 0."""
    ranked = -np.sort(-share, axis=0)
    first, second = ranked[0], ranked[1] if len(ranked) > 1 else np.zeros_like(ranked[0])
    parts = {f"gap.{name}": float(gap) for name, gap in zip(names, first - second, strict=True)}
    parts |= {"nmi1": float(first.mean()), "nmi2": float(second.mean())}
    return float((first - second).mean()), parts


def grouping(codes: Codes, rows: Table, blocks: str) -> tuple[tuple[tuple[int, ...], ...], dict[str, Any]]:
    """The sets of latents that are scored as one, and the notes on it.

    Args:
        codes: whose blocks.
        rows: their table, with ``blocks_ignored`` among its notes when there are blocks.
        blocks: ``joint`` or ``ignore``.
    """
    if blocks == "ignore" or not codes.blocks:
        return units((), rows.z.shape[1]), rows.notes
    found = units(codes.blocks, rows.z.shape[1])
    notes = {key: value for key, value in rows.notes.items() if key != "blocks_ignored"}
    return found, {**notes, "units": [list(unit) for unit in found]}
