"""Score a representation that unweave did not train: three ways, with any framework.

    python examples/score_any_model.py [FOLDER]

The model here is a principal component analysis in plain NumPy; yours may be anything that turns images into numbers.
All that a metric reads is one row of codes and one row of factor levels for each image.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

import unweave
from unweave.cli import main as shell
from unweave.data.tables import read_codes
from unweave.metrics import ceiling, floor

IMAGES, LATENTS = 1024, 6


def my_model(images: np.ndarray) -> np.ndarray:
    """(M, C, H, W) images -> (M, LATENTS) codes."""
    flat = images.reshape(len(images), -1).astype(np.float64)
    flat -= flat.mean(0)
    _, _, directions = np.linalg.svd(flat, full_matrices=False)
    return flat @ directions[:LATENTS].T


def main(folder: Path) -> dict[str, float]:
    """Encode, score in Python, score from files, score in the shell; returns MIG as each of them has it."""
    # Images and factor levels of your own data, or of one of unweave's data sets.
    data = unweave.Triangle()
    opened = data.open()
    rows = torch.arange(IMAGES)
    images, levels = opened.batch(rows, {}).numpy(), opened.levels(rows).numpy()
    codes = my_model(images)

    # 1. In Python: arrays of NumPy, PyTorch or anything that numpy.asarray takes.
    mine = unweave.Codes.of(codes, levels, names=data.factors.names)
    mig = unweave.MIG()
    low, high = floor(mig, mine), ceiling(mig, mine)
    assert low is not None and high is not None
    print(f"MIG {mig(mine).value:.3f}; noise reaches {low.value:.3f}, the perfect code {high.value:.3f}")

    # 2. From files that another program wrote: no unweave is needed on that side.
    np.savez(folder / "codes.npz", mean=codes)
    np.savez(folder / "factors.npz", levels=levels, names=np.array(data.factors.names))
    read = read_codes(folder / "codes.npz", folder / "factors.npz")

    # 3. In the shell: unweave score --codes codes.npz --factors factors.npz
    words = ["score", "--codes", str(folder / "codes.npz"), "--factors", str(folder / "factors.npz")]
    assert shell([*words, "--metrics", "mig", "sap"]) == 0
    return {"python": mig(mine).value, "files": mig(read).value}


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path())
