"""A small trained model, and pictures for it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import unweave
from engine.tiny import every
from unweave.run import Run

SMALL: dict[str, Any] = {"steps": 4, "batch": 4, "latents": 3, "network": unweave.MLP((8,)), "precision": "float32"}


def small(method: Any = "beta-vae", data: Any = "triangle", **settings: Any) -> Run:
    return unweave.fit(method, data, **{**SMALL, **settings})


def trained(name: str) -> Run:
    """Any method on the triangle, with the first number of latents that it takes."""
    network = None if name in ("nvae", "infogan") else unweave.MLP((8,))
    for latents in (4, 6, 8, 10, 12, 20, 40):
        try:
            return small(every(name), latents=latents, network=network, steps=2)
        except unweave.UserError as error:
            refused = error
    raise refused


def photographs(folder: Path, count: int = 5, size: tuple[int, int] = (20, 30)) -> Path:
    """Pictures of several kinds in folders, the same ones every time."""
    rng = np.random.default_rng(0)
    for place in range(count):
        where = folder / ("a" if place % 2 else "b")
        where.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(where / f"{place}.{'jpg' if place == 3 else 'png'}")
    return folder
