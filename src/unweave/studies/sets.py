"""Data sets as studies use them: the published ones in the size that a study wants, or what stands in for them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from unweave.data import MNIST, CelebA, ColorDSprites, Dataset, DSprites, HeldOut, MNISTRotation, Split

PRINTED: Mapping[str, str] = {
    "dsprites": "dSprites",
    "color-dsprites": "Color-dSprites",
    "noisy-dsprites": "Noisy-dSprites",
    "scream-dsprites": "Scream-dSprites",
    "shapes3d": "Shapes3D",
    "smallnorb": "SmallNORB",
    "cars3d": "Cars3D",
}
"""Name of a data set -> what publications call it."""
ANGLES = 6
"""Domains of MNIST-Rotation, and scales of dSprites, which stand in for them."""


def digits(root: Path | None, size: int, binary: bool = False) -> Dataset:
    """MNIST's training part; where its files are absent nine tenths of dSprites, whose shape stands in for the digit.

    >>> import tempfile
    >>> digits(Path(tempfile.mkdtemp()), 64).name
    'split'
    """
    found = MNIST(size=size, binary=binary)
    return found if found.find(root) is not None else Split(DSprites())


def turned_digits(root: Path | None, size: int, domain: int) -> Dataset:
    """MNIST-Rotation without one of its six angles; where MNIST is absent dSprites without one of its six scales.

    The part ``test`` of the set is the domain left out.
    """
    found: Dataset = MNISTRotation(size=size)
    name = "domain"
    if found.find(root) is None:
        found, name = DSprites(), "scale"
    return HeldOut(found, (((name, (domain,)),),))


def faces(root: Path | None, part: str = "all") -> Dataset:
    """CelebA, all of it or its part ``train``; where its files are absent coloured dSprites or nine tenths of them.

    >>> import tempfile
    >>> faces(Path(tempfile.mkdtemp()), "train").shape
    (3, 64, 64)
    """
    found = CelebA("train" if part == "train" else "all")
    if found.find(root) is not None:
        return found
    return Split(ColorDSprites()) if part == "train" else ColorDSprites()


def attributes(data: Dataset) -> tuple[str, str, str]:
    """The attributes that BHiVAE teaches its three layers: black hair, bald, male; those of the stand-in."""
    return ("Black_Hair", "Bald", "Male") if data.name == "celeba" else ("shape", "pos_x", "pos_y")
