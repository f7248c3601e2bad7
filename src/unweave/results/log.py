"""A run's record for other programs: TensorBoard's event files, written without it, and Weights & Biases."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from unweave.names import known
from unweave.results.table import Row, row
from unweave.store import RunFolder
from unweave.store.files import write
from unweave.types import UserError

FILE = "events.out.tfevents.0.unweave"
"""TensorBoard reads every file of such a name below its folder."""


def logger(name: str | None) -> Callable[[Path], object]:
    """What logs a run's folder: ``tensorboard``, ``wandb``, or nothing for None.

    Raises:
        UserError: another name, or Weights & Biases without its package.
    """
    if name is None:
        return lambda path: None
    if known(name, ("tensorboard", "wandb"), "log") == "tensorboard":
        return tensorboard
    try:
        import wandb
    except ImportError:
        raise UserError("--log wandb needs Weights & Biases, which is not installed: pip install wandb") from None
    return lambda path: to_wandb(wandb, path)


def scalars(path: Path) -> Iterator[tuple[int, str, float]]:
    """(step, name, value) of every term of the loss, and of all scores and measurements at the last step."""
    folder = RunFolder(path)
    table = folder.read_trace()
    steps = table.pop("step", [])
    for name, values in table.items():
        yield from ((int(step), f"loss/{name}", value) for step, value in zip(steps, values, strict=True))
    found: Row = row(path)
    for name, value in {**found.scores, **found.parts, **found.measured}.items():
        if isinstance(value, float) and not name.startswith("loss_"):
            yield int(found.head["step"]), f"scores/{name}", value


def tensorboard(path: Path) -> Path:
    """Write a run's record as an event file in its folder, in place of the one before; returns the file."""
    when = time.time()
    events = [_field(1, 1, struct.pack("<d", when)) + _text(3, "brain.Event:2")]
    for step, name, value in scalars(path):
        summary = _text(1, name) + _field(2, 5, struct.pack("<f", value))
        events.append(
            _field(1, 1, struct.pack("<d", when)) + _field(2, 0, _varint(step)) + _bytes(5, _bytes(1, summary))
        )
    write(path / FILE, b"".join(_record(event) for event in events))
    return path / FILE


def to_wandb(wandb: Any, path: Path) -> None:
    """Send a run's record to Weights & Biases as the run of its key, which may be there already."""
    found = row(path)
    config = {**found.head, **found.settings}
    run = wandb.init(project="unweave", id=str(found.head["key"]), resume="allow", config=config, reinit=True)
    steps: dict[int, dict[str, float]] = {}
    for step, name, value in scalars(path):
        steps.setdefault(step, {})[name] = value
    for step in sorted(steps):
        run.log(steps[step], step=step)
    run.finish()


def _record(data: bytes) -> bytes:
    """One record of the TFRecord format: length, its checksum, data, their checksum."""
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", _masked(length)) + data + struct.pack("<I", _masked(data))


def _masked(data: bytes) -> int:
    """CRC-32C, turned by 15 bits and shifted by a constant, as TFRecord stores it."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _table()[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


@cache
def _table() -> tuple[int, ...]:
    found = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
        found.append(byte)
    return tuple(found)


def _field(number: int, kind: int, content: bytes) -> bytes:
    """One field of a protocol buffer."""
    return _varint(number << 3 | kind) + content


def _bytes(number: int, content: bytes) -> bytes:
    return _field(number, 2, _varint(len(content)) + content)


def _text(number: int, text: str) -> bytes:
    return _bytes(number, text.encode())


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])
