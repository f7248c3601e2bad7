"""``--data`` in words: folders of pictures, and parts and variants of other sets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from unweave.data import Correlated, Folder, Split, Triangle
from unweave.run import load

from .conftest import TINY, Call


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    lines = ["file,shade"]
    for k in range(12):
        Image.new("L", (30 + k, 20), 20 * k).save(folder / f"{k}.png")
        lines.append(f"{k}.png,{k % 3}")
    (folder / "factors.csv").write_text("\n".join(lines))
    return folder


def test_a_folder_trains_and_is_scored(photos: Path, tmp_path: Path, call: Call) -> None:
    told = call("train", "beta-vae", "--data", "photos:size=28:labels=factors.csv", "--steps", "2", *TINY)
    assert told.code == 0 and f"12 images of 3×28×28, {photos}" in told.out and "squared" in told.out
    (run,) = (tmp_path / "runs").iterdir()
    assert load(run).data == Folder(photos, size=28, labels=photos / "factors.csv")
    scored = call("score", str(run), "--metrics", "mig", "--json")
    assert scored.code == 0, scored.err
    assert 0 <= json.loads(scored.out)["runs"][0]["scores"]["mig"]["value"] <= 1
    assert (
        "all is done already"
        in call("train", "beta-vae", "--data", "./photos:size=28:labels=factors.csv", "--steps", "2", *TINY).out
    )


def test_broken_pictures_stop_it_or_are_listed(photos: Path, call: Call) -> None:
    (photos / "3.png").write_text("no picture")
    words = ("train", "beta-vae", "--steps", "2", *TINY, "--data")
    stopped = call(*words, "photos")
    assert stopped.code == 2 and "1 broken pictures: picture 6, 3.png: no PNG" in stopped.line
    told = call(*words, "photos:skip-broken")
    assert told.code == 0 and "left out   picture 6, 3.png: no PNG" in told.out and "11 images" in told.out


@pytest.mark.parametrize(
    "words, data",
    [
        ("triangle:test=0.8", Split(Triangle(), "test", 0.8)),
        ("triangle:band=pos_x,pos_y,0.1", Correlated(Triangle(), ("pos_x", "pos_y"), "band", 0.1)),
        ("triangle:angle-noise=5", Triangle(angle_noise=5.0)),
    ],
)
def test_parts_and_settings(words: str, data: Triangle, tmp_path: Path, call: Call) -> None:
    assert call("train", "vae", "--data", words, "--steps", "2", *TINY).code == 0
    (run,) = (tmp_path / "runs").iterdir()
    assert load(run).data == data


@pytest.mark.parametrize(
    "words, why",
    [
        ("nowhere/photos", "no such folder"),
        ("empty", "no pictures in it"),
        ("emptyy", "did you mean 'empty'"),
        ("empty/one.png", "empty/one.png: a single picture; allowed: a folder of pictures"),
        ("triangle:tset", "did you mean 'test'"),
        ("triangle:band=pos_x,pos_z,0.1", "unknown factor 'pos_z'"),
        ("shapes3d:noisy", "3 channels"),
    ],
)
def test_mistakes(words: str, why: str, tmp_path: Path, call: Call) -> None:
    (tmp_path / "empty").mkdir()
    if words == "empty/one.png":
        (tmp_path / words).write_bytes(b"")
    done = call("train", "vae", "--data", words, "--steps", "2", *TINY)
    assert done.code == 2 and why in done.line
