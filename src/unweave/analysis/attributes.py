"""Blocks and attributes: does a block fill its prior, what does it do to an attribute, and would one latent do?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from unweave.data.base import Dataset, Images
from unweave.engine.codes import nuisance
from unweave.engine.noise import draw
from unweave.metrics.logistic import fit, live, quietly, standardise
from unweave.metrics.rows import Floats, Ints, sample, split, table
from unweave.names import known
from unweave.networks import Model
from unweave.types import Codes, Draw, UserError

RADII = (1.0, 2.0, 3.0)
"""Mahalanobis distances whose contours are drawn."""
BATCH = 64


class BlockScatter(NamedTuple):
    """A block of two latents against the Gaussian that it should follow."""

    block: tuple[int, int]
    z: Floats
    """(P, 2) codes of some images."""
    levels: Ints
    """(P,) levels of the factor that colours them; empty without one."""
    factor: str
    contours: Floats
    """(R, 73, 2) closed lines at the distances of ``radii``."""
    radii: tuple[float, ...]
    inside: tuple[float, ...]
    """Share of all codes within each contour."""
    expected: tuple[float, ...]
    """The prior's own share, 1 − exp(−r²/2)."""


def block_scatter(
    codes: Codes, block: Sequence[int], rho: float = 0.5, factor: str | None = None, points: int = 1_500, seed: int = 0
) -> BlockScatter:
    """Codes of a block of two and the contours of its prior N(0, [[1, ρ], [ρ, 1]]) (Liu et al., 2021, Fig. 3).

    A block that follows its prior has 39 %, 86 % and 99 % of its codes within the distances 1, 2 and 3.

    Args:
        codes: M images, D latents.
        block: two latents.
        rho: the prior's correlation within the block; 0 for a standard normal one.
        factor: which factor's levels are kept beside the points; none when None.
        points: how many images, drawn without replacement; ``inside`` is of all.
        seed: which ones.

    Raises:
        UserError: a block that is not two latents of the codes, a correlation outside (−1, 1), an unknown factor.

    >>> z = torch.randn(4000, 2, generator=torch.Generator().manual_seed(0))
    >>> found = block_scatter(Codes.of(z), (0, 1), rho=0.0)
    >>> [round(share, 1) for share in found.inside], [round(share, 2) for share in found.expected]
    ([0.4, 0.9, 1.0], [0.39, 0.86, 0.99])
    """
    own = tuple(int(j) for j in block)
    if len(own) != 2 or own[0] == own[1] or not all(0 <= j < codes.mean.shape[1] for j in own) or not -1 < rho < 1:
        raise UserError(
            f"block_scatter: block {own} of {codes.mean.shape[1]} latents, rho = {rho}; allowed: two of them, and a "
            "correlation between -1 and 1"
        )
    z = codes.mean[:, list(own)].detach().cpu().double().numpy()
    root = np.linalg.cholesky(np.array([[1.0, rho], [rho, 1.0]]))
    far = np.hypot(*np.linalg.solve(root, z.T))
    angle = np.linspace(0, 2 * math.pi, 73)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1) @ root.T
    rows = np.sort(sample(len(z), points, seed))
    levels = np.zeros(0, dtype=np.int64)
    if factor is not None:
        levels = codes.levels[:, _column(codes, factor, "block_scatter")].cpu().numpy()[rows]
    return BlockScatter(
        (own[0], own[1]),
        z[rows],
        levels,
        factor or "",
        np.stack([r * circle for r in RADII]),
        RADII,
        tuple(float((far <= r).mean()) for r in RADII),
        tuple(1 - math.exp(-(r**2) / 2) for r in RADII),
    )


class Classifier(Protocol):
    """Tells the levels of one factor."""

    reads: ClassVar[str]
    """``images`` or ``codes``."""

    @property
    def factor(self) -> str:
        """Its name."""

    @property
    def accuracy(self) -> float:
        """On images that it was not trained on."""

    def __call__(self, given: Tensor) -> Floats:
        """(N, K) probabilities of the K levels."""


@dataclass(frozen=True, eq=False)
class ImageClassifier:
    """A small convolutional network of one factor's levels; see ``image_classifier``."""

    factor: str
    network: nn.Module
    accuracy: float
    reads: ClassVar[str] = "images"

    @torch.no_grad()
    def __call__(self, given: Tensor) -> Floats:
        """(N, K) probabilities of the levels, from (N, C, H, W) images."""
        parts = [torch.softmax(self.network(some.float()), 1) for some in given.split(BATCH)]
        return torch.cat(parts).double().cpu().numpy()


