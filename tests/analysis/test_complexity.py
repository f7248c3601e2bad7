"""Parameters and multiply-accumulates against counts by hand; time to a value of the trace."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import unweave
from unweave.analysis import complexity, evaluation_time, time_to_reach, training_macs
from unweave.analysis.complexity import counting, uncounted
from unweave.data import Triangle
from unweave.engine.step import build
from unweave.networks import MLP, VAE, Conv
from unweave.networks.parallel import ParallelLinear
from unweave.types import UserError

GREY = (1, 64, 64)


def test_the_standard_network_at_three_colours() -> None:
    """Chen et al. (2022), Table 3: 18.36 M MACs for one image, counted by hand, layer by layer."""
    down = 32 * 32 * 3 * 32 * 16 + 16 * 16 * 32 * 32 * 16 + 8 * 8 * 32 * 64 * 16 + 4 * 4 * 64 * 64 * 16
    dense = 1024 * 256 + 256 * 20
    back = 10 * 256 + 256 * 1024
    up = 4 * 4 * 64 * 64 * 16 + 8 * 8 * 64 * 32 * 16 + 16 * 16 * 32 * 32 * 16 + 32 * 32 * 32 * 3 * 16
    found = complexity(VAE(Conv(), (3, 64, 64), 10, "bernoulli"), (3, 64, 64))
    assert found.encode_macs == down + dense
    assert found.macs == down + dense + back + up
    assert round(found.macs / 1e6, 2) == 18.36
    assert (found.critic_parameters, found.uncounted) == (0, ())


LAYERS: list[tuple[nn.Module, tuple[int, ...], int]] = [
    (nn.Linear(3, 5), (2, 3), 2 * 15),
    (nn.Linear(3, 5), (2, 4, 3), 2 * 4 * 15),
    (nn.Conv2d(4, 6, 3, 2, 1, groups=2), (2, 4, 8, 8), 2 * 4 * 4 * 6 * 2 * 9),
    (nn.ConvTranspose2d(4, 6, (2, 4), 2, groups=2), (1, 4, 3, 3), 9 * 4 * 3 * 8),
    (ParallelLinear(3, 4, 5), (2, 3, 4), 2 * 3 * 20),
]


@pytest.mark.parametrize("layer, shape, macs", LAYERS, ids=[type(one).__name__ for one, _, _ in LAYERS])
def test_layers(layer: nn.Module, shape: tuple[int, ...], macs: int) -> None:
    with counting(layer) as counted:
        layer(torch.zeros(shape))
    assert counted == {"": macs}
    layer(torch.zeros(shape))
    assert counted == {"": macs}, "hooks are gone"


def test_critics_are_apart() -> None:
    e = unweave.Experiment("factor-vae", "triangle", network=MLP((8,)), latents=4).complete()
    model = build(e, torch.device("cpu"))
    found = complexity(model, GREY)
    critic = sum(p.numel() for name, p in model.named_parameters() if name.startswith("critics."))
    assert found.critic_parameters == critic == 4 * 1000 + 1000 + 5 * (1000 * 1000 + 1000) + 2 * 1000 + 2
    assert found.parameters == sum(p.numel() for p in model.parameters()) - critic
    training = training_macs(e, Triangle().open())
    assert training.model == found.macs
    # z for the term that trains the model; z and permuted z for the one that trains the critic.
    assert training.critics == 3 * (4 * 1000 + 5 * 1000 * 1000 + 2 * 1000)


def test_every_space_is_decoded_in_training() -> None:
    plain = training_macs(unweave.Experiment("vae", "triangle", latents=4), Triangle().open())
    spaces = unweave.Experiment(unweave.DeVAE(betas=(1.0, 10.0, 40.0)), "triangle", latents=4, network=Conv())
    model = complexity(build(spaces.complete(), torch.device("cpu")), GREY)
    found = training_macs(spaces, Triangle().open())
    assert plain.critics == found.critics == 0
    assert found.model == model.encode_macs + 3 * (model.macs - model.encode_macs)


def test_what_is_done_once_a_batch_is_shared_by_its_images() -> None:
    def cost(batch: int) -> int:
        e = unweave.Experiment(unweave.VampPrior(), "triangle", network=MLP((8,)), latents=4, batch=batch)
        return training_macs(e, Triangle().open()).model

    once = 2 * (cost(10) - cost(20)) * 10
    model = build(unweave.Experiment("vae", "triangle", network=MLP((8,)), latents=4).complete(), torch.device("cpu"))
    assert cost(1000) == pytest.approx(complexity(model, GREY).macs + once / 1000, rel=1e-3)
    assert once > 0


def test_what_is_not_counted_is_named() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.dense = nn.Linear(2, 2)
            self.table = nn.Parameter(torch.zeros(2, 2))

    assert uncounted(Odd()) == ("Odd",)


def test_all_words_for_critics_are_used() -> None:
    """A critic is known by its child's name; the networks' own names must be among the words."""
    found = set()
    for path in (Path(unweave.__file__).parent / "networks").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in ("critics", "judge"):
                found.add(node.attr)
    assert found == {"critics", "judge"}


@pytest.mark.parametrize(
    "values, hold, step",
    [([9, 8, 7, 6, 5], 1, 40), ([9, 6, 7, 6, 5], 1, 20), ([9, 6, 7, 6, 5], 2, 40), ([9, 9, 9, 9, 9], 1, None)],
)
def test_time_to_reach(values: list[float], hold: int, step: int | None) -> None:
    found = time_to_reach([10, 20, 30, 40, 50], values, 6.5, 0.5, hold)
    assert (found and found.step) == step
    assert (found and found.seconds) == (step and step * 0.5)
    without = time_to_reach([10, 20, 30, 40, 50], values, 6.5, None, hold)
    assert without is None or without.seconds is None


BAD: list[tuple[Any, str]] = [
    (lambda: complexity(VAE(MLP((8,)), GREY, 2, "bernoulli"), (3, 32, 32)), "does not take an image of shape"),
    (lambda: time_to_reach([1], [1, 2], 0), "1 steps, 2 values"),
    (lambda: time_to_reach([1], [1], 0, hold=0), "hold = 0"),
    (lambda: evaluation_time(VAE(MLP((8,)), GREY, 2, "bernoulli"), Triangle().open(), count=0), "count = 0"),
]


@pytest.mark.parametrize("call, said", BAD, ids=[said for _, said in BAD])
def test_one_clear_line(call: Any, said: str) -> None:
    with pytest.raises(UserError) as error:
        call()
    assert said in str(error.value) and "\n" not in str(error.value)
