"""Files that are whole or not there."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from unweave.store import StoreError, read_json, write_json, write_text
from unweave.store import files as module
from unweave.store.files import read_text, sweep, write, write_all


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "a.json"
    write_json(path, {"β": [1, 2.5, None, "é"]})
    assert read_json(path) == {"β": [1, 2.5, None, "é"]}
    write_text(path, "über\n")
    assert read_text(path) == "über\n" and path.read_bytes() == "über\n".encode()
    assert [file.name for file in path.parent.iterdir()] == ["a.json"]


def test_permissions_are_those_of_any_new_file(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        write_text(tmp_path / "a", "x")
        (tmp_path / "b").write_text("x")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == stat.S_IMODE((tmp_path / "b").stat().st_mode) == 0o640


@pytest.mark.parametrize("step", ["open", "write", "fsync", "replace"])
def test_a_disk_that_refuses_leaves_the_old_file(step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def refuse(*given: Any, **more: Any) -> Any:
        raise OSError(errno.EROFS if step == "open" else errno.ENOSPC, "it refuses")

    if step in ("open", "replace"):
        monkeypatch.setattr(Path, step, refuse)
    elif step == "fsync":
        monkeypatch.setattr(os, "fsync", refuse)
    else:
        monkeypatch.setattr(module.os, "getpid", lambda: "x" * 300)
    with pytest.raises(StoreError, match=r"cannot write .*a\.txt: (it refuses|File name too long)") as caught:
        write_text(path, "new")
    monkeypatch.undo()
    assert "\n" not in str(caught.value) and "untouched" in str(caught.value)
    assert path.read_text() == "old" and [file.name for file in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize("failing", [1, 2, 3])
def test_when_one_of_several_cannot_be_flushed_all_stay(
    failing: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = {tmp_path / name: name.encode() for name in ("a", "b", "c")}
    write_all(old)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == old
    flushed: list[int] = []

    def refuse(handle: int) -> None:
        flushed.append(handle)
        if len(flushed) == failing:
            raise OSError(errno.ENOSPC, "it refuses")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(StoreError, match=r"cannot write .*: it refuses"):
        write_all(dict.fromkeys(old, b"new"), flush=old)
    monkeypatch.undo()
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == old


def test_several_are_moved_into_place_in_order_after_all_are_flushed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    did: list[str] = []
    flush, move = os.fsync, Path.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (did.append("flush"), flush(handle)))
    monkeypatch.setattr(Path, "replace", lambda self, to: (did.append(to.name), move(self, to))[1])
    both = {tmp_path / "b": b"1", tmp_path / "a": b"2"}
    write_all(both, flush=both)
    assert did == ["flush", "flush", "b", "a", "flush"]
    did.clear()
    write_all(both, flush=[tmp_path / "a"])
    assert did == ["flush", "b", "a", "flush"]
    did.clear()
    write_all({tmp_path / "c": b"3"})
    assert did == ["c"] and (tmp_path / "c").read_bytes() == b"3"


def test_a_file_size_limit_of_the_system(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    path = tmp_path / "a.txt"
    write_text(path, "old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, hard))
    try:
        with pytest.raises(StoreError, match="File too large"):
            write(path, b"x" * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_text() == "old" and [file.name for file in tmp_path.iterdir()] == ["a.txt"]


def test_a_folder_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="cannot write"):
        write_text(tmp_path / "file" / "a", "x")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "kept").write_text("x")
    with pytest.raises(StoreError, match="cannot write"):
        write_text(tmp_path / "folder", "x")
    assert not list(tmp_path.glob(".*.part"))


@pytest.mark.parametrize(
    "content, message",
    [
        (b"{", "damaged"),
        (b"\xff\xfe{}", "damaged"),
        (b"[" * 100_000, "damaged"),
        (b"", "damaged"),
        (b"{} {}", "damaged"),
    ],
)
def test_damaged_json(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(StoreError, match=rf"cannot read .*a\.json: {message}") as caught:
        read_json(tmp_path / "a.json")
    assert "\n" not in str(caught.value)


def test_json_that_is_not_there_or_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StoreError, match=r"cannot read .*: No such file"):
        read_json(tmp_path / "a.json")
    with pytest.raises(StoreError, match=r"cannot read .*: Is a directory"):
        read_json(tmp_path)
    monkeypatch.setattr(module, "LARGEST_TEXT", 10)
    (tmp_path / "b.json").write_text(json.dumps(list(range(100))))
    with pytest.raises(StoreError, match="larger than"):
        read_json(tmp_path / "b.json")


def test_what_killed_writers_left_is_swept(tmp_path: Path) -> None:
    for name in (".a.json.12-ab.part", "a.json", "b.part", ".part"):
        (tmp_path / name).write_text("x")
    sweep(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == [".part", "a.json", "b.part"]


def test_what_is_written_without_the_lock_is_left_for_an_hour(tmp_path: Path) -> None:
    live, old, other = (tmp_path / name for name in (".scores.json.1-a.part", ".names.json.2-b.part", ".x.3-c.part"))
    for part in (live, old, other):
        part.write_text("half")
    os.utime(old, (1, 1))
    sweep(tmp_path)
    assert [one for one in (live, old, other) if one.exists()] == [live]
