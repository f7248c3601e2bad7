"""Where images come from: data sets by name, their factors, and reading their files."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

from unweave.data.base import Dataset as Dataset
from unweave.data.base import DataSpec as DataSpec
from unweave.data.base import Images as Images
from unweave.data.dsprites import DSprites as DSprites
from unweave.data.factors import Factors as Factors
from unweave.data.files import data_root as data_root
from unweave.data.triangle import Triangle as Triangle
from unweave.types import UserError

DATASETS: Mapping[str, type[Dataset]] = {"dsprites": DSprites, "triangle": Triangle}
"""Every data set by name."""


def dataset(given: str | Dataset) -> Dataset:
    """A data set from its name, with its default settings; a ``Dataset`` itself passes through.

    Raises:
        UserError: an unknown name, or neither.

    >>> dataset("triangle")
    Triangle(author_labels=False, angle_noise=0.0)
    """
    if isinstance(given, Dataset):
        return given
    if isinstance(given, str) and given.lower() in DATASETS:
        return DATASETS[given.lower()]()
    near = get_close_matches(given.lower(), DATASETS, n=1) if isinstance(given, str) else []
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise UserError(f"unknown data set {given!r}{hint}; allowed: {', '.join(DATASETS)}, or a Dataset object")
