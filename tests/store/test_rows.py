"""Rows that are added for good, and arrays: nothing half-written is ever read."""

from __future__ import annotations

import errno
import io
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from unweave.store import RunFolder, StoreError
from unweave.store import folder as module
from unweave.types import UserError


def test_rows_are_added_and_read_in_order(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "a")
    assert folder.rows() == []
    for place in range(3):
        folder.append({"place": place, "β": [1.5, None]})
    assert [row["place"] for row in folder.rows()] == [0, 1, 2] and folder.rows()[0]["β"] == [1.5, None]


@pytest.mark.parametrize("torn", ['{"place": 1', '{"place": 1}', "\x00\x00", "{"])
def test_what_a_killed_writer_left_is_passed_over_and_cut_off(torn: str, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.append({"place": 0})
    with folder.rows_path.open("a") as file:
        file.write(torn)
    assert folder.rows() == [{"place": 0}]
    folder.append({"place": 2})
    assert folder.rows() == [{"place": 0}, {"place": 2}]
    folder.rows_path.write_text(torn)
    assert folder.rows() == []
    folder.append({"place": 3})
    assert folder.rows() == [{"place": 3}]


def test_a_disk_that_refuses_keeps_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = RunFolder(tmp_path)
    folder.append({"place": 0})

    def refuse(number: int) -> None:
        raise OSError(errno.ENOSPC, "it refuses")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StoreError, match=r"cannot write .*rows\.jsonl: it refuses"):
        folder.append({"place": 1})
    monkeypatch.undo()
    assert folder.rows() == [{"place": 0}] and folder.rows_path.read_text() == '{"place": 0}\n'


@pytest.mark.parametrize("line", ["[1]", "{", "3", '{"a": }'])
def test_a_damaged_row_in_between_is_one_line(line: str, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.rows_path.write_text('{"a": 1}\n' + line + '\n{"a": 2}\n')
    with pytest.raises(StoreError, match=r"cannot read .*rows\.jsonl: damaged") as caught:
        folder.rows()
    assert "\n" not in str(caught.value)


def test_arrays_and_back(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    arrays = {"a b.c": np.arange(6.0).reshape(2, 3), "mask": np.array([True]), "bytes": np.zeros((0, 2), np.uint8)}
    folder.write_arrays("some", arrays)
    found = folder.read_arrays("some")
    assert found.keys() == arrays.keys()
    assert all(found[n].dtype == a.dtype and np.array_equal(found[n], a) for n, a in arrays.items())


def test_arrays_that_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = RunFolder(tmp_path)
    with pytest.raises(UserError, match="array 'a' has dtype object; allowed: numbers"):
        folder.write_arrays("some", {"a": np.array([print])})
    assert list(tmp_path.iterdir()) == []
    content = io.BytesIO()
    np.savez(content, a=np.array([print]))  # pickled: an array of another program's making
    bad: dict[str, Any] = {"pickled": content.getvalue(), "cut": content.getvalue()[:40], "empty": b"", "text": b"a"}
    for name, value in bad.items():
        (tmp_path / f"{name}.npz").write_bytes(value)
        with pytest.raises(StoreError, match=rf"cannot read .*{name}\.npz"):
            folder.read_arrays(name)
    with pytest.raises(StoreError, match="No such file"):
        folder.read_arrays("missing")
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**15,)})
    with zipfile.ZipFile(tmp_path / "huge.npz", "w") as packed:
        packed.writestr("a.npy", header.getvalue())
    with pytest.raises(StoreError, match=r"cannot read .*huge\.npz"):
        folder.read_arrays("huge")
    with zipfile.ZipFile(tmp_path / "large.npz", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("a.npy", b"\0" * 100_000)
    monkeypatch.setattr(module, "LARGEST_ARRAYS", 99_999)
    with pytest.raises(StoreError, match="larger than"):
        folder.read_arrays("large")
