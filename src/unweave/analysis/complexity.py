"""What a model costs: parameters, multiply-accumulates, time to encode, time to a given reconstruction."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from unweave.data.base import Images
from unweave.engine import Complete, Experiment, vary
from unweave.engine.codes import nuisance
from unweave.engine.feed import Feed
from unweave.engine.step import build
from unweave.networks import Model
from unweave.networks.parallel import ParallelLinear
from unweave.types import UserError

CRITICS = ("critic", "critics", "judge")
"""Children of a model that only judge: counted apart from what encodes and decodes."""


class Complexity(NamedTuple):
    """Parameters and multiply-accumulates (MACs) of one image."""

    parameters: int
    """Of all that encodes and decodes."""
    macs: int
    """Of encoding one image and decoding one code."""
    encode_macs: int
    """Of encoding alone: what using the representation costs."""
    critic_parameters: int
    """Of critics, which only training needs; 0 without any."""
    uncounted: tuple[str, ...]
    """Modules with parameters of their own that are none of the layers counted; what they multiply is in no number."""


class TrainingMacs(NamedTuple):
    """MACs of one forward evaluation of the loss, per image. A backward pass costs about twice as much again."""

    model: int
    critics: int


class Reached(NamedTuple):
    """When a training's term came down to a value."""

    step: int
    seconds: float | None
    """None where the time of a step is not known."""


def complexity(model: Model, shape: tuple[int, int, int]) -> Complexity:
    """Parameters and MACs of a model, counted by hooks on the layers that multiply while one image passes.

    A convolution costs out · C_in/groups · k·k, a transposed one in · C_out/groups · k·k, a dense layer in · out, one
    for each image; biases, activations, pooling and products between activations (attention, routers' similarities)
    are left out, as MAC counts usually do. Chen et al. (2022), Table 10: our count of the standard convolutional VAE at
    64×64×3 is 18.36 M, the table's 3.144 G is 171 times that, with its batch unsaid: compare ratios.

    Args:
        model: any model.
        shape: (C, H, W) of an image.

    Raises:
        UserError: a shape that the model does not take.

    >>> from unweave.networks import VAE, Conv
    >>> found = complexity(VAE(Conv(), (3, 64, 64), 10, "bernoulli"), (3, 64, 64))
    >>> found.macs, found.parameters
    (18357760, 766295)
    """
    first = next(model.parameters())
    x = torch.zeros(1, *shape, device=first.device, dtype=first.dtype)
    training = model.training
    model.eval()
    try:
        with torch.no_grad(), counting(model) as counted:
            mean = model.encode(x).mean
            encoded = sum(counted.values())
            model.decode(mean)
    except (RuntimeError, ValueError) as error:
        told = " ".join(str(error).split())[:120]
        raise UserError(f"complexity: the model does not take an image of shape {shape} ({told})") from None
    finally:
        model.train(training)
    sizes = {name: parameter.numel() for name, parameter in model.named_parameters()}
    judging = sum(size for name, size in sizes.items() if judges(name))
    return Complexity(sum(sizes.values()) - judging, sum(counted.values()), encoded, judging, uncounted(model))


def training_macs(experiment: Experiment | Complete, images: Images) -> TrainingMacs:
    """MACs of one forward evaluation of an experiment's loss, per image of its batch, critics apart.

    A method may pass an image several times (DeVAE: once for each space's decoder; a paired method: two views), some
    things once a batch (VampPrior's pseudo-inputs), and critics in training only: this counts what the loss really
    calls, on batches of 4 and of 8 images, and takes the line through both.

    Args:
        experiment: what would be trained.
        images: the opened data set.

    >>> from unweave.data import Triangle
    >>> e = Experiment("factor-vae", "triangle", batch=64)
    >>> found = training_macs(e, Triangle().open())
    >>> found.model, found.critics
    (16260608, 15036000)
    """
    full = experiment.complete()
    (few, judged_few), (many, judged_many) = (_loss_macs(full, images, size) for size in (4, 8))

    def per_image(first: int, second: int) -> int:
        each = (second - first) / 4
        return round(each + (first - 4 * each) / full.batch)

    return TrainingMacs(per_image(few, many), per_image(judged_few, judged_many))


def _loss_macs(full: Complete, images: Images, batch: int) -> tuple[int, int]:
    """MACs of one evaluation of the loss on so many images: those of the model and those of critics."""
    small, device = vary(full, batch=batch), torch.device("cpu")
    model = build(small, device, channels_last=False)
    state = small.method.init(small.spec, small.latents)
    given = Feed(small, images, device).batch(0)
    with torch.no_grad(), counting(model) as counted:
        small.method.loss(model, given, state)
    judged = sum(macs for name, macs in counted.items() if judges(name))
    return sum(counted.values()) - judged, judged


