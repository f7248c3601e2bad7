"""Toys on a turntable."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from unweave.data import Turntable, cache, turntable
from unweave.data.stored import StoredImages
from unweave.data.toys.casting import LAMPS, RAYS, WIDTH, light, look
from unweave.data.toys.forms import FORMS, INSTANCES, KINDS, Toy, toy
from unweave.testing import check_dataset
from unweave.types import UserError


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(cache.CACHE_VARIABLE, str(tmp_path / "cache"))


def test_it_keeps_the_rules_of_a_data_set() -> None:
    check_dataset(Turntable())


def test_every_toy_stands_on_the_table_and_within_the_picture() -> None:
    for kind in range(len(KINDS)):
        for instance in range(INSTANCES):
            found = toy(kind, instance)
            assert 0.3 < found.height < 2 and all(0.1 < half < 1 for half in found.spread)
            for _, matrices, middles, shades in found.forms:
                reach = np.abs(matrices).sum(2)
                assert (middles - reach)[:, 1].min() > -0.1 and ((shades > 0) & (shades < 1)).all()
            for elevation in (10, 74):
                hit = look(found, 20.0 * instance, elevation).hit
                seen = np.zeros((WIDTH * RAYS) ** 2, bool)
                seen[hit] = True
                square = seen.reshape(WIDTH * RAYS, -1)
                assert 0.04 < seen.mean() < 0.5
                assert not (square[0].any() or square[-1].any() or square[:, 0].any() or square[:, -1].any())


@pytest.mark.parametrize("name", Turntable().factors.names)
def test_every_factor_changes_the_picture(name: str) -> None:
    data = Turntable()
    images, factors = data.open(), data.factors
    for base in ([0, 1, 2, 3, 4], [1, 0, 8, 5, 0], [2, 7, 5, 9, 1], [3, 4, 0, 17, 3], [4, 9, 3, 0, 2]):
        x = images.batch(factors.index(factors.traverse(torch.tensor(base), name)), {}).flatten(1)
        assert torch.pdist(x, 1).min() / x.shape[1] > 0.002, (name, base)


def test_rays_against_a_ball_and_a_box_worked_out_by_hand() -> None:
    ball = Toy((("ball", np.eye(3)[None] * 0.5, np.array([[0, 0.5, 0]]), np.ones(1)),), 1.0, (0.5, 0.5))
    view = look(ball, 30, 40)
    share = len(view.hit) / (WIDTH * RAYS) ** 2
    half = np.tan(np.radians(23 / 2))
    tangent = 0.5 / np.sqrt(5**2 - 0.5**2)
    assert share == pytest.approx(np.pi * tangent**2 / (2 * half) ** 2, rel=5e-3)
    assert np.allclose(np.linalg.norm(view.normal, axis=1), 1, atol=1e-5)
    middle = np.abs(view.hit - (WIDTH * RAYS) ** 2 // 2 - WIDTH * RAYS // 2).argmin()
    camera = np.array([np.cos(np.radians(40)), np.sin(np.radians(40)), 0])
    assert view.normal[middle] @ camera > 0.999
    box = Toy((("box", np.eye(3)[None] * 0.3, np.array([[0, 0.3, 0]]), np.ones(1)),), 0.6, (0.3, 0.3))
    normals = np.unique(look(box, 30, 40).normal.round(4), axis=0)
    assert len(normals) == 3 and np.allclose(normals @ normals.T, np.eye(3), atol=1e-3), "three sides are seen"
    assert set(FORMS) == {"ball", "box", "rod"}


def test_light_comes_from_where_the_lamp_is() -> None:
    ball = Toy((("ball", np.eye(3)[None] * 0.5, np.array([[0, 0.5, 0]]), np.full(1, 0.6)),), 1.0, (0.5, 0.5))
    left, right = (light(look(ball, 0, 20), LAMPS[k])[24:40].astype(int) for k in (1, 2))
    assert left[:, 16:32].mean() != pytest.approx(left[:, 32:48].mean(), rel=0.1)
    assert np.abs(left - right[:, ::-1]).max() <= 2, "the two side lamps mirror each other"


def test_turning_the_table_by_all_its_turns_comes_back() -> None:
    assert np.array_equal(light(look(toy(3, 2), 0, 30), LAMPS[0]), light(look(toy(3, 2), 360, 30), LAMPS[0]))


def test_kept_on_disk_it_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = torch.tensor([5, 7, 4, 4000])
    one_by_one = Turntable().open().batch(rows, {})
    monkeypatch.setattr(turntable, "KINDS", KINDS[:1])
    monkeypatch.setattr(turntable, "INSTANCES", 5)
    monkeypatch.setattr(turntable, "SIZES", (1, 5, *turntable.SIZES[2:]))
    monkeypatch.setattr(turntable, "BUILD_AFTER", 8)
    images = Turntable().open()
    for _ in range(3):
        assert torch.equal(images.batch(rows, {}), one_by_one)
    kept = Turntable().open()
    assert isinstance(kept, StoredImages) and kept.source == images.source == turntable.DRAWN
    assert torch.equal(kept.batch(rows, {}), one_by_one)


def test_where_the_disk_refuses_it_is_kept_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise UserError("full")

    monkeypatch.setattr(turntable, "prepare", refuse)
    monkeypatch.setattr(turntable, "KINDS", KINDS[:1])
    monkeypatch.setattr(turntable, "INSTANCES", 1)
    monkeypatch.setattr(turntable, "SIZES", (1, 1, *turntable.SIZES[2:]))
    assert len(turntable._table().pixels) == 972
