"""Settings for images that nobody has worked with: likelihood, network and pressures, read off the images alone."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch
from torch import Tensor

from unweave.analysis import freezing_spectrum, linear_information, propose_pressures
from unweave.data import Dataset, Folder
from unweave.data.folder import pictures
from unweave.data.formats.anyfile import Broken, Look, image_of, size_of
from unweave.data.part import Part
from unweave.engine import Experiment
from unweave.engine.codes import nuisance
from unweave.engine.experiment import preset_for
from unweave.engine.noise import draw
from unweave.methods import DEFT, METHODS, BetaVAE, DeVAE, Method
from unweave.names import known
from unweave.networks import MLP, Body
from unweave.types import Adam, Draw, UserError

LR, BATCH = 1e-3, 64
"""Adam's learning rate and images a step: what a dense network learns fastest with on a CPU."""
WIDE, NARROW = 512, 256
"""Widths of the dense network's two layers, and of that for images of many pixels."""
MANY = 1 << 14
"""Numbers in an image from which on the network is the narrow one."""
SAMPLE = 2_000
"""Images that pressures are read off."""
HELD = 1 << 25
"""Numbers of all these together, at most: of large images fewer are read."""
BELOW = 32
"""The information curve ends at a pressure of 1, or this many times below the critical one where that is lower."""
RULES = ("beta-vae", "devae", "deft")
"""Methods whose pressures are read off the images."""
PARTS = 4
"""The information is divided into so many parts: β-VAE's pressure falls until all but one of them are let in, DeVAE's
narrow space gets one."""
START, SCALE = 0.75, 3.0
"""Where β-VAE's pressure begins, in units of the critical one, and the weight of DeVAE's narrow space."""
SEEN = 64
"""Pictures of a folder that are looked at to find out their size and whether they have colours."""
SMALLEST, LARGEST = 8, 64
"""Sides of images that a folder's pictures are brought to where nobody says."""
NEAR = 1 / 16
"""How near to black or white a pixel must be to count as that."""
STARK = 0.9
"""Share of such pixels from which on images count as black and white."""


class Choice(NamedTuple):
    """What was chosen for some images, and what it rests on."""

    method: Method
    network: Body
    likelihood: str
    batch: int
    critical: float
    """The pressure at which information freezes, β_c; 0 where it was not asked for."""
    information: float
    """I(x; z) in nats at the lowest pressure of the curve; 0 where it was not asked for."""

    def experiment(
        self, data: Dataset, *, latents: int, steps: int, seed: int, lr: float = LR, precision: str | None = None
    ) -> Experiment:
        """A training of what was chosen."""
        return Experiment(
            self.method,
            data,
            network=self.network,
            likelihood=self.likelihood,
            latents=latents,
            steps=steps,
            batch=self.batch,
            optimiser=Adam(lr=lr),
            precision=precision,
            seed=seed,
        )


