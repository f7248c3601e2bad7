"""Images that are not here: what a shared model still knows of the data it was trained on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import torch

from unweave.data.base import Dataset, Images
from unweave.data.factors import Factors
from unweave.data.formats.anyfile import FITS
from unweave.types import UserError

LARGEST = 8192
"""Longest side of an image, and most channels."""
MOST = 1 << 40
"""Most images."""
LONGEST = 200
"""Letters of a name."""


@dataclass(frozen=True)
class Elsewhere(Dataset):
    """The user's own images on another machine: their shape, their number and their factors, and nothing to open.

    It stands in a shared model for a folder of pictures, a file of images, or a data set that is no part of unweave: no
    path of a machine leaves it.

    Args:
        kind: the name of the data set that it stands for.
        channels: C.
        height: H.
        width: W.
        images: how many there were.
        pixels: ``bernoulli`` or ``squared``, what the model compares them by.
        fit: how pictures were made to fit (see ``Folder``), for pictures that are encoded later.
        factor_names: names of the factors, if there were any.
        factor_sizes: how many levels each has.

    Raises:
        UserError: from ``open``: there is nothing to open.

    >>> Elsewhere("folder", 3, 64, 64, 5000).shape
    (3, 64, 64)
    """

    kind: str
    channels: int
    height: int
    width: int
    images: int
    pixels: str = "squared"
    fit: str = "crop"
    factor_names: tuple[str, ...] = ()
    factor_sizes: tuple[int, ...] = ()

    name: ClassVar[str] = "elsewhere"
    licence: ClassVar[str] = "the user's own images"
    needs_files: ClassVar[bool] = True
    loose: ClassVar[bool] = True

    @property
    def shape(self) -> tuple[int, int, int]:  # type: ignore[override]
        """C, H, W."""
        return self.channels, self.height, self.width

    @property
    def likelihood(self) -> str:  # type: ignore[override]
        """As ``pixels`` says."""
        return self.pixels

    @property
    def factors(self) -> Factors | None:
        """Names and sizes; None where there were none."""
        return Factors(self.factor_names, self.factor_sizes) if self.factor_names else None

    @property
    def rows(self) -> int:
        """How many images there were."""
        return self.images

    def open(self, root: Path | None = None, device: torch.device | str = "cpu") -> Images:
        """Always refused."""
        raise UserError(
            f"this model was trained on images that are not here ({self.kind}, {self.images:,} of "
            f"{'×'.join(map(str, self.shape))}); allowed: your own images, such as unweave encode MODEL FOLDER"
        )

    def prepare(self, root: Path | None = None, tell: Any = None) -> Path | None:
        """Always refused."""
        self.open(root)
        return None

    def sound(self) -> None:
        """Raises UserError for numbers that no data set has, as a file that was tampered with may hold them."""
        sizes = (self.channels, self.height, self.width)
        if not all(1 <= one <= LARGEST for one in sizes) or not 1 <= self.images <= MOST:
            raise UserError(f"elsewhere: {self.images} images of {sizes}; allowed: sides of 1 to {LARGEST:,}")
        names, levels = self.factor_names, self.factor_sizes
        if any(len(word) > LONGEST or not word.isprintable() for word in (self.kind, self.fit, *names)):
            raise UserError(
                f"elsewhere: a name that cannot be shown; allowed: up to {LONGEST} letters without line breaks"
            )
        if len(names) != len(levels) or any(one < 1 for one in levels):
            raise UserError(f"elsewhere: factors {names} of sizes {levels}; allowed: a size from 1 for each name")


def portable(data: Dataset, fit: str = "crop") -> Dataset:
    """The data set itself where its description makes it anywhere; else what is known of it, as an ``Elsewhere``.

    >>> from unweave.data import Triangle
    >>> portable(Triangle()).name
    'triangle'
    """
    if not stays(data):
        return data
    channels, height, width = data.shape
    factors = data.factors
    return Elsewhere(
        data.name,
        channels,
        height,
        width,
        data.rows,
        data.likelihood,
        own_fit(data, fit),
        factors.names if factors else (),
        factors.sizes if factors else (),
    )


def stays(value: Any) -> bool:
    """Whether a data set belongs to one machine: a path is somewhere in its description, or its class is not ours."""
    return any(isinstance(one, Path) or _foreign(one) for one in inside(value))


def innermost(data: Dataset) -> Dataset:
    """The data set that others are parts or variants of.

    >>> from unweave.data import Split, Triangle
    >>> innermost(Split(Split(Triangle()))).name
    'triangle'
    """
    while isinstance(inner := getattr(data, "of", None), Dataset):
        data = inner
    return data


def inside(value: Any) -> Iterator[Any]:
    """Everything that a description holds, all the way down, itself first.

    >>> from unweave.data import Folder
    >>> [one for one in inside(Folder(Path("photos"))) if isinstance(one, Path)] == [Path("photos")]
    True
    """
    yield value
    held: Iterable[Any] = value if isinstance(value, tuple) else ()
    if is_dataclass(value) and not isinstance(value, type):
        held = (getattr(value, one.name) for one in fields(value))
    for one in held:
        yield from inside(one)


def _foreign(value: Any) -> bool:
    return isinstance(value, Dataset) and type(value).__module__.split(".")[0] != "unweave"


def own_fit(data: Dataset, otherwise: str = "crop") -> str:
    """How a data set makes pictures fit, or the one inside it that it wraps; ``otherwise`` where nothing is said."""
    inner = innermost(data)
    # Digits are made to fit in ways of their own, which are not for pictures.
    fit = getattr(inner, "fit", None) if inner.loose else None
    return str(fit) if fit in FITS else otherwise


def fitting(data: Dataset, shape: tuple[int, int, int], fit: str) -> Dataset:
    """A data set of pictures, asked for in the size, the colours and the fit that a model reads; others as they are.

    >>> from unweave.data import Folder
    >>> found = fitting(Folder(Path("photos")), (1, 32, 32), "pad")
    >>> found.size, found.fit, found.grey
    (32, 'pad', True)
    """
    given = {one.name for one in fields(data)}
    inside = getattr(data, "of", None)
    changes: dict[str, Any] = {}
    if {"size", "fit", "grey"} <= given and not (getattr(data, "size", 0) is None and data.shape == shape):
        changes = {"size": max(shape[1:]), "fit": fit, "grey": shape[0] != 3}
    elif isinstance(inside, Dataset):
        changes = {"of": fitting(inside, shape, fit)}
    return replace(data, **changes) if changes else data
