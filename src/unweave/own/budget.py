"""How many models, and how many steps each, fit into the time there is."""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

MOST_MODELS, FEWEST_MODELS = 6, 2
"""Seeds that are trained: agreement among them is what one is chosen by."""
ENOUGH = 3000
"""Steps that a model should have before there are more models."""
MOST_STEPS, FEWEST_STEPS = 20_000, 100
"""Steps of a model, whatever the time."""


class Budget(NamedTuple):
    """What is trained."""

    models: int
    steps: int


def budget(seconds: float, pace: float, workers: int, models: int | None = None, steps: int | None = None) -> Budget:
    """The most models (6 at most, 2 at least) that get ``ENOUGH`` steps each, and all steps that there is time for.

    Workers train one model at a time, and none of them is to wait for the last: there are as many models as workers,
    or a multiple of that.

    Args:
        seconds: there are for training.
        pace: seconds a step, with every worker at work.
        workers: models that train at the same time.
        models: so many, whatever the time.
        steps: so many, whatever the time.

    >>> budget(400, 0.02, workers=2), budget(400, 0.1, workers=2), budget(1e6, 0.1, workers=2)
    (Budget(models=6, steps=6600), Budget(models=2, steps=4000), Budget(models=6, steps=20000))
    >>> budget(400, 0.02, workers=2, models=3), budget(1, 1.0, workers=1, models=2, steps=7)
    (Budget(models=3, steps=10000), Budget(models=2, steps=7))
    """
    each = seconds / max(pace, 1e-9)
    if models is None:
        enough = steps or ENOUGH
        tried = [some for some in range(MOST_MODELS, FEWEST_MODELS - 1, -1) if some % workers == 0] or [MOST_MODELS]
        models = next((some for some in tried if each / ceil(some / workers) >= enough), tried[-1])
    if steps is None:
        found = int(each / ceil(models / workers))
        steps = max(FEWEST_STEPS, min(MOST_STEPS, found - found % 100))
    return Budget(models, steps)
