"""Rows to score: the checked table behind codes, seeded samples of it, and training and test halves."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from unweave.types import LOGVAR_RANGE, Codes, UserError, steady

FEWEST = 10
"""A score on fewer images than this says nothing, so it is refused."""

LARGEST = float(np.finfo(np.float32).max)
"""Larger codes are refused: their squares overflow, and classifiers never finish on them."""

FAR = 2**20
"""Level numbers from here on, such as dates, are only told apart: nothing is counted up to them."""

STREAMS = {"sample": 0, "split": 1, "votes": 2, "classifier": 3, "noise": 4, "posterior": 5}
"""Numbers that keep the random choices of one seed apart."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Table(NamedTuple):
    """Codes as float64 and int64 arrays, checked."""

    z: Floats
    """(M, D) representation."""
    levels: Ints
    """(M, F) factor levels."""
    names: tuple[str, ...]
    """Names of the F factors."""
    notes: dict[str, Any]
    """What a reader of the score must know: blocks that were ignored, factors that were left out."""

    def take(self, rows: Ints) -> Table:
        """The table of some rows only."""
        return self._replace(z=self.z[rows], levels=self.levels[rows])

    def without(self, constant: NDArray[np.bool_], who: str) -> Table:
        """The table without the factors marked constant, noted by name.

        Raises UserError when none is left.
        """
        if constant.all():
            raise UserError(
                f"{who}: every factor has a single level in the images read; allowed are codes in which one varies"
            )
        if not constant.any():
            return self
        left_out = [name for name, gone in zip(self.names, constant, strict=True) if gone]
        kept = tuple(name for name, gone in zip(self.names, constant, strict=True) if not gone)
        return Table(self.z, self.levels[:, ~constant], kept, {**self.notes, "constant_factors": left_out})


def table(codes: Codes, who: str, together: bool = False) -> Table:
    """The checked arrays of codes that have factors.

    Args:
        codes: the codes.
        who: the metric that asks.
        together: whether it reads all latents together, so that blocks make no difference and nothing is noted of them.

    Raises:
        UserError: no factors, fewer than 10 images, or numbers that are not finite or beyond the range of float32.

    >>> import torch
    >>> table(Codes.of(torch.randn(20, 2), torch.arange(20)[:, None] % 4), "MIG").z.shape
    (20, 2)
    """
    codes.need_factors(who)
    z = representation(codes, who)
    levels = dense(codes.levels.detach().cpu().numpy().astype(np.int64))
    names = codes.names or tuple(f"factor {k}" for k in range(levels.shape[1]))
    return Table(z, levels, names, {"blocks_ignored": True} if codes.blocks and not together else {})


def representation(codes: Codes, who: str) -> Floats:
    """The checked posterior means (M, D) of codes, with or without factors.

    Raises:
        UserError: fewer than 10 images, or numbers that are not finite or beyond the range of float32.
    """
    z = codes.mean.detach().cpu().double().numpy()
    if len(z) < FEWEST:
        raise UserError(f"{who}: {len(z)} images; allowed is {FEWEST} or more")
    if not np.isfinite(z).all():
        raise UserError(
            f"{who}: the codes hold numbers that are not finite (NaN or infinity); the model has probably diverged"
        )
    if np.abs(z).max() > LARGEST:
        raise UserError(f"{who}: the codes reach {np.abs(z).max():.1e}; allowed is up to {LARGEST:.1e}, as in float32")
    return steady(codes.mean.detach().cpu()).double().numpy()


def dense(levels: Ints) -> Ints:
    """Columns whose numbers reach ``FAR`` by their places instead; the others keep theirs."""
    columns = [np.unique(v, return_inverse=True)[1].reshape(-1) if v.max(initial=0) >= FAR else v for v in levels.T]
    return np.stack(columns, axis=1).astype(np.int64) if columns else levels


def logvariances(codes: Codes, who: str) -> Floats:
    """The checked log-variances (M, D) of codes, within the range that training keeps them in.

    Raises:
        UserError: codes that are points, or numbers that are not finite.
    """
    if codes.logvar is None:
        raise UserError(
            f"{who} reads how wide q(z|x) is, and these codes are points (logvar is None); "
            "allowed are codes with log-variances"
        )
    logvar = codes.logvar.detach().cpu().numpy().astype(np.float64)
    if not np.isfinite(logvar).all():
        raise UserError(f"{who}: the log-variances hold numbers that are not finite (NaN or infinity)")
    return np.clip(logvar, *LOGVAR_RANGE)


def generator(seed: int, stream: str) -> np.random.Generator:
    """NumPy's generator for one use of one seed; never the global one.

    >>> float(generator(7, "split").random()) == float(generator(7, "split").random())
    True
    """
    if seed < 0:
        raise UserError(f"seed {seed}; allowed is 0 or more")
    return np.random.default_rng((seed, STREAMS[stream]))


def sample(rows: int, images: int | None, seed: int) -> Ints:
    """Which rows to read: all of them, or ``images`` drawn without replacement when there are more."""
    if images is None or images >= rows:
        return np.arange(rows, dtype=np.int64)
    return generator(seed, "sample").permutation(rows)[:images].astype(np.int64)


def split(rows: int, train: int, test: int, seed: int) -> tuple[Ints, Ints]:
    """Shuffled training and test rows without a row in common; of fewer rows, all, in the ratio train : test.

    >>> [len(part) for part in split(300, train=1000, test=500, seed=0)]
    [200, 100]
    """
    if train + test > rows:
        train = min(max(round(rows * train / (train + test)), 1), rows - 1)
        test = rows - train
    order = generator(seed, "split").permutation(rows).astype(np.int64)
    return order[:train], order[train : train + test]
