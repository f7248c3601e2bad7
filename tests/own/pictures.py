"""Folders of pictures for tests: dSprites as PNG in folders inside a folder, with their levels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from unweave.data import DSprites


def sprites(place: Path, count: int, side: int = 64, seed: int = 0) -> dict[str, NDArray[np.int64]]:
    """Write random dSprites, and return path -> levels (shape, scale, orientation, x, y)."""
    data = DSprites()
    images = data.open()
    rows = torch.from_numpy(np.sort(np.random.default_rng(seed).choice(data.rows, count, replace=False)))
    levels = images.levels(rows).numpy()
    found = {}
    for number, (row, level) in enumerate(zip(rows.split(1), levels, strict=True)):
        pixels = (images.batch(row, {})[0, 0] * 255).to(torch.uint8).numpy()
        name = f"{number % 7}/{number // 100:02}/{number:05}.png"
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).resize((side, side), Image.Resampling.NEAREST).save(place / name)
        found[name] = level
    return found
