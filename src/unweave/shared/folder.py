"""The files of a shared model: bounded, inside their folder, whole or not there."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from unweave.shared.checks import LIBRARY
from unweave.store import StoreError
from unweave.store.files import as_json, write_all
from unweave.types import UserError

CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
EXTRAS = ("names.json", "scores.json", "ceilings.json", "explorer.json")
"""What may lie beside them, in the form that run folders have: names of latents, scores, limits, ranges of latents."""
FILES: Mapping[str, int] = {CONFIG: 1 << 18, WEIGHTS: 2 << 30, CARD: 1 << 20, **dict.fromkeys(EXTRAS, 8 << 20)}
"""Every file of a shared model and the most bytes that it may have. Whatever else lies in the folder is never read."""
TYPES = ("F16", "BF16", "F32", "F64")
"""Kinds of numbers that weights may be."""


class SharedFolder:
    """``README.md``, ``config.json``, ``model.safetensors`` and up to four more JSON files.

    Every file is looked at before it is read: a plain file of a bounded size that does not lead out of the folder. No
    file is unpickled or executed.

    >>> import tempfile, torch
    >>> folder = SharedFolder(tempfile.mkdtemp())
    >>> folder.write({"config.json": {"step": 3}}, {"w": torch.ones(2)}, "# A model")
    >>> folder.json("config.json")["step"], folder.tensors()["w"].tolist()
    (3, [1.0, 1.0])
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)

    def content(self, name: str) -> bytes:
        """The bytes of one of ``FILES``. Raises StoreError for anything but a plain file of a bounded size in here."""
        path = self.path / name
        try:
            real = path.resolve(strict=True)
            if not real.is_relative_to(self.path.resolve()):
                raise StoreError(f"{path} is a link that leaves its folder; allowed: the file itself")
            # Looked at before it is opened: to open a pipe would wait for somebody to write.
            if not stat.S_ISREG(real.stat().st_mode):
                raise StoreError(f"{path} is no plain file")
            with real.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                if size > FILES[name]:
                    raise StoreError(f"{path} has {size:,} bytes; allowed: {FILES[name]:,}")
                return file.read(size)
        except StoreError:
            raise
        except FileNotFoundError:
            raise StoreError(f"{path}: no such file; a shared model has {CONFIG} and {WEIGHTS}") from None
        except (OSError, RuntimeError) as error:  # RuntimeError: links that lead round in a circle
            raise StoreError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None

    def has(self, name: str) -> bool:
        """Whether there is such a file, or a link that is called so."""
        return os.path.lexists(self.path / name)

    def json(self, name: str) -> dict[str, Any]:
        """One of the JSON files as a dictionary. Raises StoreError when it is damaged, or holds NaN or infinity."""
        path = self.path / name

        def refuse(word: str) -> float:
            raise ValueError(f"it holds {word}, which is no number")

        try:
            found = json.loads(self.content(name).decode(), parse_constant=refuse)
        except StoreError:
            raise
        except (ValueError, RecursionError) as error:
            raise StoreError(f"cannot read {path}: damaged ({error})") from None
        if not isinstance(found, dict):
            raise StoreError(f"cannot read {path}: damaged (it holds a {type(found).__name__}, not an object)")
        return found

    def tensors(self, checksum: str | None = None) -> dict[str, Tensor]:
        """The weights by name. Raises StoreError for anything but a safetensors file of real numbers, or for another
        file than the one of this SHA-256."""
        path, content = self.path / WEIGHTS, self.content(WEIGHTS)
        try:
            found = load(content)
            header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        except (SafetensorError, ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
            raise StoreError(f"{path} is no safetensors file{_guess(content)} ({_short(error)})") from None
        kinds = {entry["dtype"] for name, entry in header.items() if name != "__metadata__"}
        if not kinds <= set(TYPES):
            raise StoreError(f"{path} holds {', '.join(sorted(kinds))}; allowed: {', '.join(TYPES)}")
        if checksum is not None and hashlib.sha256(content).hexdigest() != checksum:
            raise StoreError(f"{path} is not the file that {CONFIG} describes: its SHA-256 is another")
        return found

    def write(self, documents: Mapping[str, Any], tensors: Mapping[str, Tensor], card: str | None) -> None:
        """Write all files, each whole; those of an earlier model that this one lacks are removed.

        Args:
            documents: name of a JSON file -> its content; the configuration also gets the weights' checksum.
            tensors: the weights.
            card: the text of README.md; None leaves the one that is there.

        Raises:
            StoreError: a folder that holds something else, or a disk that refuses.
        """
        weights = save(dict(tensors), metadata={"format": "pt"})
        contents = {WEIGHTS: weights}
        described = {**documents, CONFIG: {**documents[CONFIG], "sha256": hashlib.sha256(weights).hexdigest()}}
        contents |= {name: as_json(values) for name, values in described.items()}
        if card is not None:
            contents[CARD] = card.encode()
        self.put(contents)

    def put(self, contents: Mapping[str, bytes]) -> None:
        """Write files by name, each whole, in place of the model that was there; see ``write``."""
        self.check_free()
        write_all({self.path / name: content for name, content in contents.items()}, flush=[self.path / CONFIG])
        for name in set(EXTRAS) - set(contents):
            with suppress(OSError):
                (self.path / name).unlink(missing_ok=True)

    def check_free(self) -> None:
        """Raises UserError unless the folder is new, empty, or a shared model's."""
        if self.path.exists() and not self.path.is_dir():
            raise UserError(f"{self.path} is no folder; allowed: a new folder, an empty one, or one of a shared model")
        inside = [one.name for one in self.path.iterdir()] if self.path.is_dir() else []
        if any(not name.startswith(".") for name in inside) and not self._ours():
            raise UserError(
                f"{self.path} holds other files ({', '.join(sorted(inside)[:3])}); allowed: a new folder, an empty "
                "one, or one of a shared model"
            )

    def _ours(self) -> bool:
        """Whether the configuration here is one of unweave's: other libraries' models have a file of this name too."""
        try:
            return self.json(CONFIG).get("library") == LIBRARY
        except StoreError:
            return False


def is_shared(path: Path | str) -> bool:
    """Whether a folder holds a shared model and no run."""
    folder = Path(path)
    return os.path.lexists(folder / CONFIG) and not (folder / "experiment.json").exists()


def is_both(path: Path | str) -> bool:
    """Whether a folder holds a run and a shared model: then a stranger's could pass for one's own."""
    folder = Path(path)
    return os.path.lexists(folder / CONFIG) and (folder / "experiment.json").exists()


def _guess(content: bytes) -> str:
    """What a file that is called model.safetensors may be instead."""
    if content[:1] == b"\x80" or content[:2] == b"PK":
        return (
            ": it looks like a pickle (a .bin or .pt file by another name), which could run programs and is never read"
        )
    return ""


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
