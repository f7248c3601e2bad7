"""Some of a data set's images, as a data set."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from PIL import Image

from unweave import Experiment, UserError, fit, load
from unweave.data import Dataset, DSprites, Folder, Split, Subset, Triangle, dataset
from unweave.networks import MLP
from unweave.testing import check_dataset
from unweave.testing.dots import Dots


@pytest.mark.parametrize("whole", [Triangle(), Triangle(angle_noise=20.0), DSprites()], ids=repr)
def test_it_keeps_the_rules_of_a_data_set(whole: Triangle | DSprites) -> None:
    check_dataset(Subset(whole, (3, 1, 30, 17, 5)))


@pytest.mark.parametrize("haze", [0.0, 0.5])
def test_its_images_and_levels_are_those_of_the_whole(haze: float) -> None:
    whole, chosen = Dots(haze), (7, 2, 30)
    images, part = whole.open(), Subset(whole, chosen).open()
    noise = {"haze": torch.rand(2, 8, 8)} if haze else {}
    rows = torch.tensor([2, 0])
    assert torch.equal(part.batch(rows, noise), images.batch(torch.tensor([30, 7]), noise))
    assert torch.equal(part.levels(rows), images.levels(torch.tensor([30, 7])))
    assert part.index(images.levels(torch.tensor([2]))).tolist() == [1]
    with pytest.raises(UserError, match="only 3 of 32 combinations"):
        part.index(images.levels(torch.tensor([8])))


def test_along_one_factor_only_that_one_changes() -> None:
    whole = DSprites()
    for name, size in zip(whole.factors.names, whole.factors.sizes, strict=True):
        part = Subset.along(whole, name, 123_456)
        levels = part.open().levels(torch.arange(part.rows))
        column = whole.factors.position(name)
        assert levels[:, column].tolist() == list(range(size))
        others = [k for k in range(5) if k != column]
        assert torch.equal(levels[:, others], whole.factors.levels(torch.tensor([123_456]))[:, others].expand(size, -1))


@pytest.mark.parametrize("chosen", [(), (1, 1), (32,), (-1,)])
def test_rows_that_are_not_there(chosen: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match=r"subset: .* allowed: one or more, each once, from 0 to 31"):
        Subset(Dots(), chosen).open()


def test_factors_that_cannot_be_moved_alone() -> None:
    with pytest.raises(UserError, match="no image has"):
        Subset.along(Triangle(), "orientation", 5)
    with pytest.raises(UserError, match="unknown factor 'colour'"):
        Subset.along(DSprites(), "colour", 0)
    with pytest.raises(UserError, match="rows 0 to 31"):
        Subset.along(Dots(), "row", 32)


def test_a_run_on_it_comes_back_from_its_folder(tmp_path: Path) -> None:
    experiment = Experiment("beta-vae", Subset(Triangle(), (3, 1, 4)), network=MLP((8,)), batch=2, steps=2)
    run = load(fit(experiment, out=tmp_path).folder.path)
    assert run.data == Subset(Triangle(), (3, 1, 4)) and run.step == 2
    assert run.codes().levels.tolist() == Triangle().open().levels(torch.tensor([3, 1, 4])).tolist()
    assert experiment.key != Experiment("beta-vae", Triangle(), network=MLP((8,)), batch=2, steps=2).key


def test_what_the_whole_set_needs_and_prepares(monkeypatch: pytest.MonkeyPatch) -> None:
    from unweave.data import MNIST

    asked: list[object] = []
    monkeypatch.setattr(MNIST, "prepare", lambda self, root=None, tell=None: asked.append(root))
    part = Subset(MNIST(), (0, 1))
    part.prepare(None)
    assert part.needs_files and asked == [None]


def test_images_of_ones_own_are_chosen_by_their_levels_not_by_their_numbers(tmp_path: Path) -> None:
    """As many pictures as combinations of levels, though one is there twice and another not at all."""
    lines = {"a.png": (0, 0), "b.png": (0, 0), "c.png": (0, 1), "d.png": (1, 0)}
    for name in lines:
        Image.new("L", (16, 16), 200).save(tmp_path / name)
    table = "".join(f"{name},{colour},{size}\n" for name, (colour, size) in lines.items())
    (tmp_path / "labels.csv").write_text(f"file,colour,size\n{table}")
    data = Folder(tmp_path, size=16, labels=tmp_path / "labels.csv")
    assert data.factors is not None and data.rows == data.factors.count and not data.gridded
    assert "lead to images that have them" in " ".join(Dataset.check(data))

    def levels(part: Dataset) -> list[list[int]]:
        return part.open().levels(torch.arange(part.rows)).tolist()

    for rule, wanted in (
        ("only=colour=1", [[1, 0]]),
        ("only=size=0", [[0, 0], [0, 0], [1, 0]]),
        ("without=colour=0,size=0", [[0, 1], [1, 0]]),
    ):
        assert levels(dataset(f"{tmp_path}:size=16:labels=labels.csv:{rule}")) == wanted
    assert levels(Subset.along(data, "size", row=0)) == [[0, 0], [0, 1]]
    assert Subset.along(data, "colour", row=3).rows == 2
    with pytest.raises(UserError, match="no image has"):
        Subset.along(data, "size", row=3)


def test_a_table_of_labels_that_is_written_anew_is_read_anew(tmp_path: Path) -> None:
    for name in "abcd":
        Image.new("L", (16, 16), 200).save(tmp_path / f"{name}.png")

    def write(levels: str) -> None:
        lines = "".join(f"{name}.png,{level}\n" for name, level in zip("abcd", levels, strict=True))
        (tmp_path / "labels.csv").write_text(f"file,colour\n{lines}")

    write("0001")
    data = dataset(f"{tmp_path}:size=16:labels=labels.csv:only=colour=1")
    assert data.rows == 1
    write("0111")
    os.utime(tmp_path / "labels.csv", (1, 1))
    assert data.rows == 3 and data.open().levels(torch.arange(3)).flatten().tolist() == [1, 1, 1]


def test_a_data_set_may_have_fields_of_any_name() -> None:
    @dataclass(frozen=True)
    class Mine(Dots):
        table: str = "words"

    assert Split(Mine()).rows > 0
