"""Where images come from: data sets by name, their factors, and reading their files."""

from __future__ import annotations

from collections.abc import Mapping

from unweave.data.base import Dataset as Dataset
from unweave.data.base import DataSpec as DataSpec
from unweave.data.base import Images as Images
from unweave.data.dsprites import DSprites as DSprites
from unweave.data.factors import Factors as Factors
from unweave.data.files import data_root as data_root
from unweave.data.triangle import Triangle as Triangle
from unweave.names import known

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
    return DATASETS[known(given, DATASETS, "data set")]()
