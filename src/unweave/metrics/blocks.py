"""Blocks of latents as codes: which latents a metric scores as one, and how its score says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unweave.metrics.information import units
from unweave.names import known
from unweave.types import Codes

Blocks = Literal["ignore", "joint"]
BLOCKS = ("ignore", "joint")
Sets = tuple[tuple[int, ...], ...]


class Grouping(NamedTuple):
    """What is scored as one, and what a reader of the score must know about it."""

    sets: Sets
    """Latents of each code."""
    notes: dict[str, Any]
    """``units``, the latents of each code, or ``blocks_ignored``; nothing where there are no blocks."""


def grouping(codes: Codes, blocks: str, who: str, notes: Mapping[str, Any] | None = None) -> Grouping:
    """The sets of latents that are scored as one: the blocks and the latents in none, or each latent its own.

    Args:
        codes: whose blocks.
        blocks: ``joint`` or ``ignore``.
        who: the metric that asks.
        notes: what was noted before, ``blocks_ignored`` perhaps among it.

    Raises UserError for another word, or blocks that overlap, are empty or name no latent.

    >>> codes = Codes.of(np.zeros((10, 3)), blocks=((0, 2),))
    >>> grouping(codes, "joint", "me").sets, grouping(codes, "ignore", "me").notes
    (((0, 2), (1,)), {'blocks_ignored': True})
    """
    known(blocks, BLOCKS, f"blocks of {who}")
    latents = codes.mean.shape[1]
    rest = {key: value for key, value in (notes or {}).items() if key != "blocks_ignored"}
    if not codes.blocks:
        return Grouping(units((), latents), rest)
    if blocks == "ignore":
        return Grouping(units((), latents), {**rest, "blocks_ignored": True})
    found = units(codes.blocks, latents)
    notes = {**rest, "units": [list(unit) for unit in found]}
    if len(found) == 2 and who.startswith("MIG"):
        notes["two_units"] = "gaps between two units say little: one that tells nothing leaves the other the whole"
    return Grouping(found, notes)


def among(sets: Sequence[tuple[int, ...]], alive: NDArray[np.bool_]) -> Sets:
    """The sets without the latents that are not alive, counted among those that are; sets left empty are dropped.

    >>> among(((0, 2), (1,), (3,)), np.array([False, True, True, True]))
    ((1,), (0,), (2,))
    """
    place = np.cumsum(alive) - 1
    kept = (tuple(int(place[j]) for j in unit if alive[j]) for unit in sets)
    return tuple(unit for unit in kept if unit)


def suffix(blocks: str) -> list[str]:
    """What the label of a score has behind it: ``blocks`` where they are codes, nothing where they are ignored."""
    return ["blocks"] if blocks == "joint" else []
