"""A data set in words: a name or a folder, then what becomes of it, as ``--data`` takes it.

``dsprites``, ``triangle:noisy``, ``dsprites:gaussian=pos_x,pos_y,0.2``, ``dsprites:without=shape=2,pos_x=16-31``,
``photos:grey:size=32``, ``shapes3d:train``. Steps are taken from left to right: a rule of ``STEPS`` or a setting of the
data set so far, ``name=value`` (``name`` alone switches one on).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Literal, TypeVar, get_args, get_origin, get_type_hints

from unweave.data.base import Dataset
from unweave.data.correlated import FORMS, Correlated
from unweave.data.folder import Folder
from unweave.data.formats.anyfile import SUFFIXES as PICTURES
from unweave.data.formats.arrays import SUFFIXES
from unweave.data.hugging_face import PARQUET, HuggingFace, saved
from unweave.data.own_array import ArrayFile
from unweave.data.split import PARTS, HeldOut, Split
from unweave.data.variants import Color, Noisy, Scream
from unweave.names import hint, known
from unweave.types import UserError

T = TypeVar("T")
STEPS: Mapping[str, str] = {
    "color": "color: shapes in colour",
    "noisy": "noisy: noise behind shapes",
    "scream": "scream or scream=PICTURE: a picture behind shapes",
    "gaussian": "gaussian=FACTOR,FACTOR,SIGMA: factors that follow each other",
    "band": "band=FACTOR,FACTOR,WIDTH: factors that follow each other, none far off",
    "without": "without=FACTOR=LEVELS,…: no images with these levels together (LEVELS: 2, 0-4 or 1+5)",
    "only": "only=FACTOR=LEVELS,…: these images alone",
    "train": "train, train=FRACTION or train=FRACTION,SEED: a random part, 0.9 of the images",
    "test": "test, test=FRACTION or test=FRACTION,SEED: the rest of them",
}
"""Every step and what it does."""
OWN = f"a folder of pictures, a file ending in {', '.join(SUFFIXES)} or {PARQUET}"


def spoken(text: str, table: Mapping[str, type[Dataset]]) -> Dataset:
    """The data set that a text describes.

    A name in ``table`` comes first, then what lies on the disk; a folder of the same name is ``./name``.

    Raises:
        UserError: an unknown name or step, or a step that does not fit.

    >>> from unweave.data import DATASETS
    >>> spoken("triangle:test=0.8", DATASETS)
    Split(of=Triangle(author_labels=False, angle_noise=0.0), part='test', fraction=0.8, seed=0)
    """
    start, steps = _start(text, table)
    found = start
    for step in steps:
        name, equals, value = step.partition("=")
        given = value if equals else None
        settings = {one.name.replace("_", "-"): one.name for one in fields(found)}
        if name in STEPS:
            found = _step(found, name, given, text)
        elif name in settings:
            found = _set(found, settings[name], given, f"{text}: {name}")
        else:
            allowed = [*STEPS, *(f"{setting}=…" for setting in settings)]
            near = hint(name, [*STEPS, *settings])
            raise UserError(f"{text}: unknown step {name!r}{near} (allowed: {', '.join(allowed)})")
    return found


def _start(text: str, table: Mapping[str, type[Dataset]]) -> tuple[Dataset, list[str]]:
    name, *steps = text.split(":")
    if name in table:
        return table[name](), steps
    # A colon may also be part of a path.
    parts = text.split(":")
    for count in range(len(parts), 0, -1):
        path = Path(":".join(parts[:count])).expanduser().absolute() if parts[0] else None
        if path is not None and (found := own(path)) is not None:
            return found, parts[count:]
    if Path(name).suffix.lower() in (*SUFFIXES, PARQUET):
        raise UserError(f"{name}: no such file; allowed: {OWN}, or one of {', '.join(table)}")
    if Path(text).is_file() and Path(text).suffix.lower() in PICTURES:
        raise UserError(f"{text}: a single picture; allowed: {OWN}, or one of {', '.join(table)}")
    if any(mark in name for mark in (os.sep, "/", "~")):
        raise UserError(f"{name}: no such folder; allowed: {OWN}, or one of {', '.join(table)}")
    if Path(name).is_file():
        raise UserError(f"{name}: a file of no kind that is read; allowed: {OWN}, or one of {', '.join(table)}")
    near = hint(name, [*table, *_beside(table)])
    raise UserError(f"unknown data set {name!r}{near} (allowed: {', '.join(table)}, or {OWN})")


def _beside(table: Mapping[str, type[Dataset]]) -> list[str]:
    """Folders and files of images in the current folder."""
    try:
        return sorted(
            one.name
            for one in Path().iterdir()
            if not one.name.startswith(".")
            and one.name not in table
            and (one.is_dir() or one.suffix.lower() in SUFFIXES)
        )
    except OSError:
        return []


def own(path: Path) -> Dataset | None:
    """The user's own images at a path; None where there are none.

    >>> own(Path("nowhere"))
    """
    if saved(path):
        return HuggingFace(path)
    if path.is_file() and path.suffix.lower() in SUFFIXES:
        return ArrayFile(path)
    return Folder(path) if path.is_dir() else None


def _step(of: Dataset, name: str, value: str | None, text: str) -> Dataset:
    where = f"{text}: {STEPS[name]}"
    if name == "color" and value is None:
        return Color(of)
    if name == "noisy" and value is None:
        return Noisy(of)
    if name == "scream":
        return Scream(of, None if value is None else Path(value).expanduser().absolute())
    if name in FORMS and value is not None:
        *names, width = value.split(",")
        return Correlated(of, tuple(names), name, _as(float, width, where))
    if name in ("without", "only") and value is not None:
        return HeldOut(of, (_combination(value, where),), "train" if name == "without" else "test")
    if name in PARTS:
        fraction, _, seed = (value or "0.9").partition(",")
        return Split(of, name, _as(float, fraction, where), _as(int, seed or "0", where))
    raise UserError(f"{where}; given: {name}{'' if value is None else f'={value}'}")


def _set(of: Dataset, name: str, value: str | None, where: str) -> Dataset:
    """A copy with one setting changed."""
    hint_ = get_type_hints(type(of))[name]
    if get_origin(hint_) is Literal:
        if value is None:
            raise UserError(f"{where}: needs a value; allowed: {', '.join(get_args(hint_))}")
        return replace(of, **{name: known(value, get_args(hint_), where)})
    kinds = [one for one in (get_args(hint_) or (hint_,)) if one in (bool, int, float, str, Path)]
    found: object
    if bool in kinds:
        if value not in (None, "yes", "no"):
            raise UserError(f"{where}; given: {value!r}; allowed: yes, no, or nothing for yes")
        found = value != "no"
    elif not kinds or value is None or not value:
        raise UserError(f"{where}: {'needs a value' if kinds else 'cannot be set in words'}")
    elif Path in kinds:
        beside = of.path if isinstance(of, Folder) else of.path.parent if isinstance(of, ArrayFile) else Path.cwd()
        found = beside / value if (beside / value).is_file() else Path(value).expanduser().absolute()
    elif get_origin(hint_) is tuple:
        found = tuple(value.split(","))
    else:
        found = _as(kinds[0], value, where)
    return replace(of, **{name: found})


def _combination(value: str, where: str) -> tuple[tuple[str, tuple[int, ...]], ...]:
    found = []
    for pair in value.split(","):
        factor, equals, levels = pair.partition("=")
        if not equals:
            raise UserError(f"{where}; given: {pair!r}")
        several: list[int] = []
        for part in levels.split("+"):
            low, dash, high = part.partition("-")
            first, last = _as(int, low, where), _as(int, high if dash else low, where)
            if not 0 <= first <= last <= 1_000_000:
                raise UserError(f"{where}; given: levels {part!r}")
            several += range(first, last + 1)
        found.append((factor, tuple(several)))
    return tuple(found)


def _as(kind: Callable[[str], T], text: str, where: str) -> T:
    try:
        return kind(text)
    except ValueError:
        what = {int: "; allowed: a whole number", float: "; allowed: a number"}.get(kind, "")  # type: ignore[call-overload]
        raise UserError(f"{where}; given: {text!r}{what}") from None