@dataclass(frozen=True, eq=False)
class CodeClassifier:
    """Logistic regression of one factor's levels on all latents; see ``code_classifier``."""

    factor: str
    model: Any
    train: Floats
    """The representation of its training images, in whose units it reads."""
    levels: int
    accuracy: float
    reads: ClassVar[str] = "codes"

    def __call__(self, given: Tensor) -> Floats:
        """(N, K) probabilities of the levels, from (N, D) codes; 0 for levels that it never saw."""
        z = standardise(self.train, given.detach().cpu().double().numpy())[1]
        out = np.zeros((len(z), self.levels))
        out[:, self.model.classes_] = self.model.predict_proba(z)
        return out


def image_classifier(
    data: Dataset, images: Images, factor: str, steps: int = 400, count: int = 5_000, lr: float = 1e-3, seed: int = 0
) -> ImageClassifier:
    """Train a small network to tell a factor's level from an image: what decoded images are judged by.

    Two convolutions of 16 and 32 channels, a layer of 64, Adam, batches of 64; four fifths of the images train it and
    ``accuracy`` is that on the others. It never sees a code, so it says what a picture shows whatever the model is.

    Args:
        data: with factors.
        images: the opened data set, such as ``run.images``.
        factor: the name of one of them.
        steps: training steps.
        count: images read, drawn without replacement.
        lr: learning rate.
        seed: of images, batches and initial weights.

    Raises:
        UserError: no such factor, numbers out of range.

    >>> from unweave.data import Triangle
    >>> judge = image_classifier(Triangle(), Triangle().open(), "pos_x", steps=2, count=100)
    >>> judge(torch.zeros(3, 1, 64, 64)).shape
    (3, 32)
    """
    if data.factors is None or steps < 1 or count < 10:
        raise UserError(f"image_classifier: {data.name}, steps = {steps}, count = {count}; allowed: factors, 1 and 10")
    known(factor, data.factors.names, "factor")
    column = data.factors.names.index(factor)
    seeds = torch.tensor([seed])
    order = draw(seeds, 0, "attribute images", Draw((images.rows,), "permutation"))[0][:count]
    x = images.batch(order, nuisance(images, order, seed, "attribute")).float().cpu()
    y = images.levels(order)[:, column].cpu()
    held = max(1, len(x) // 5)
    channels, height, width = data.shape
    # The initial weights are a function of the seed, and nobody else's random numbers change.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = nn.Sequential(
            nn.Conv2d(channels, 16, 4, 2, 1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 4, 2, 1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(32 * (height // 4) * (width // 4), 64),
            nn.ReLU(),
            nn.Linear(64, data.factors.sizes[column]),
        )
    adam = torch.optim.Adam(network.parameters(), lr=lr)
    for step in range(steps):
        uniform = draw(seeds, step, "attribute batch", Draw((BATCH,), "uniform"))[0]
        rows = held + (uniform * (len(x) - held)).long()
        adam.zero_grad()
        nn.functional.cross_entropy(network(x[rows]), y[rows]).backward()
        adam.step()
    found = ImageClassifier(factor, network.eval(), 0.0)
    right = found(x[:held]).argmax(1) == y[:held].numpy()
    return replace(found, accuracy=float(right.mean()))


def code_classifier(codes: Codes, factor: str, train: int = 10_000, test: int = 5_000, seed: int = 0) -> CodeClassifier:
    """Logistic regression of a factor's level on all latents: the pre-trained classifier of Liu et al. (2021), Fig. 7.

    Args:
        codes: M images, D latents.
        factor: which one.
        train: training images.
        test: images of ``accuracy``; both shrink in proportion when there are fewer.
        seed: which ones.

    Raises:
        UserError: an unknown factor, or one with a single level among the training images.

    >>> levels = torch.arange(300)[:, None] % 3
    >>> code_classifier(Codes.of(levels.double(), levels), "factor 0").accuracy
    1.0
    """
    column = _column(codes, factor, "code_classifier")
    rows = table(codes, "code_classifier")
    first, second = split(len(rows.z), train, test, seed)
    y = rows.levels[:, column]
    if len(np.unique(y[first])) < 2:
        raise UserError(f"code_classifier: {factor} has a single level in the images read; allowed: two or more")
    z, other = standardise(rows.z[first], rows.z[second])
    with quietly():
        model, _ = fit(z, y[first])
    right = float(np.mean(model.predict(other) == y[second]))
    return CodeClassifier(factor, model, rows.z[first], codes.sizes[column], right)


class Diagonal(NamedTuple):
    """What a classifier says while a block moves along its diagonal."""

    block: tuple[int, ...]
    factor: str
    values: Floats
    """(V,) the value that every latent of the block takes."""
    mean: Floats
    """(V, K) mean probability of each level over the base codes."""
    deviation: Floats
    """(V, K) its standard deviation over them."""
    accuracy: float
    """The classifier's own, on real images."""


@torch.no_grad()
def attribute_along(
    model: Model,
    codes: Codes,
    block: Sequence[int],
    classify: Classifier,
    values: Sequence[float] | None = None,
    bases: int = 32,
    seed: int = 0,
) -> Diagonal:
    """The probability of an attribute while a block goes from (−3, −3) to (3, 3) (Liu et al., 2021, Fig. 7).

    Every latent of the block takes the same value, all others stay those of a base code; the classifier reads the
    decoded image, or the code itself where it reads codes. Averaged over base codes of several images.

    Args:
        model: decodes.
        codes: of images, for the base codes.
        block: latents that move together; one alone is a traversal.
        classify: ``image_classifier`` or ``code_classifier``.
        values: from −3 to 3 in 25 steps when None.
        bases: base codes, drawn without replacement.
        seed: which ones.

    Raises:
        UserError: latents that the model does not have, no values or bases.

    >>> from unweave.networks import VAE, Conv
    >>> levels = torch.arange(60)[:, None] % 2
    >>> codes = Codes.of(torch.cat([4.0 * levels - 2, torch.zeros(60, 4)], 1), levels)
    >>> net = VAE(Conv("lite"), (1, 64, 64), 5, "bernoulli")
    >>> found = attribute_along(net, codes, (0,), code_classifier(codes, "factor 0"), bases=4)
    >>> bool(found.mean[0, 1] < 0.1), bool(found.mean[-1, 1] > 0.9)
    (True, True)
    """
    moving = [int(j) for j in block]
    at = np.linspace(-3, 3, 25) if values is None else np.asarray(values, dtype=np.float64)
    if not moving or not all(0 <= j < codes.mean.shape[1] for j in moving) or not len(at) or bases < 1:
        raise UserError(
            f"attribute_along: block {moving} of {codes.mean.shape[1]} latents, {len(at)} values, {bases} bases; "
            "allowed: latents of the model, and one or more of both"
        )
    like = next(model.parameters())
    base = codes.mean[torch.from_numpy(sample(len(codes.mean), bases, seed))].to(like)
    told = []
    for value in at:
        z = base.clone()
        z[:, moving] = float(value)
        told.append(classify(z if classify.reads == "codes" else torch.sigmoid(model.decode(z)).cpu()))
    every = np.stack(told)
    return Diagonal(tuple(moving), classify.factor, at, every.mean(1), every.std(1), classify.accuracy)


class BlockAccuracy(NamedTuple):
    """How well a linear classifier reads a factor off a block, off its latents one by one, and off everything."""

    factor: str
    block: float
    single: tuple[float, ...]
    whole: float
    chance: float
    """Share of the commonest level."""


def block_accuracy(
    codes: Codes, block: Sequence[int], factor: str, train: int = 10_000, test: int = 5_000, seed: int = 0
) -> BlockAccuracy:
    """Accuracies of logistic regression on the latents of a block together, on each alone, and on all latents.

    Liu et al. (2021), Fig. 8, compares two *models*, whose first part has two latents or one: give the codes of both
    and compare ``whole``. Within one model, ``block`` against ``single`` says whether the block holds more than its
    best latent.

    Args:
        codes: M images, D latents.
        block: the latents.
        factor: which factor.
        train: training images.
        test: test images; both shrink in proportion when there are fewer.
        seed: which ones.

    Raises:
        UserError: latents that the codes do not have, an unknown factor, a single level in the images read.

    >>> bits = torch.cartesian_prod(torch.arange(2), torch.arange(2), torch.arange(30))[:, :2]
    >>> level = bits[:, :1] * 2 + bits[:, 1:]
    >>> found = block_accuracy(Codes.of(bits.double(), level), (0, 1), "factor 0")
    >>> found.block, max(found.single) < 0.7
    (1.0, True)
    """
    column = _column(codes, factor, "block_accuracy")
    rows = table(codes, "block_accuracy")
    own = [int(j) for j in block]
    if not own or not all(0 <= j < rows.z.shape[1] for j in own):
        raise UserError(f"block_accuracy: block {own}; allowed: latents 0 to {rows.z.shape[1] - 1}")
    first, second = split(len(rows.z), train, test, seed)
    y = rows.levels[:, column]
    if len(np.unique(y[first])) < 2:
        raise UserError(f"block_accuracy: {factor} has a single level in the images read; allowed: two or more")
    common = np.bincount(y[first]).argmax()
    chance = float(np.mean(y[second] == common))

    def right(latents: list[int]) -> float:
        if not live(rows.z[first][:, latents]).any():
            return chance
        z, other = standardise(rows.z[first][:, latents], rows.z[second][:, latents])
        model, _ = fit(z, y[first])
        return float(np.mean(model.predict(other) == y[second]))

    with quietly():
        single = tuple(right([j]) for j in own)
        return BlockAccuracy(factor, right(own), single, right(list(range(rows.z.shape[1]))), chance)


def _column(codes: Codes, factor: str, who: str) -> int:
    codes.need_factors(who)
    names = codes.names or tuple(f"factor {k}" for k in range(codes.levels.shape[1]))
    return names.index(known(factor, names, "factor"))
