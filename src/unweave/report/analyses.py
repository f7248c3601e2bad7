"""The figures of analyses that a run's page shows: all that its codes tell without another training."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from unweave.analysis import BlockScatter, batch_properties, block_scatter, interventions, kl_decompose, pairwise_nmi
from unweave.analysis.properties import take
from unweave.metrics.rows import sample
from unweave.networks.blocks import BlocksVAE
from unweave.report.blocks import scatter_figure
from unweave.report.learning import rate_figure
from unweave.report.maps import heat_map, properties_figure
from unweave.report.robustness import interventions_figure
from unweave.report.story import Figure
from unweave.run import Run
from unweave.store import write_text
from unweave.types import Codes

IMAGES = 2_000
"""Images that the densities are mixtures of: their work grows with images × draws."""
LATENTS = 32
"""Above so many latents, what takes pairs of them is left out."""
FEWEST = 100
"""Fewer images than this draw nothing that could be read."""


def figures_of(run: Run, codes: Codes, seed: int = 0) -> list[Figure]:
    """Robustness to factors, the rate in parts, pairs of latents, mini-batches, blocks: those that the codes allow.

    Args:
        run: a trained model.
        codes: its codes.
        seed: of samples and draws.
    """
    return list(_figures(run, codes, seed)) if len(codes.mean) >= FEWEST else []


def write_figures(folder: Path, figures: Sequence[Figure]) -> list[Path]:
    """Each figure as an SVG file of its own, named after it; the folder is made."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for figure in figures:
        path = folder / f"{re.sub('[^a-z0-9]+', '-', figure.name.lower()).strip('-')}.svg"
        write_text(path, figure.svg)
        written.append(path)
    return written


def _figures(run: Run, codes: Codes, seed: int) -> Iterator[Figure]:
    latents = codes.mean.shape[1]
    few = take(codes, torch.from_numpy(sample(len(codes.mean), IMAGES, seed)))
    if codes.levels.shape[1] and latents <= LATENTS and bool((codes.levels.amax(0) > codes.levels.amin(0)).any()):
        found = interventions(codes, seed=seed)
        yield Figure(
            "Robustness of latents",
            interventions_figure(found),
            "A latent of one factor stays still while that factor is held (1), whatever else changes. Below: what the "
            "most robust latents do at each level of that factor, with all other factors as they come (band), and at "
            "some levels of the other factor that moves them most (dashed).",
        )
    if codes.logvar is not None and latents <= LATENTS:
        yield Figure(
            "The KL in parts",
            rate_figure(kl_decompose(few, groups=[(j,) for j in range(latents)], samples=IMAGES, seed=seed)),
            f"What each latent tells of the image, and by how much its distribution misses the prior; whiskers are two "
            f"standard errors. Of {len(few.mean):,} images, whose logarithm no information exceeds.",
        )
    if 2 <= latents <= LATENTS:
        yield Figure(
            "Pairs of latents",
            heat_map(pairwise_nmi(codes), title="NMI(z_i; z_j)", width=min(34.0 * latents, 620.0)),
            "What latents tell of each other, 0 for independent ones. A latent that never moves tells nothing, not "
            "even of itself.",
        )
    scatters = list(_scatters(run, codes, seed))
    if scatters:
        yield Figure(
            "Blocks and their prior",
            scatter_figure(scatters),
            "Codes of each block of two over the contours of the prior that it was trained towards.",
        )
    if codes.logvar is not None and codes.distortion and latents <= LATENTS // 2:
        error = "bce" if "bce" in codes.distortion else next(iter(codes.distortion))
        batches = batch_properties(few, 50, error, batches=20, seed=seed)
        yield Figure(
            "Mini-batches",
            properties_figure({run.experiment.method.name: batches}, across=f"{error} an image"),
            "Each circle is a batch of 50 images: left is a better reconstruction, low is less shared between latents, "
            "small is less information about the image.",
        )


def _scatters(run: Run, codes: Codes, seed: int) -> Iterator[BlockScatter]:
    """Of the blocks whose latents the prior correlates."""
    model = next((part for part in run.model.modules() if isinstance(part, BlocksVAE)), None)
    for block in codes.blocks[: len(model.sizes)] if model is not None else ():
        if len(block) == 2 and model is not None:
            yield block_scatter(codes, block, float(model.rho), seed=seed)