@contextmanager
def counting(model: nn.Module) -> Iterator[dict[str, int]]:
    """A dictionary that gathers MACs by module name while the model runs inside.

    >>> layer = nn.Linear(3, 5)
    >>> with counting(layer) as counted:
    ...     _ = layer(torch.zeros(2, 3))
    >>> counted
    {'': 30}
    """
    counted: dict[str, int] = {}
    handles = []
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear | ParallelLinear):

            def hook(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor, name: str = name) -> None:
                counted[name] = counted.get(name, 0) + _macs(layer, inputs[0], output)

            handles.append(module.register_forward_hook(hook))
    try:
        yield counted
    finally:
        for handle in handles:
            handle.remove()


def _macs(layer: nn.Module, given: Tensor, output: Tensor) -> int:
    if isinstance(layer, nn.ConvTranspose2d):
        return given.numel() * layer.out_channels // layer.groups * math.prod(layer.kernel_size)
    if isinstance(layer, nn.Conv2d):
        return output.numel() * layer.in_channels // layer.groups * math.prod(layer.kernel_size)
    return output.numel() * given.shape[-1]


def uncounted(model: nn.Module) -> tuple[str, ...]:
    """Names of modules that hold parameters of two axes or more themselves and are none of the layers counted."""
    known = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear, ParallelLinear, nn.GroupNorm)
    return tuple(
        name or type(model).__name__
        for name, module in model.named_modules()
        if not isinstance(module, known) and any(p.ndim > 1 for p in module.parameters(recurse=False))
    )


def judges(name: str) -> bool:
    """Whether a parameter or module belongs to a critic, by the first words of its name."""
    return any(word in CRITICS for word in name.split("."))


@torch.no_grad()
def evaluation_time(model: Model, images: Images, count: int = 1000, batch: int = 250, repeats: int = 3) -> float:
    """Seconds to encode one image, the median of several rounds after one that is not counted. Drawing is left out.

    Args:
        model: on its device.
        images: the opened data set.
        count: images a round, at most as many as there are.
        batch: images a pass.
        repeats: rounds.

    Raises:
        UserError: a count, batch or number of rounds below 1.

    >>> from unweave.data import Triangle
    >>> from unweave.networks import MLP, VAE
    >>> 0 < evaluation_time(VAE(MLP((8,)), (1, 64, 64), 5, "bernoulli"), Triangle().open(), 20, repeats=1) < 60
    True
    """
    if min(count, batch, repeats) < 1:
        raise UserError(f"evaluation_time: count = {count}, batch = {batch}, repeats = {repeats}; allowed: 1 or more")
    first = next(model.parameters())
    rows = torch.arange(min(count, images.rows), device=first.device)
    drawn = [images.batch(some, nuisance(images, some, 0, "codes")).to(first.dtype) for some in rows.split(batch)]
    seconds = []
    for _ in range(repeats + 1):
        _wait(first.device)
        start = time.perf_counter()
        for x in drawn:
            model.encode(x)
        _wait(first.device)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:]) / len(rows)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def time_to_reach(
    steps: Sequence[float],
    values: Sequence[float],
    target: float,
    seconds_per_step: float | None = None,
    hold: int = 3,
) -> Reached | None:
    """When a recorded term first was at a value or below it, for some windows in a row; None where it never was.

    Chen et al. (2022), Table 10, compares the time that each model takes to reach the reconstruction error of β-VAE.

    Args:
        steps: the step at which each window of the trace ends, ``run.steps``.
        values: the term's window means, ``run.terms["recon"]``.
        target: what it must come down to, such as the last value of another run's trace.
        seconds_per_step: the time of a step, as ``status.json`` of a run's folder has it.
        hold: windows in a row, so that noise of one window does not count; the first of them is the answer.

    Raises:
        UserError: steps and values of different lengths, or fewer than 1 window.

    >>> time_to_reach([10, 20, 30, 40], [9.0, 4.0, 6.0, 3.0], target=5.0, seconds_per_step=0.1, hold=1)
    Reached(step=20, seconds=2.0)
    """
    if len(steps) != len(values) or hold < 1:
        raise UserError(
            f"time_to_reach: {len(steps)} steps, {len(values)} values, hold = {hold}; allowed: as many of both, hold "
            "of 1 or more"
        )
    for place in range(len(values) - hold + 1):
        if all(value <= target for value in values[place : place + hold]):
            step = int(steps[place])
            return Reached(step, None if seconds_per_step is None else step * seconds_per_step)
    return None
