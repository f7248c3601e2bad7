"""Shapes in colour, in noise and on a picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from unweave import Experiment, UserError
from unweave.data import (
    DATASETS,
    Color,
    ColorDSprites,
    Dataset,
    DSprites,
    Noisy,
    NoisyDSprites,
    Scream,
    ScreamDSprites,
    Shapes3D,
    SmallNORB,
    Subset,
    Triangle,
)
from unweave.data.backdrop import drawn_picture, read_picture
from unweave.engine.codes import nuisance
from unweave.engine.experiment import from_json, preset_for, to_json
from unweave.engine.feed import Feed
from unweave.methods import METHODS
from unweave.networks import MLP
from unweave.testing import check_dataset

NAMED = {"color-dsprites": Color, "noisy-dsprites": Noisy, "scream-dsprites": Scream}
SOME = [ColorDSprites(), NoisyDSprites(), ScreamDSprites(), Color(Triangle()), Noisy(Triangle(angle_noise=10.0))]
ROWS = torch.tensor([0, 300_000, 737_279])


@pytest.mark.parametrize("data", [*SOME, Scream(Subset(Triangle(), (5, 3, 900)))], ids=repr)
def test_it_keeps_the_rules_of_a_data_set(data: Dataset) -> None:
    check_dataset(data)


@pytest.mark.parametrize("data", SOME, ids=repr)
def test_it_comes_back_from_its_description(data: Dataset) -> None:
    one = Experiment("beta-vae", data, network=MLP((8,)), steps=3).complete()
    assert from_json(to_json(one)) == one


@pytest.mark.parametrize("name", NAMED)
def test_a_variant_of_dsprites_has_the_published_settings_of_the_named_set(name: str) -> None:
    for method in METHODS.values():
        assert preset_for(method, NAMED[name](DSprites())) == preset_for(method, name)
    assert preset_for(METHODS["deft"], Color(Triangle())) == preset_for(METHODS["deft"], "anything else")


def test_variants_of_sets_with_files_need_them(tmp_path: Path) -> None:
    data = Noisy(SmallNORB())
    assert data.needs_files and not data.present(tmp_path)
    with pytest.raises(UserError, match="smallnorb"):
        data.prepare(tmp_path)
    assert not Noisy(DSprites()).needs_files and Noisy(DSprites()).present()


@pytest.mark.parametrize("name", NAMED)
def test_the_named_sets_are_variants_of_dsprites(name: str) -> None:
    images, other = DATASETS[name]().open(), NAMED[name](DSprites()).open()
    draws = nuisance(images, ROWS, 3, "test")
    assert torch.equal(images.batch(ROWS, draws), other.batch(ROWS, draws)) and images.source == other.source
    assert torch.equal(images.levels(ROWS), DSprites().open().levels(ROWS))


@pytest.mark.parametrize("name", NAMED)
def test_noise_is_drawn_anew_and_comes_again_with_seed_step_and_row(name: str) -> None:
    data = Subset(DATASETS[name](), (7, 70_000))
    one = Experiment("beta-vae", data, network=MLP((8,)), batch=2, steps=3, seed=5).complete()
    images = data.open()
    first, again = (Feed(one, images, torch.device("cpu")) for _ in range(2))
    x = [first.batch(step).x for step in range(3)]
    assert torch.equal(again.batch(2).x, x[2]) and not torch.equal(x[0].sort(0).values, x[1].sort(0).values)
    alone = nuisance(images, torch.tensor([1]), 0, "view")
    both = nuisance(images, torch.tensor([0, 1]), 0, "view")
    assert all(torch.equal(both[key][1:], value) for key, value in alone.items())


def test_colours_are_one_an_image_on_black() -> None:
    shapes, images = DSprites().open().batch(ROWS, {}), ColorDSprites().open()
    colour = torch.tensor([[0.0, 0.5, 1.0], [1.0, 1.0, 0.0], [0.25, 0.75, 0.5]])
    x = images.batch(ROWS, {"colour": colour})
    wanted = np.zeros((3, 3, 64, 64))
    for n in range(3):
        for channel in range(3):
            wanted[n, channel] = shapes[n, 0].numpy() * (0.5 + colour[n, channel].item() / 2)
    assert torch.equal(x.double(), torch.from_numpy(wanted))


def test_noise_is_between_black_and_white_and_shapes_stay_white() -> None:
    shapes, images = DSprites().open().batch(ROWS, {}), NoisyDSprites().open()
    what = images.noise(3)["noise"]
    noise = torch.randint(256, what.shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    x = images.batch(ROWS, {"noise": noise})
    assert torch.equal(x, torch.minimum(shapes + (noise + 0.5) / 256, torch.tensor(1.0)))
    behind = x[(shapes == 0).expand_as(x)].double()
    assert abs(behind.mean() - 0.5) < 0.005 and abs(behind.var() - 1 / 12) < 0.001
    assert bool((x[(shapes == 1).expand_as(x)] == 1).all())


def test_grey_edges_stay_within_white() -> None:
    data = Noisy(Triangle())
    x = data.open().batch(torch.arange(4), {"noise": torch.full((4, 3, 64, 64), 255, dtype=torch.uint8)})
    assert x.max() == 1 and x.min() > 0.99


def test_scream_against_the_authors_construction() -> None:
    picture = drawn_picture().numpy().transpose(1, 2, 0)
    shapes, images = DSprites().open().batch(ROWS, {}), ScreamDSprites().open()
    crop = torch.tensor([[0.0, 0.0], [0.5, 0.25], [0.99999994, 0.99999994]])
    tint = torch.tensor([[0.0, 0.5, 1.0], [0.1, 0.2, 0.3], [0.9, 0.9, 0.9]])
    x = images.batch(ROWS, {"crop": crop, "tint": tint})
    height, width, _ = picture.shape
    for n in range(3):
        top = min(int(crop[n, 0] * (height - 63)), height - 64)
        left = min(int(crop[n, 1] * (width - 63)), width - 64)
        behind = (picture[top : top + 64, left : left + 64] + tint[n].numpy()) / 2
        mask = shapes[n, 0].numpy() == 1
        behind[mask] = 1 - behind[mask]
        assert np.abs(x[n].numpy().transpose(1, 2, 0) - behind).max() < 1e-6


def test_scream_says_which_picture(tmp_path: Path) -> None:
    Image.effect_noise((400, 400), 60).convert("RGB").save(tmp_path / "mine.png")
    assert ScreamDSprites().open().source == "drawn, on a drawn picture of 215 × 274 pixels"
    assert ScreamDSprites(tmp_path / "mine.png").open().source == f"drawn, on {tmp_path / 'mine.png'}"
    (tmp_path / "scream").mkdir()
    place = tmp_path / "scream" / "scream.jpg"
    Image.new("RGB", (1200, 1528), "orange").save(place)
    images = ScreamDSprites().open(tmp_path)
    assert images.source == f"drawn, on {place}" and read_picture(place).shape == (3, 274, 215)
    x = images.batch(ROWS[:1], {"crop": torch.rand(1, 2), "tint": torch.full((1, 3), 0.5)})
    assert torch.allclose(x[0, :, 40, 40], torch.tensor([0.75, 0.25 + 165 / 510, 0.25]), atol=0.01)


def test_the_real_picture(shared_data: Path) -> None:
    file = shared_data / "scream" / "the_scream_1200x1528.jpg"
    if not file.is_file():
        pytest.skip(f"no picture at {file}")
    assert read_picture(file).shape == (3, 274, 215)
    check_dataset(ScreamDSprites(file))


def test_pictures_that_cannot_be_used(tmp_path: Path) -> None:
    small, broken, text = tmp_path / "small.png", tmp_path / "broken.png", tmp_path / "text.jpg"
    Image.new("L", (63, 90)).save(small)
    broken.write_bytes(small.read_bytes()[:60])
    text.write_text("Munch")
    huge = tmp_path / "huge.png"
    Image.new("1", (8000, 8000)).save(huge)
    for path, why in ((small, "63 × 90 pixels"), (broken, "damaged"), (text, "no picture"), (huge, "8000 × 8000")):
        with pytest.raises(UserError, match=why) as caught:
            ScreamDSprites(path).open()
        assert "\n" not in str(caught.value) and str(path) in str(caught.value)
    with pytest.raises(UserError, match="no such picture"):
        ScreamDSprites(tmp_path / "gone.png").open()


def test_what_is_no_set_of_white_shapes_or_has_no_noise() -> None:
    with pytest.raises(UserError, match=r"noisy of shapes3d, which has 3 channels; allowed: one"):
        Noisy(Shapes3D()).open()
    for data in (ColorDSprites(), NoisyDSprites(), ScreamDSprites()):
        with pytest.raises(UserError, match="nuisance noise '"):
            data.open().batch(ROWS, {})


def test_check_of_a_small_one() -> None:
    lines = Color(Triangle()).check()
    assert "as expected" in lines[2] and lines[-1] == "color: drawn"
