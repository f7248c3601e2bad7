"""A small trained model that comes with the package, so that there is something to play with in the first minute.

``examples/train_demo.py`` trains it and writes the files that lie here.
"""

from __future__ import annotations

from pathlib import Path

from unweave.run import Run, load

FOLDER = Path(__file__).parent
"""A run's folder; nothing is ever written in it."""


def demo(device: str | None = None) -> Run:
    """The model: Ada-GVAE on dSprites, which are drawn when they are asked for.

    >>> demo("cpu").experiment.method.name
    'ada-gvae'
    """
    return load(FOLDER, device=device)
