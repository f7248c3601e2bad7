"""What a model is shown is a function of its seed and the step."""

from __future__ import annotations

import pytest
import torch

from unweave.engine.feed import AHEAD, Feed
from unweave.engine.noise import draw
from unweave.methods import FactorVAE, Method
from unweave.testing import Dots
from unweave.types import Batch

from .tiny import tiny

TWO = FactorVAE(critic_hidden=8, critic_layers=1, second_batch=True)


def feed(seed: int, device: torch.device, method: Method | str = "vae", haze: float = 0.0) -> Feed:
    one = tiny(method, Dots(haze), seed=seed, batch=8)
    return Feed(one, Dots(haze).open(device=device), device)


def rows(batch: Batch) -> list[int]:
    """Which images a batch holds, by their factors."""
    return Dots().factors.index(batch.labels.cpu()).tolist()


def test_images_and_labels_belong_together(device: torch.device) -> None:
    batch = feed(0, device).batch(3)
    assert torch.equal(batch.x.cpu(), Dots().open().batch(torch.tensor(rows(batch)), {}).double())
    assert batch.y is batch.x and batch.rows == 32 and int(batch.step) == 3 and batch.step.ndim == 0


def test_an_epoch_shows_every_image_once(device: torch.device) -> None:
    one = feed(0, device)
    for epoch in range(3):
        seen = [row for step in range(4) for row in rows(one.batch(4 * epoch + step))]
        assert sorted(seen) == list(range(32))


@pytest.mark.parametrize("what", ["rows", "z", "haze"])
def test_seeds_and_steps_see_their_own(what: str, device: torch.device) -> None:
    def seen(seed: int, step: int) -> str:
        batch = feed(seed, device, haze=0.3).batch(step)
        return str({"rows": rows(batch), "z": batch.noise["z"].tolist(), "haze": batch.x.tolist()}[what])

    cases = [(seed, step) for seed in (0, 1, 2**40) for step in (0, 1, 77)]
    assert len({seen(*case) for case in cases}) == len(cases)
    assert seen(1, 77) == seen(1, 77)


def test_the_second_view_is_another_batch(device: torch.device) -> None:
    one = feed(5, device, TWO, haze=0.3)
    batches = [one.batch(step) for step in range(4)]
    assert not any(torch.equal(batch.x, batch.y) for batch in batches)
    sharp = [feed(5, device, TWO).batch(step).y for step in range(4)]
    assert len({str(image.tolist()) for y in sharp for image in y}) == 32, "an epoch of its own order"
    again = feed(5, device, TWO, haze=0.3).batch(2)
    assert torch.equal(again.y, batches[2].y) and torch.equal(again.x, batches[2].x)


def test_numbers_drawn_ahead_are_those_drawn_one_by_one(device: torch.device) -> None:
    one = feed(3, device, TWO, haze=0.3)
    through = [one.batch(step) for step in range(2 * AHEAD + 2)]
    for step in (0, AHEAD - 1, AHEAD, 2 * AHEAD + 1):
        fresh = feed(3, device, TWO, haze=0.3).batch(step)
        assert torch.equal(fresh.x, through[step].x) and torch.equal(fresh.y, through[step].y)
        for name, what in one.noise.items():
            assert torch.equal(fresh.noise[name], through[step].noise[name])
            assert torch.equal(fresh.noise[name], draw(one.seeds, step, f"noise {name}", what, torch.float64)[0])
