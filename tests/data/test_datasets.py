"""What holds for every data set, and asking for one by name."""

from collections.abc import Mapping
from dataclasses import dataclass, is_dataclass

import pytest
import torch

from unweave.data import DATASETS, Dataset, Factors, Images, Triangle, dataset
from unweave.data.base import still
from unweave.types import Draw, UserError


@pytest.mark.parametrize("name", [name for name, kind in DATASETS.items() if not kind.needs_files])
def test_every_data_set(name, device):
    given = dataset(name)
    assert given == dataset(name) and hash(given) == hash(DATASETS[name]()) and is_dataclass(given)
    assert given.name == name and given.likelihood in ("bernoulli", "squared")
    assert given.references and given.licence and given.published
    spec = given.spec()
    assert spec.rows == given.rows and spec.shape == given.shape and spec.factors == given.factors
    assert given.spec("squared").likelihood == "squared"
    images = given.open(device=device)
    assert images.rows == given.rows and images.factors == given.factors and images.source.startswith("drawn")
    rows = torch.randint(given.rows, (16,), generator=torch.Generator().manual_seed(0)).to(device)
    x = images.batch(rows, still(images.noise(16)))
    assert x.shape == (16, *given.shape) and x.dtype == torch.float32 and x.device.type == device.type
    assert x.min() >= 0 and x.max() <= 1 and x.std() > 0
    levels = images.levels(rows)
    assert levels.dtype == torch.int64 and torch.equal(images.index(levels), rows)
    assert torch.equal(images.index(levels.int()), rows)
    assert images.batch(rows[:0], still(images.noise(0))).shape == (0, *given.shape)
    about = given.describe()
    assert (
        about["images"] == given.rows and list(about["factors"]) == list(given.factors.names) and about["found"] is None
    )


def test_by_name():
    mine = Triangle(angle_noise=3.0)
    assert dataset(mine) is mine
    with pytest.raises(UserError, match=r"'dsprits' — did you mean 'dsprites'\? \(allowed: dsprites, triangle, "):
        dataset("dsprits")
    for other, why in (("celebrities", "unknown data set"), (3, "data = a int"), (Triangle, "data = a ABCMeta")):
        with pytest.raises(UserError, match=why):
            dataset(other)


class Table(Images):
    """Four grey images with given levels."""

    def __init__(self, factors: Factors | None, table: list[list[int]], pixel: float = 0.5) -> None:
        self.factors, self.table, self.rows, self.source = factors, torch.tensor(table), len(table), "drawn"
        self.pixel = pixel

    def batch(self, rows: torch.Tensor, draws: Mapping[str, torch.Tensor]) -> torch.Tensor:
        return torch.full((len(rows), 1, 2, 2), self.pixel) + draws["shift"][:, None, None, None]

    def levels(self, rows: torch.Tensor) -> torch.Tensor:
        return self.table[rows]

    def noise(self, rows: int) -> Mapping[str, Draw]:
        return {"shift": Draw((rows,)), "order": Draw((rows, 3), "permutation")}


@dataclass(frozen=True)
class Tables(Dataset):
    """A data set of ``Table``."""

    table: tuple[tuple[int, ...], ...] = ((0, 0), (0, 1), (1, 0), (1, 1))
    pixel: float = 0.5
    name = "tables"
    shape = (1, 2, 2)

    @property
    def factors(self) -> Factors:
        return Factors(("a", "b"), (2, 2))

    @property
    def rows(self) -> int:
        return len(self.table)

    def open(self, root=None, device="cpu") -> Images:
        return Table(self.factors, [list(row) for row in self.table], self.pixel)


def test_index_of_a_set_in_another_order_or_with_gaps():
    levels = torch.tensor([[1, 1], [0, 0]])
    assert Tables().open().index(levels).tolist() == [3, 0]
    assert Tables(((1, 1), (1, 0), (0, 1), (0, 0))).open().index(levels).tolist() == [0, 3]
    gaps = Tables(((1, 1), (0, 0))).open()
    assert gaps.index(levels).tolist() == [0, 1]
    with pytest.raises(UserError, match=r"no image has {'a': 0, 'b': 1}: only 2 of 4"):
        gaps.index(torch.tensor([[0, 1]]))
    with pytest.raises(UserError, match="no factors"):
        Table(None, [[0, 0]]).index(levels)


def test_check_finds_what_is_wrong():
    lines = Tables().check()
    assert "4 images" in lines[0] and "inverse" in lines[1] and "none published" in lines[2]
    with pytest.raises(UserError, match=r"are not \(1, 2, 2\) in \[0, 1\]"):
        Tables(pixel=1.5).check()
    with pytest.raises(UserError, match="are not"):
        Tables(pixel=float("nan")).check()
    with pytest.raises(UserError, match="lead back"):
        Tables(((0, 0), (0, 0), (1, 0), (1, 1))).check()
    assert "levels lead to images that have them" in Tables(((0, 0), (0, 0))).check()

    class Marked(Tables):
        fingerprint = "0" * 64

    with pytest.raises(UserError, match="fingerprint"):
        Marked().check()


@pytest.mark.parametrize("noise", [0.0, 20.0])
def test_check_of_the_triangle(noise):
    assert "as expected" in Triangle(angle_noise=noise).check()[2]
