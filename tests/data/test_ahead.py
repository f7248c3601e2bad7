"""Reading ahead changes nothing but the time it takes."""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from unweave import Experiment, train
from unweave.data import Color, Dataset, Factors, Images, Noisy, Scream, Split
from unweave.data import part as part_module
from unweave.data import stored as stored_module
from unweave.data.ahead import KEPT, Ahead, Pages
from unweave.data.stored import StoredImages, Table
from unweave.networks import MLP

ROWS = 48


@dataclass(frozen=True)
class Kept(Dataset):
    """Random pictures of one channel, in a file that is mapped, or in memory."""

    path: Path
    mapped: bool = True
    name = "kept"
    shape = (1, 8, 8)

    @property
    def factors(self) -> Factors:
        return Factors(("a", "b", "c"), (4, 4, 3))

    @property
    def rows(self) -> int:
        return ROWS

    def open(self, root: Path | None = None, device: torch.device | str = "cpu") -> Images:
        pixels = np.load(self.path, mmap_mode="r" if self.mapped else None)
        return StoredImages(Table(pixels), self.factors, "kept", torch.device(device))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).integers(0, 256, (ROWS, 8, 8, 1), dtype=np.uint8))
    return tmp_path / "x.npy"


class Noted:
    """Reads ten times the rows, and notes which were read, and by which thread."""

    def __init__(self) -> None:
        self.read: list[list[int]] = []
        self.threads: set[str] = set()

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        self.read.append(rows.tolist())
        self.threads.add(threading.current_thread().name)
        return rows * 10


def test_what_was_begun_is_read_once_and_by_another_thread() -> None:
    noted = Noted()
    ahead = Ahead(noted)
    for first in (1, 5, 9):
        ahead.begin(torch.tensor([first, first + 1]))
    for first in (5, 1, 9):
        assert ahead.take(torch.tensor([first, first + 1])).tolist() == [10 * first, 10 * first + 10]
    assert noted.read == [[1, 2], [5, 6], [9, 10]] and ahead.begun == {}
    assert threading.current_thread().name not in noted.threads
    assert ahead.take(torch.tensor([2, 1], dtype=torch.int32)).tolist() == [20, 10]
    assert threading.current_thread().name in noted.threads, "what was not begun is read at once"


def test_two_models_of_the_same_order_take_their_own() -> None:
    ahead = Ahead(lambda rows: rows.clone())
    for _ in range(2):
        ahead.begin(torch.tensor([3]))
    one, two = (ahead.take(torch.tensor([3])) for _ in range(2))
    one += 1
    assert two.tolist() == [3] and ahead.begun == {}


def test_no_more_is_kept_than_allowed_and_what_went_is_read_again() -> None:
    noted = Noted()
    ahead = Ahead(noted)
    for row in range(KEPT + 3):
        ahead.begin(torch.tensor([row]))
    assert len(ahead.begun) == KEPT
    for row in range(KEPT + 3):
        assert ahead.take(torch.tensor([row])).tolist() == [10 * row]
    assert [noted.read.count([row]) for row in (0, 2, 3)] == [2, 2, 1]


def test_what_reading_raises_is_raised_where_it_is_asked_for() -> None:
    def refuse(rows: torch.Tensor) -> torch.Tensor:
        raise OSError("the disk is gone")

    ahead = Ahead(refuse)
    ahead.begin(torch.tensor([1]))
    with pytest.raises(OSError, match="the disk is gone"):
        ahead.take(torch.tensor([1]))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_process_reads_for_itself() -> None:
    ahead = Ahead(lambda rows: rows * 10)
    ahead.begin(torch.tensor([1]))
    ahead.take(torch.tensor([1]))
    ahead.begin(torch.tensor([2]))
    pid = os.fork()
    if pid == 0:
        ahead.begin(torch.tensor([4]))
        found = [ahead.take(torch.tensor([row])).item() for row in (2, 4)]
        os._exit(0 if found == [20, 40] else 1)
    assert os.waitpid(pid, 0)[1] == 0


def trained(data: Dataset, method: str = "beta-vae", **settings: object) -> list[float]:
    one = Experiment(method, data, network=MLP((4,)), batch=7, steps=15, latents=2, **settings)
    terms = [snapshot.terms["total"] for snapshot in train(one, every=5, device="cpu")]
    return torch.cat(terms, 1).flatten().tolist()


