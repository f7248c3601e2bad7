"""Data sets in words."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from unweave.data import (
    MNIST,
    ArrayFile,
    CelebA,
    Color,
    Correlated,
    Dataset,
    DSprites,
    Folder,
    HeldOut,
    HuggingFace,
    InMemory,
    Noisy,
    NoisyDSprites,
    Scream,
    SmallNORB,
    Split,
    Triangle,
    dataset,
)
from unweave.types import UserError

BOTH = ("pos_x", "pos_y")


@pytest.mark.parametrize(
    "text, wanted",
    [
        ("triangle", Triangle()),
        ("noisy-dsprites", NoisyDSprites()),
        ("triangle:noisy", Noisy(Triangle())),
        ("dsprites:train", Split(DSprites())),
        ("dsprites:test=0.8", Split(DSprites(), "test", 0.8)),
        ("dsprites:test=0.8,3", Split(DSprites(), "test", 0.8, 3)),
        ("dsprites:band=pos_x,pos_y,.1:color", Color(Correlated(DSprites(), BOTH, "band", 0.1))),
        ("dsprites:gaussian=scale,pos_x,pos_y,0.2", Correlated(DSprites(), ("scale", *BOTH), "gaussian", 0.2)),
        ("dsprites:without=shape=2,pos_x=30-31", HeldOut(DSprites(), ((("shape", (2,)), ("pos_x", (30, 31))),))),
        ("dsprites:only=scale=0+2-3", HeldOut(DSprites(), ((("scale", (0, 2, 3)),),), "test")),
        ("triangle:scream", Scream(Triangle())),
        ("triangle:angle-noise=20:author-labels", Triangle(True, 20.0)),
        ("triangle:author-labels=no", Triangle()),
        ("mnist:part=test", MNIST("test")),
        ("smallnorb:part=test:noisy", Noisy(SmallNORB("test"))),
        ("dsprites:test:seed=3", Split(DSprites(), "test", seed=3)),
        ("dsprites:band=pos_x,pos_y,0:target=opposite", Correlated(DSprites(), BOTH, "band", 0.0, "opposite")),
    ],
)
def test_what_is_said(text: str, wanted: Dataset) -> None:
    assert dataset(text) == wanted


@pytest.mark.parametrize(
    "text, why",
    [
        (
            "trangle",
            r"unknown data set 'trangle' — did you mean 'triangle'\? \(allowed: .*, or a folder of pictures, .*\)",
        ),
        ("trangle:noisy", "did you mean 'triangle'"),
        ("", "unknown data set ''"),
        (":train", "unknown data set ''"),
        ("no/such", "no/such: no such folder"),
        ("no/such.npy:grey", "no/such.npy: no such file"),
        ("~nobody/x", "no such folder"),
        ("triangle:nosiy", r"unknown step 'nosiy' — did you mean 'noisy'\?"),
        ("triangle:", "unknown step ''"),
        ("triangle:noisy=3", "given: noisy=3"),
        ("triangle:train=most", "given: 'most'"),
        ("triangle:train=0.9,x", "given: 'x'"),
        ("triangle:band", "band=FACTOR,FACTOR,WIDTH"),
        ("triangle:band=pos_x", "given: 'pos_x'"),
        ("triangle:without=pos_x", "given: 'pos_x'"),
        ("triangle:without=pos_x=a", "given: 'a'"),
        ("triangle:without=pos_x=3-1", "levels '3-1'"),
        ("triangle:without=pos_x=0-999999999999", "given: levels"),
        ("triangle:grey", r"unknown step 'grey' \(allowed: color, .*, angle-noise=…\)"),
        ("triangle:angle-noise", "angle-noise: needs a value"),
        ("triangle:angle-noise=much", "given: 'much'"),
        ("triangle:author-labels=perhaps", "allowed: yes, no"),
        ("mnist:part=tset", r"mnist:part=tset: part 'tset' — did you mean 'test'\? \(allowed: train, test\)"),
        ("mnist:part", "part: needs a value; allowed: train, test"),
        ("dsprites:without=shape=2:combinations=1", "cannot be set in words"),
    ],
)
def test_what_is_not_understood(text: str, why: str) -> None:
    with pytest.raises(UserError, match=why) as caught:
        dataset(text)
    assert "\n" not in str(caught.value)


def test_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("photos", "a:b", "triangle"):
        (tmp_path / name).mkdir()
    (tmp_path / "photos" / "t.csv").write_text("")
    photos = tmp_path / "photos"
    assert dataset("photos") == dataset("./photos") == dataset(photos) == dataset(str(photos)) == Folder(photos)
    assert dataset("photos:grey:size=28:fit=pad") == Folder(photos, size=28, fit="pad", grey=True)
    assert dataset("photos:labels=t.csv:skip-broken") == Folder(photos, labels=photos / "t.csv", skip_broken=True)
    assert dataset("photos:labels=u.csv").labels == tmp_path / "u.csv"
    assert dataset("a:b:train") == Split(Folder(tmp_path / "a:b"))
    assert dataset("triangle") == Triangle() and dataset("./triangle") == Folder(tmp_path / "triangle")
    for wrong in ("photos:size=big", "photos:grey=1", "photos:train:grey", "photos:fit"):
        with pytest.raises(UserError, match=wrong):
            dataset(wrong)


def test_arrays_are_images_in_memory_and_other_things_are_refused_in_one_line() -> None:
    images = np.zeros((5, 32, 32), np.uint8)
    assert dataset(images) == dataset(torch.from_numpy(images)) == InMemory.of(images)
    with pytest.raises(UserError, match="data = a list; allowed: the name of a set, a path, an array of images"):
        dataset([images])  # type: ignore[arg-type]


def test_texts_do_for_paths_and_sets(tmp_path: Path) -> None:
    assert Folder(str(tmp_path), labels="t.csv") == Folder(tmp_path, labels=Path("t.csv"))  # type: ignore[arg-type]
    assert ArrayFile("x.npy").path == Path("x.npy") and HuggingFace("saved").path == Path("saved")  # type: ignore[arg-type]
    assert Split("dsprites") == Split(DSprites()) and Noisy("triangle") == Noisy(Triangle())  # type: ignore[arg-type]
    assert Scream("triangle", "a.png").picture == Path("a.png")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="did you mean 'dsprites'"):
        Split("dsprits")  # type: ignore[arg-type]


@pytest.mark.parametrize("data", [MNIST("tain"), CelebA("tain")], ids=str)  # type: ignore[arg-type]
def test_a_part_that_is_none(data: Dataset) -> None:
    with pytest.raises(UserError, match="'tain' — did you mean 'train'"):
        _ = data.rows
