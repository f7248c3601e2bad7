"""The user's own images: a folder of pictures, decoded once, with their factors from a table if there is one."""

from __future__ import annotations

import os
import re
import stat
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from unweave.data.base import Dataset, Images, paths
from unweave.data.cache import Cache, Piece, Recipe, Tell, prepare, prepared, verify
from unweave.data.factors import Factors
from unweave.data.formats.anyfile import FITS, SUFFIXES, Broken, Look, image_of, stacked
from unweave.data.labels import read_labels
from unweave.data.stored import StoredImages, Table, dark, in_order, place, shared
from unweave.names import known
from unweave.types import UserError

AT_ONCE = 256
"""Pictures decoded for one piece of the cache."""
SIDES = (4, 1024)
MOST = 20_000_000
"""Files in a folder beyond which something else is meant."""
SHOWN = 5
OTHERS = (
    *(".bmp", ".gif", ".heic", ".heif", ".avif", ".jxl", ".jp2", ".svg", ".pgm", ".ppm", ".dng", ".cr2", ".nef"),
    *(".dcm", ".nd2", ".czi", ".lif", ".mp4", ".mov", ".avi"),
)
"""Endings of files that hold pictures in a form that is not read here."""
STACKED = (".tif", ".tiff", ".webp", ".png")
"""Endings of files that may hold several pictures."""
OPENED = 50
"""Of those, how many are opened to see, evenly over the folder."""
NUMBERED = re.compile(r"picture (\d+), ")


class Listing(NamedTuple):
    """The pictures of a folder, sorted by name."""

    names: tuple[str, ...]
    """Relative to the folder, with / between the parts."""
    states: tuple[tuple[int, int], ...]
    """Size and time of change."""