@pytest.mark.parametrize("kind", ["itself", "part", "color", "noisy", "scream"])
@pytest.mark.parametrize("method", ["beta-vae", "ada-gvae"])
def test_training_is_the_same_bit_for_bit(kind: str, method: str, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part_module, "HELD", 0)  # or a part this small would be kept in memory
    wrap = {"itself": lambda d: d, "part": lambda d: Split(d, fraction=0.7), "color": Color, "noisy": Noisy}
    make = {**wrap, "scream": Scream}[kind]
    fetched, inner = [], stored_module._fetch

    def fetch(*given: object) -> torch.Tensor:
        fetched.append(threading.current_thread().name)
        return inner(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(stored_module, "_fetch", fetch)
    streamed = trained(make(Kept(path)), method)
    views = 2 if method == "ada-gvae" else 1
    assert sum(name.startswith("ahead") for name in fetched) >= 15 * views - views, "all but the first step's"
    assert trained(make(Kept(path, mapped=False)), method) == streamed


def test_rows_that_do_not_exist_are_refused_also_when_begun(path: Path) -> None:
    images = Kept(path).open()
    images.ahead(torch.tensor([ROWS]))
    with pytest.raises(IndexError, match="allowed are 0 to 47"):
        images.batch(torch.tensor([ROWS]), {})


def test_a_small_part_is_held_in_memory_and_streams_no_more(path: Path) -> None:
    images = Split(Kept(path), fraction=0.7).open()
    assert images.streams
    images.batch(torch.tensor([0]), {})
    assert not images.streams and isinstance(images, Images)


def test_a_set_in_memory_does_not_stream(path: Path) -> None:
    draws: Mapping[str, torch.Tensor] = {}
    one, two = Kept(path).open(), Kept(path, mapped=False).open()
    assert (one.streams, two.streams) == (True, False)
    rows = torch.tensor([5, 1, 5])
    for images in (one, two):
        images.ahead(rows)
    assert torch.equal(one.batch(rows, draws), two.batch(rows, draws))


@pytest.mark.parametrize("fits", [True, False])
def test_a_card_holds_what_fits_and_is_sent_the_rest(fits: bool, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the one device without memory that is everywhere: only where things go can be seen there."""
    asked = []
    monkeypatch.setattr(stored_module, "fits", lambda size, device: asked.append((size, device.type)) or fits)
    images = Kept(path).open(device="meta")
    assert asked == [(ROWS * 64, "meta")] and images.streams != fits
    assert (images.card is not None) == fits and (not fits or images.card.device.type == "meta")
    if not fits:
        images.ahead(torch.tensor([1, 2]))
        x = images.batch(torch.tensor([1, 2]), {})
        assert x.device.type == "meta" and x.shape == (2, 1, 8, 8) and x.dtype == torch.float32


@pytest.mark.parametrize("shift", [0, 3])
def test_pages_are_those_of_the_rows(shift: int, tmp_path: Path) -> None:
    """A row of 5,000 bytes in a file with a header: what is asked for begins on a page and holds the whole row."""
    np.save(tmp_path / "x.npy", np.zeros((9, 50, 100), np.uint8))
    table = np.load(tmp_path / "x.npy", mmap_mode="r")[shift:][..., None]
    header = (tmp_path / "x.npy").stat().st_size - 45_000
    pages, asked = Pages(table), []
    if pages.map is None:
        pytest.skip("this system cannot be told")

    class Map:
        def madvise(self, what: int, start: int, length: int) -> None:
            asked.append((what, start, length))

    pages.map.madvise(mmap.MADV_WILLNEED, 0, 4096)
    pages.map = Map()  # type: ignore[assignment]
    pages.want(np.array([5, 0]))
    for (what, start, length), row in zip(asked, (5, 0), strict=True):
        first = header + (row + shift) * 5000
        assert what == mmap.MADV_WILLNEED and start % mmap.PAGESIZE == 0
        assert start <= first < start + mmap.PAGESIZE and start + length == first + 5000


def test_pages_of_what_is_not_mapped_or_not_in_order_are_not_asked_for(path: Path) -> None:
    mapped = np.load(path, mmap_mode="r")
    for table in (np.array(mapped), mapped[::2], mapped.transpose(0, 3, 1, 2)[:, :, ::2]):
        Pages(table).want(np.array([0, 1]))
        assert Pages(table).map is None
