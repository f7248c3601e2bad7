"""Methods with next to nothing to train, for smoke scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from unweave.methods import Method

SIZES: Mapping[str, int] = {
    "critic_hidden": 16,
    "critic_layers": 2,
    "width": 16,
    "part_width": 16,
    "classifier_hidden": 8,
}
"""Fields that say how large a critic, a classifier or a part of a network is, and what they become."""


def tiny(method: Method) -> Method:
    """The method with the smallest critics, classifiers and parts that work.

    >>> from unweave.methods import FactorVAE
    >>> tiny(FactorVAE(gamma=7.0)).critic_hidden, tiny(FactorVAE(gamma=7.0)).gamma
    (16, 7.0)
    """
    changed: dict[str, Any] = {one.name: SIZES[one.name] for one in fields(method) if one.name in SIZES}
    return replace(method, **changed)