def choose(
    data: Dataset,
    method: Method | str = "devae",
    *,
    latents: int = 10,
    steps: int = 4000,
    network: Body | None = None,
    likelihood: str | None = None,
    batch: int = BATCH,
    seed: int = 0,
    root: Path | None = None,
) -> Choice:
    """Settings for a data set, from its images alone: no labels, no training.

    A method that is named gets pressures that these images ask for, where there is a rule for that, else its published
    settings; one that is given as an object stays as it is. The rules, with the critical pressure β_c and the
    information I(β) of the best linear code (``docs/analysis/automatic-pressures.md``):

        beta-vae:  β falls from ¾ β_c to the pressure with I(β) = ¾ I(1), exponentially, over the whole training
        devae:     β = [1, the pressure with I(β) = ¼ I(1)], the narrow space weighing 3
        deft:      stages that share I(1) evenly

    Args:
        data: the images.
        method: a method, or its name.
        latents: D.
        steps: length of the training, over which pressures fall.
        network: in place of the dense one.
        likelihood: in place of the one that ``likelihood_of`` finds.
        batch: images a step, at most as many as there are.
        seed: which images are read.
        root: folder of data files.

    Raises:
        UserError: an unknown method, fewer than 2 images, or images that are all the same.

    >>> from unweave.data import Triangle
    >>> found = choose(Triangle())
    >>> found.likelihood, len(found.method.betas), found.network
    ('bernoulli', 2, MLP(hidden=(512, 512), activation='relu'))
    """
    if not isinstance(method, Method):
        known(method, METHODS, "method")
    if data.rows < 2:
        raise UserError(f"{data.rows} image; allowed: 2 or more, from which to learn how they differ")
    likelihood = likelihood or likelihood_of(data, seed, root)
    body = network or network_for(data.shape)
    batch = min(batch, data.rows)
    if isinstance(method, Method):
        return Choice(method, body, likelihood, batch, 0.0, 0.0)
    if method not in RULES:
        preset = preset_for(METHODS[method], data)
        published = METHODS[method](**preset.fields).over(steps / preset.steps)
        return Choice(published, body, likelihood, batch, 0.0, 0.0)
    sample = max(2, min(SAMPLE, HELD // prod(data.shape)))
    spectrum = freezing_spectrum(data, likelihood, sample=sample, seed=seed, root=root)
    if not spectrum.critical > 0:
        raise UserError(f"all {data.rows:,} images are the same; allowed: images that differ")
    end = min(1.0, spectrum.critical / BELOW)
    curve = linear_information(data, spectrum, sample=5 * SAMPLE, end=end, seed=seed, root=root)
    chosen: Method
    if method == "deft":
        found = propose_pressures(curve, "deft", latents=latents)
        chosen = DEFT(betas=found.betas, stage_steps=max(1, steps // len(found.betas)))
    else:
        found = propose_pressures(curve, "devae", groups=PARTS)
        if method == "devae":
            chosen = DeVAE(betas=(found.betas[0], found.betas[-1]), scale=SCALE)
        else:
            falling = START * spectrum.critical, found.betas[1]
            chosen = BetaVAE(beta=falling[0], end=min(falling), schedule="exp", anneal_steps=steps)
    return Choice(chosen, body, likelihood, batch, spectrum.critical, found.total)


def network_for(shape: tuple[int, int, int]) -> MLP:
    """A dense network for images of some shape (C, H, W): of two layers, narrow ones for images of many pixels.

    It learns position, size and colour in a few thousand steps, each of which takes a CPU a fraction of the time of a
    convolutional network's.

    >>> network_for((1, 64, 64)).hidden, network_for((3, 128, 128)).hidden
    ((512, 512), (256, 256))
    """
    width = WIDE if prod(shape) < MANY else NARROW
    return MLP((width, width))


def likelihood_of(data: Dataset, seed: int = 0, root: Path | None = None) -> str:
    """``bernoulli`` for images in black and white, else ``squared``.

    Black and white are images nine tenths of whose pixels are nearly black or white, and of those that are not black at
    least half are white: a dark photograph is none.

    >>> from unweave.data import DSprites, Turntable
    >>> likelihood_of(DSprites()), likelihood_of(Turntable())
    ('bernoulli', 'squared')
    """
    x = some(data, min(256, data.rows), seed, root)
    light, dark = x > 1 - NEAR, x < NEAR
    stark = float((light | dark).float().mean()) >= STARK
    bright = int(light.sum())
    return "bernoulli" if stark and bright and 2 * bright >= int((~dark).sum()) else "squared"


def some(data: Dataset, count: int, seed: int = 0, root: Path | None = None) -> Tensor:
    """(count, C, H, W) images of a data set, drawn with ``seed``."""
    images = data.open(root)
    order = draw(torch.tensor([seed]), 0, "images looked at", Draw((images.rows,), "permutation"))[0]
    rows = order[:count].sort().values
    return images.batch(rows, nuisance(images, rows, seed, "looked at"))


def fitted(data: Dataset) -> Dataset:
    """A folder, or a part of one, with the size and the channels that its pictures ask for, where they are still the
    usual ones (a size of 64 is one: nobody can tell whether it was asked for); other data as they are.

    Up to ``SEEN`` pictures are looked at, evenly over the folder: the size is the median of their shorter sides, at
    most 64 pixels, and they are grey when none of them has a colour.

    Raises:
        UserError: no such folder, or no pictures in it.

    >>> import tempfile
    >>> from PIL import Image
    >>> place = Path(tempfile.mkdtemp())
    >>> Image.new("RGB", (28, 28), "gray").save(place / "one.png")
    >>> fitted(Folder(place)).shape
    (1, 28, 28)
    """
    if isinstance(data, Part):
        of: dict[str, Any] = {"of": fitted(data.of)}
        return replace(data, **of)
    if not isinstance(data, Folder):
        return data
    folder, plain = data, Folder(data.path)
    names = pictures(folder.path).names
    count = min(SEEN, len(names))
    looked = [names[k * len(names) // count] for k in range(count)]
    sides, coloured = [], False
    for name in looked:
        try:
            sides.append(min(size_of(folder.path / name)))
            if not coloured and not folder.grey:
                pixels = image_of(folder.path / name, Look(LARGEST, "stretch", grey=False)).astype(int)
                coloured = bool((pixels.max(-1) - pixels.min(-1)).max() > 16)
        except Broken:
            continue
    if not sides:
        return folder
    size = folder.size if folder.size != plain.size else max(SMALLEST, min(LARGEST, round(median(sides))))
    return replace(folder, size=size, grey=folder.grey or not coloured)
