"""What is written for TensorBoard is read back by a reader written here; what is sent to Weights & Biases is what was
recorded."""

from __future__ import annotations

import struct
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from job.kinds import Spread, training
from unweave.job import Terms
from unweave.results import logger
from unweave.results.log import FILE, _masked, scalars
from unweave.store import RunFolder
from unweave.types import UserError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("logged")
    job = training((), (Spread(), Terms()), data="triangle", steps=300)
    job.run(out)
    return out / job.home


def fields(data: bytes) -> list[tuple[int, Any]]:
    """The fields of a protocol buffer: numbers, 8 or 4 bytes, or content."""
    found: list[tuple[int, Any]] = []
    place = 0

    def number() -> int:
        nonlocal place
        value, shift = 0, 0
        while True:
            byte = data[place]
            place += 1
            value |= (byte % 128) << shift
            shift += 7
            if byte < 128:
                return value

    while place < len(data):
        tag = number()
        if tag % 8 == 0:
            found.append((tag // 8, number()))
            continue
        size = {1: 8, 5: 4}.get(tag % 8) or number()
        found.append((tag // 8, data[place : place + size]))
        place += size
    return found


def crc32c(data: bytes) -> int:
    """Bit by bit: the remainder modulo the Castagnoli polynomial, bits reflected."""
    crc = 0xFFFFFFFF
    for byte in data:
        for bit in range(8):
            odd = (crc ^ (byte >> bit)) & 1
            crc = (crc >> 1) ^ (0x82F63B78 if odd else 0)
    return crc ^ 0xFFFFFFFF


def events(content: bytes) -> list[dict[int, Any]]:
    found = []
    while content:
        (size,) = struct.unpack("<Q", content[:8])
        data = content[12 : 12 + size]
        for part, stored in ((content[:8], content[8:12]), (data, content[12 + size : 16 + size])):
            crc = crc32c(part)
            assert struct.unpack("<I", stored)[0] == ((crc >> 15 | crc << 17) + 0xA282EAD8) % 2**32
        found.append(dict(fields(data)))
        content = content[16 + size :]
    return found


def test_the_checksum_is_the_published_one() -> None:
    assert crc32c(b"123456789") == 0xE3069283
    crc = (_masked(b"123456789") - 0xA282EAD8) % 2**32
    assert (crc << 15 | crc >> 17) % 2**32 == 0xE3069283


def test_tensorboard_files_hold_the_record(folder: Path) -> None:
    logger("tensorboard")(folder)
    first, *rest = events((folder / FILE).read_bytes())
    assert first[3] == b"brain.Event:2" and struct.unpack("<d", first[1])[0] > 1e9
    found = []
    for one in rest:
        value = dict(fields(dict(fields(one[5]))[1]))
        found.append((one[2], value[1].decode(), struct.unpack("<f", value[2])[0]))
    wanted = list(scalars(folder))
    assert [one[:2] for one in found] == [one[:2] for one in wanted]
    assert [one[2] for one in found] == pytest.approx([one[2] for one in wanted], rel=1e-6)
    trace = RunFolder(folder).read_trace()
    kl = [value for _, name, value in wanted if name == "loss/kl"]
    assert kl == trace["kl"] and (300, "loss/kl", trace["kl"][-1]) in wanted
    assert [(step, name) for step, name, _ in wanted if name.startswith("scores/")] == [(300, "scores/spread1")]


def test_weights_and_biases_get_the_record(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    run = SimpleNamespace(log=lambda values, step: calls.append((step, values)), finish=lambda: calls.append("end"))

    def init(**more: Any) -> Any:
        calls.append(more)
        return run

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=init))
    logger("wandb")(folder)
    assert calls[0]["id"] == folder.name and calls[0]["resume"] == "allow" and calls[0]["config"]["method"] == "vae"
    assert [one[0] for one in calls[1:-1]] == list(range(1, 301)) and calls[-1] == "end"
    assert calls[-2][1].keys() >= {"loss/kl", "scores/spread1"}


def test_what_cannot_be_logged_to(monkeypatch: pytest.MonkeyPatch) -> None:
    assert logger(None)(Path()) is None
    with pytest.raises(UserError, match="unknown log 'tensorbord' — did you mean 'tensorboard'"):
        logger("tensorbord")
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(UserError, match="not installed: pip install wandb"):
        logger("wandb")
