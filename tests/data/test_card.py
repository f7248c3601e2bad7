"""Images kept on a card as bytes are the images, and which images can be looked up inside a step."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from unweave.data import Color, Dataset, DSprites, Noisy, Scream, Sprites, Triangle
from unweave.data.base import Images
from unweave.data.card import CardImages, on_card
from unweave.engine.noise import draw
from unweave.testing import Dots

CPU = torch.device("cpu")


def test_a_table_holds_the_same_images() -> None:
    drawn = Sprites(size=16, scales=2, orientations=3, positions=4, colours=3).open()
    assert not drawn.resident
    held = on_card(drawn, CPU)
    assert isinstance(held, CardImages) and held.resident and (held.rows, held.source) == (drawn.rows, drawn.source)
    rows = torch.tensor([0, drawn.rows - 1, 5, 5])
    assert torch.equal(held.batch(rows, {}), drawn.batch(rows, {})) and held.batch(rows, {}).max() == 1
    assert torch.equal(held.levels(rows), drawn.levels(rows)) and torch.equal(held.index(held.levels(rows)), rows)


class Half(Images):
    """Pixels that are no whole levels of 255."""

    rows, source, factors = 3, "drawn", Dots().factors

    def batch(self, rows: torch.Tensor, draws: object) -> torch.Tensor:
        return torch.full((len(rows), 1, 2, 2), 0.5)

    def levels(self, rows: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(rows), 3, dtype=torch.int64)


def test_what_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    half, hazy, there = Half(), Dots(haze=0.3).open(), Dots().open()
    assert all(on_card(one, CPU) is one for one in (half, hazy, there))
    sprites = Sprites(size=16, scales=2, orientations=3, positions=4).open()
    monkeypatch.setattr("unweave.data.card.fits", lambda size, device: False)
    assert on_card(sprites, CPU) is sprites


@pytest.mark.parametrize("kind", [Color, Noisy, Scream])
def test_of_painted_shapes_the_shapes_are_kept(kind: Callable[[Dataset], Dataset]) -> None:
    painted = kind(Sprites(size=16, scales=2, orientations=3, positions=4)).open()
    held = on_card(painted, CPU)
    assert held.resident and not painted.resident and (held.rows, held.source) == (painted.rows, painted.source)
    rows = torch.tensor([0, painted.rows - 1, 5])
    draws = {name: draw(torch.tensor([7]), 0, name, what)[0] for name, what in painted.noise(3).items()}
    assert torch.equal(held.batch(rows, draws), painted.batch(rows, draws))
    assert torch.equal(held.levels(rows), painted.levels(rows))


def test_what_can_be_looked_up_inside_a_step() -> None:
    """On this device: what is drawn here, or checks its rows, cannot."""
    found = {one.name: one.open().resident for one in (Triangle(), Triangle(5.0), DSprites(), Sprites(size=16), Dots())}
    assert found == {"triangle": True, "dsprites": False, "sprites": False, "dots": True}
