"""Every data set keeps the shipped contract, and the contract notices data sets that do not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from unweave.data import DATASETS, Images, Triangle
from unweave.testing import Dots, check_dataset
from unweave.testing.dots import DotsImages
from unweave.types import Draw


@pytest.mark.parametrize("name", [name for name, kind in DATASETS.items() if not kind.needs_files])
def test_every_data_set_keeps_the_contract(name: str) -> None:
    check_dataset(DATASETS[name]())


@pytest.mark.parametrize(
    "data", [Dots(), Dots(haze=0.5), Triangle(author_labels=True), Triangle(angle_noise=4.0)], ids=repr
)
def test_options_keep_the_contract(data: Any) -> None:
    check_dataset(data)


def drawing(change: Callable[[Tensor, Tensor], Tensor]) -> dict[str, Any]:
    def batch(self: DotsImages, rows: Tensor, draws: Mapping[str, Tensor]) -> Tensor:
        return change(DotsImages.batch(self, rows, draws), rows)

    return {"batch": batch}


BROKEN: dict[str, tuple[dict[str, Any], str]] = {
    "float64": (drawing(lambda x, rows: x.double()), "a batch is torch.float64"),
    "pixels of 255": (drawing(lambda x, rows: x * 255), r"has pixels outside \[0, 1\]"),
    "no channel": (drawing(lambda x, rows: x[:, 0]), "a batch has shape"),
    "normalised over the batch": (
        drawing(lambda x, rows: x * torch.linspace(0, 1, len(x))[:, None, None, None]),
        "other rows",
    ),
    "sorted rows": (drawing(lambda x, rows: x[rows.argsort()]), "other rows of its batch, or on their order"),
    "torch's generator": (
        drawing(lambda x, rows: x * torch.rand(())),
        "gives other images when asked a second time|random",
    ),
    "its own memory": (
        {"batch": lambda self, rows, draws: _view(self.table, rows)},
        "changing a batch changes the data set",
    ),
    "float levels": ({"levels": lambda self, rows: self.known[rows].float()}, "levels are torch.float32"),
    "levels from 1": ({"levels": lambda self, rows: self.known[rows] + 1}, "has levels outside the sizes"),
    "another numbering": (
        {"levels": lambda self, rows: self.known[31 - rows]},
        "rows are not numbered by their levels",
    ),
    "any level": (
        {"index": lambda self, levels: levels[:, 0] * 16 + levels[:, 1] * 4 + levels[:, 2]},
        "takes level -1",
    ),
    "a factor that does nothing": (
        {"batch": lambda self, rows, draws: _without_last(DotsImages.batch, self, rows, draws)},
        "changes nothing: 4 images look the same at all of its",
    ),
    "noise without rows": ({"noise": lambda self, rows: {"haze": Draw((8, 8), "uniform")}}, "rows must come first"),
}


def _without_last(
    batch: Callable[..., Tensor], images: DotsImages, rows: Tensor, draws: Mapping[str, Tensor]
) -> Tensor:
    """The images that rows would have with their last factor at its first level."""
    levels = images.levels(rows)
    levels[:, -1] = 0
    return batch(images, images.index(levels), draws)


def _view(table: Tensor, rows: Tensor) -> Tensor:
    """The table itself where all rows are asked for in order."""
    return table if torch.equal(rows, torch.arange(len(table))) else table[rows]


@pytest.mark.parametrize("changes, message", BROKEN.values(), ids=BROKEN)
def test_a_broken_data_set_is_noticed(changes: dict[str, Any], message: str) -> None:
    images = type("ChangedImages", (DotsImages,), changes)

    class Changed(Dots):
        __doc__ = Dots.__doc__

        def open(self, root: Any = None, device: Any = "cpu") -> Images:
            found: Images = images(self, torch.device(device))
            return found

    with pytest.raises(AssertionError, match=message) as caught:
        check_dataset(dataclass(frozen=True)(Changed)())
    assert "\n" not in str(caught.value)