@dataclass(frozen=True)
class Folder(Dataset):
    """A folder of pictures (PNG, JPEG, WebP, TIFF), those in folders inside it included, in the order of their names.

    They are decoded once, into a table on disk that is then mapped into memory; a decoding that is stopped goes on
    later. When a picture is added, removed or changed, all are decoded anew. Files with other endings, and files and
    folders whose names begin with a dot, are no pictures.

    Implementation details: pictures of 16 bits become 8 (divided by 257), palettes become colours, transparent parts
    white, and the orientation that a camera notes (EXIF) is undone. Pictures are resized with Lanczos'
    filter. Those of more than 89 million pixels (Pillow's limit) count as broken.

    Args:
        path: the folder.
        size: height and width of the images.
        fit: what of a picture is shown: ``crop``, the largest square in its middle; ``pad``, all of it between black
            bars; ``stretch``, all of it, squashed to a square.
        grey: one channel instead of three.
        labels: a table of factors (CSV): a column ``file`` with names relative to the folder, and one column a factor.
            Relative paths are looked for in the folder first. Without it there are no factors.
        skip_broken: leave out pictures that cannot be used, instead of stopping with a list of them.

    Raises:
        UserError: from ``rows``, ``factors`` and ``open``: no such folder, no pictures, broken pictures, a table that
            does not fit them, no room for the decoded images.

    >>> import tempfile
    >>> from PIL import Image
    >>> place = Path(tempfile.mkdtemp())
    >>> Image.new("RGB", (30, 20), "red").save(place / "one.png")
    >>> images = Folder(place, size=32).open()
    >>> images.batch(torch.tensor([0]), {}).mean((2, 3)).tolist()
    [[1.0, 0.0, 0.0]]
    """

    path: Path
    size: int = 64
    fit: str = "crop"
    grey: bool = False
    labels: Path | None = None
    skip_broken: bool = False

    name: ClassVar[str] = "folder"
    likelihood: ClassVar[str] = "squared"
    licence: ClassVar[str] = "the user's own images"
    needs_files: ClassVar[bool] = True
    loose: ClassVar[bool] = True

    def __post_init__(self) -> None:
        paths(self, "path", "labels")

    @property
    def shape(self) -> tuple[int, int, int]:  # type: ignore[override]
        """One or three channels, size × size."""
        return 1 if self.grey else 3, self.size, self.size

    @property
    def factors(self) -> Factors | None:
        """Columns of the table; their levels are the different values, in order."""
        return None if self.labels is None else self._labelled(*self._decoded())[0]

    @property
    def rows(self) -> int:
        """Number of pictures that can be used; known when they have been decoded, which is done now if need be."""
        return len(self._decoded()[1].images)

    @property
    def names(self) -> tuple[str, ...]:
        """The pictures that can be used, relative to the folder, in the order of the rows."""
        listing, cache = self._decoded()
        names = _told_apart(listing, cache)[0]
        if self.labels is None:
            return tuple(names)
        factors, levels = self._labelled(listing, cache)
        order = in_order(levels, factors)
        return tuple(names if order is None else [names[place] for place in order])

    def find(self, root: Path | None = None) -> Path | None:
        """The folder, if it is there."""
        return self.path if self.path.is_dir() else None

    def prepare(self, root: Path | None = None, tell: Tell | None = None) -> Path | None:
        """Decode the pictures, unless that is done, and say which could not be used."""
        _, cache = self._decoded(tell)
        if cache.notes and tell is not None:
            tell(f"{self.path}: {some(cache.notes)}")
        return cache.folder

    def remarks(self, root: Path | None = None) -> dict[str, Any]:
        """``notes``: which pictures and kinds of files are left out, and why; ``doubts``: that all is nearly black."""
        listing, cache = self._decoded()
        notes = [*cache.notes, *_passed_over(self.path), *_stacks(self.path, listing.names)]
        return {"notes": notes, "doubts": dark(cache.images)}

    def open(self, root: Path | None = None, device: torch.device | str = "cpu") -> Images:
        """The images; ``root`` is not used."""
        listing, cache = self._decoded()
        factors = self.factors  # a table that cannot be read is told before anything is looked up by it

        def make() -> Table:
            return Table(cache.images, None if self.labels is None else self._labelled(listing, cache)[1])

        files = [cache.folder / "images.npy", *([self.labels_file] if self.labels_file else [])]
        left = f", {len(cache.notes)} broken pictures left out" if cache.notes else ""
        source = f"{self.path}, {len(cache.images):,} pictures{left}"
        table = shared(files, (self, "folder"), make)
        order = in_order(table.levels, factors)
        return StoredImages(table, factors, source, torch.device(device), order)

    def check(self, root: Path | None = None) -> list[str]:
        """Compares the decoded images with the checksums taken when they were made.

        Raises:
            UserError: one line that says what is wrong.
        """
        listing, cache = self._decoded()
        verify(cache)
        factors = self.factors
        told = "no factors" if factors is None else ", ".join(map(str.__add__, factors.names, _sizes(factors)))
        found = f"{len(cache.images):,} of {len(listing.names):,} pictures can be used"
        return [f"{self.path}: {found}", *cache.notes, told, f"{cache.folder}: as it was written"]

    def _decoded(self, tell: Tell | None = None) -> tuple[Listing, Cache]:
        known(self.fit, FITS, "fit")
        if not SIDES[0] <= self.size <= SIDES[1]:
            raise UserError(f"folder: size = {self.size}; allowed: {SIDES[0]} to {SIDES[1]} pixels")
        listing = pictures(self.path)
        look = Look(self.size, self.fit, self.grey)

        def pieces(start: int) -> Iterator[Piece]:
            return decoded(self.path, listing.names, look, start)

        how = {"at": place(self.path), "look": list(look), "names": listing.names, "states": listing.states}
        recipe = Recipe("folder", how, len(listing.names), look.shape, pieces)
        cache = prepared(recipe) or prepare(recipe, tell)
        if cache.notes and not self.skip_broken:
            raise UserError(
                f"{self.path}: {some(cache.notes)}; allowed: pictures that can be read, or skip_broken (with --data: "
                f"{self.path}:skip-broken) to leave these out"
            )
        return listing, cache

    @property
    def labels_file(self) -> Path | None:
        """Where ``labels`` lie: in the folder, else as given."""
        inside = self.path / (self.labels or "")
        return inside if inside.is_file() else self.labels

    def _labelled(self, listing: Listing, cache: Cache) -> tuple[Factors, NDArray[np.int64]]:
        return read_labels(self.labels_file or Path(), *_told_apart(listing, cache))


