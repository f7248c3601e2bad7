"""A part to train on and a part to test on: at random, or by combinations of factors that training never shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from unweave.data.base import Dataset
from unweave.data.part import Levels, Part, all_levels, scattered
from unweave.names import known
from unweave.types import Reference, UserError

PARTS = ("train", "test")
SEEDS = 2**63

MONTERO_2021 = Reference(
    "montero2021role",
    "Montero, Milton Llera and Ludwig, Casimir J. H. and Costa, Rui Ponte and Malhotra, Gaurav and Bowers, Jeffrey",
    "The role of Disentanglement in Generalisation",
    "International Conference on Learning Representations",
    2021,
    "https://openreview.net/forum?id=qbH974jKUVy",
)


@dataclass(frozen=True)
class Split(Part):
    """A random part of a data set, and the rest of it as the other part.

    No row is in both parts, and together they are the whole set; rows may look alike. Which falls into which depends on
    the seed and on the number of images only. Each part keeps the order of the whole.

    Args:
        of: the whole data set.
        part: ``train`` or ``test``.
        fraction: of the images that are in ``train``, rounded to a whole number of images.
        seed: which of many such splits, from 0.

    Raises:
        UserError: from ``rows`` and ``open``, for another part, or a fraction that leaves one part empty.

    >>> from unweave.data import Triangle
    >>> Split(Triangle()).rows, Split(Triangle(), "test").rows
    (922, 102)
    """

    of: Dataset
    part: str = "train"
    fraction: float = 0.9
    seed: int = 0

    name: ClassVar[str] = "split"

    def choose(self) -> NDArray[np.int64]:
        """The rows of the part."""
        count = self.of.rows
        known(self.part, PARTS, "part")
        kept = round(count * self.fraction) if 0 < self.fraction < 1 else 0
        if not 0 < kept < count:
            raise UserError(
                f"split: fraction = {self.fraction} of {count} images; allowed: between 0 and 1, no part empty"
            )
        if not 0 <= self.seed < SEEDS:
            raise UserError(f"split: seed = {self.seed}; allowed: 0 to 2^63 − 1")
        order = np.argsort(scattered(self.seed, np.arange(count)), kind="stable")
        return np.sort(order[:kept] if self.part == "train" else order[kept:])


@dataclass(frozen=True)
class HeldOut(Part):
    """A data set without some combinations of factor levels, or these combinations alone.

    Trained on the part ``train`` and scored on ``test``, a model is asked for combinations that it never saw of levels
    that it did see (Montero et al., 2021). ``train`` alone is a set with forbidden combinations, whose factors are
    therefore not independent.

    Args:
        of: the whole data set.
        combinations: what is held out: images that match any of them. A combination is pairs of a factor's name and its
            levels; an image matches it if every factor named has one of its levels.
        part: ``train``, without these images, or ``test``, these alone.

    Raises:
        UserError: combinations of another form; from ``rows`` and ``open``, for unknown factors or levels, nothing held
            out, or a part without image.

    >>> from unweave.data import DSprites
    >>> right_hearts = ((("shape", (2,)), ("pos_x", tuple(range(16, 32)))),)
    >>> HeldOut(DSprites(), right_hearts).rows, HeldOut(DSprites(), right_hearts, "test").rows
    (614400, 122880)
    """

    of: Dataset
    combinations: tuple[tuple[tuple[str, tuple[int, ...]], ...], ...]
    part: str = "train"

    name: ClassVar[str] = "held-out"
    references: ClassVar[tuple[Reference, ...]] = (MONTERO_2021,)

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_form(self.combinations)

    def choose(self) -> NDArray[np.int64]:
        """The rows of the part."""
        known(self.part, PARTS, "part")
        levels = all_levels(self.of)
        out = np.zeros(len(levels), dtype=bool)
        for one in self.combinations:
            out |= self._match(levels, one)
        if not out.any():
            raise UserError(
                f"held-out: none of {len(levels):,} images of {self.of.name} has {self.combinations or 'nothing'}; "
                "allowed: combinations that exist"
            )
        return np.flatnonzero(out if self.part == "test" else ~out)

    def _match(self, levels: Levels, combination: tuple[tuple[str, tuple[int, ...]], ...]) -> NDArray[np.bool_]:
        factors = self.of.factors
        assert factors is not None
        found = np.full(len(levels), bool(combination))
        for name, wanted in combination:
            column = factors.position(name)
            wrong = [level for level in wanted if not 0 <= level < factors.sizes[column]]
            if wrong or not wanted:
                raise UserError(
                    f"held-out: {name} = {list(wanted)}; allowed: some of the levels 0 to {factors.sizes[column] - 1}"
                )
            found &= np.isin(levels[:, column], wanted)
        return found


def _check_form(combinations: object) -> None:
    """Raises UserError for combinations with a bracket too few or too many."""

    def sound(pair: object) -> bool:
        return isinstance(pair, tuple) and len(pair) == 2 and isinstance(pair[0], str) and isinstance(pair[1], tuple)

    whole = isinstance(combinations, tuple) and all(
        isinstance(one, tuple) and all(sound(pair) for pair in one) for one in combinations
    )
    if not whole:
        raise UserError(
            f"held-out: combinations = {str(combinations)[:80]}; allowed: a tuple of combinations, each a tuple of "
            '(name, levels), such as ((("shape", (2,)), ("scale", (0, 1))),)'
        )