def pictures(path: Path) -> Listing:
    """The picture files under a folder; links to folders are not followed.

    Raises:
        UserError: no folder, none that may be read, no pictures in it, or a name that no table of codes can hold.
    """
    if not path.is_dir():
        raise UserError(f"{path}: {'no folder' if path.exists() else 'no such folder'}; allowed: a folder of pictures")

    def refuse(error: OSError) -> None:
        raise UserError(f"{error.filename}: cannot be read ({error.strerror})") from None

    found: list[tuple[str, tuple[int, int]]] = []
    base = os.path.join(str(path), "")  # noqa: PTH118
    for here, file in _visible(base, refuse):
        if not file.lower().endswith(SUFFIXES):
            continue
        full = os.path.join(here, file)  # noqa: PTH118  (a Path for each of many files takes seconds)
        try:
            state = os.stat(full)  # noqa: PTH116
        except OSError:
            continue  # a link to nowhere, or removed a moment ago
        if not stat.S_ISREG(state.st_mode):
            continue  # a pipe would be waited for
        found.append((full.removeprefix(base).replace(os.sep, "/"), (state.st_size, state.st_mtime_ns)))
        if len(found) > MOST:
            raise UserError(f"{path}: more than {MOST:,} pictures; allowed: a folder inside it")
    if not found:
        others = "".join(f"; {told}" for told in _passed_over(path))
        raise UserError(f"{path}: no pictures in it; allowed: files ending in {', '.join(SUFFIXES)}{others}")
    for name, _ in found:
        try:
            name.encode()
        except UnicodeEncodeError:
            shown = name.encode(errors="backslashreplace").decode()
            raise UserError(f"{path}: the name {shown} is not UTF-8; allowed: UTF-8, so rename it") from None
    found.sort()
    return Listing(tuple(name for name, _ in found), tuple(state for _, state in found))


def _visible(path: Path | str, refuse: Callable[[OSError], None] | None = None) -> Iterator[tuple[str, str]]:
    """(folder, name) of every file under a folder but those with a dot before their name or their folder's."""
    for here, folders, files in os.walk(path, onerror=refuse):
        folders[:] = [one for one in folders if not one.startswith(".")]
        yield from ((here, file) for file in files if not file.startswith("."))


def _passed_over(path: Path) -> list[str]:
    """A line on files that hold pictures too, in a form that is not read; none where there are none."""
    endings = (os.path.splitext(file)[1].lower() for _, file in _visible(path))  # noqa: PTH122  (see pictures)
    counts = Counter(ending for ending in endings if ending in OTHERS)
    if not counts:
        return []
    found = ", ".join(f"{count:,} {ending}" for ending, count in counts.most_common())
    return [f"files of other kinds, which are not read: {found}"]


def _stacks(path: Path, names: tuple[str, ...]) -> list[str]:
    """A line on files that hold several pictures, of some looked at; none where each holds one."""
    able = [name for name in names if name.lower().endswith(STACKED)]
    looked = [able[place] for place in np.unique(np.linspace(0, len(able) - 1, OPENED).astype(int))] if able else []
    several = [name for name in looked if stacked(path / name)]
    if not several:
        return []
    return [
        f"{len(several):,} of {len(looked):,} files looked at hold several pictures (pages, frames), as {several[0]}: "
        "only the first of each is read"
    ]


def decoded(path: Path, names: tuple[str, ...], look: Look, start: int) -> Iterator[Piece]:
    """Pictures from the ``start``-th on as images, by as many threads as there are processors; broken ones as notes."""

    def one(name: str) -> NDArray[np.uint8] | str:
        try:
            return image_of(path / name, look)
        except Broken as why:
            return str(why)

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1), "decode") as pool:
        for first in range(start, len(names), AT_ONCE):
            these = names[first : first + AT_ONCE]
            # Pillow warns of oddities in files that it reads all the same. Here, as filters belong to no thread.
            with warnings.catch_warnings(action="ignore"):
                found = list(pool.map(one, these))
            images = [image for image in found if not isinstance(image, str)]
            notes = [
                f"picture {first + place + 1}, {these[place]}: {why}"
                for place, why in enumerate(found)
                if isinstance(why, str)
            ]
            stacked = np.stack(images) if images else np.empty((0, *look.shape), np.uint8)
            yield Piece(stacked, first + len(these), tuple(notes))


def some(notes: tuple[str, ...]) -> str:
    """How many pictures are broken, and what is said of the first few."""
    more = f"; and {len(notes) - SHOWN:,} more" if len(notes) > SHOWN else ""
    return f"{len(notes):,} broken pictures: {'; '.join(notes[:SHOWN])}{more}"


def _told_apart(listing: Listing, cache: Cache) -> tuple[list[str], list[str]]:
    """The names of the pictures that can be used, and of those that cannot."""
    broken = {int(found[1]) - 1 for note in cache.notes if (found := NUMBERED.match(note))}
    names = [name for place, name in enumerate(listing.names) if place not in broken]
    return names, [listing.names[place] for place in sorted(broken)]


def _sizes(factors: Factors) -> list[str]:
    return [f" {size}" for size in factors.sizes]
