"""A run's folder: one writer, checkpoints that are whole, files that are refused in one line."""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save

from unweave.store import Checkpoint, RunFolder, StoreError

TENSORS = {
    "model/w": torch.arange(6.0).view(2, 3),
    "adam count/all": torch.tensor(3.0),
    "trace/rows": torch.zeros(0, 2),
}
META = {"format": "1", "key": "abc", "step": "3", "terms": '["total", "kl"]'}


def checkpoint(step: int = 3) -> Checkpoint:
    return Checkpoint(step, TENSORS, ("total", "kl"), "abc")


def test_a_checkpoint_and_back(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "abc")
    assert folder.load() is None and folder.read("status") == {} and folder.read_trace() == {}
    folder.save(checkpoint())
    found = folder.load()
    assert found is not None and (found.step, found.terms, found.key) == (3, ("total", "kl"), "abc")
    assert found.tensors.keys() == TENSORS.keys()
    assert all(torch.equal(found.tensors[name], value) for name, value in TENSORS.items())


@pytest.mark.parametrize("view", [torch.arange(12.0).view(3, 4).T, torch.arange(12.0)[::2], torch.ones(1).expand(4)])
def test_a_checkpoint_keeps_values_of_views(view: torch.Tensor, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.save(Checkpoint(1, {"w": view.contiguous()}, (), "abc"))
    found = folder.load()
    assert found is not None and torch.equal(found.tensors["w"], view)


def test_tensors_that_were_loaded_outlive_the_file(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.save(checkpoint())
    found = folder.load()
    folder.save(Checkpoint(4, {"model/w": torch.full((2, 3), 9.0)}, (), "abc"))
    folder.checkpoint_path.unlink()
    assert found is not None and torch.equal(found.tensors["model/w"], TENSORS["model/w"])


def header(text: bytes, size: int | None = None) -> bytes:
    return struct.pack("<Q", len(text) if size is None else size) + text


def tensor(dtype: str = "F32", shape: list[int] | None = None, offsets: tuple[int, int] = (0, 8)) -> bytes:
    entry = {"dtype": dtype, "shape": shape or [2], "data_offsets": list(offsets)}
    return json.dumps({"__metadata__": META, "w": entry}).encode()


BROKEN = {
    "empty": b"",
    "garbage": b"this is no checkpoint at all, but long enough to be read as one",
    "pickle": b"\x80\x04\x95\x1a\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94",
    "truncated": save(TENSORS, metadata=META)[:-3],
    "header only": save(TENSORS, metadata=META)[:60],
    "header of 2^63 bytes": header(b"{}", 2**63),
    "header of 1 TB": header(b"{}", 2**40),
    "header that is no JSON": header(b"{{{{{{{{"),
    "header of deep JSON": header(b"[" * 50_000),
    "tensor of 2^62 numbers": header(tensor(shape=[2**31, 2**31], offsets=(0, 2**62))) + bytes(8),
    "tensor longer than the file": header(tensor(shape=[2**20], offsets=(0, 2**22))) + bytes(8),
    "offsets that overlap": header(tensor(offsets=(4, 8))) + bytes(8),
    "unknown type": header(tensor(dtype="X99")) + bytes(8),
    "bytes after the end": save(TENSORS, metadata=META) + b"more",
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_damaged_checkpoints_are_refused(content: bytes, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.checkpoint_path.write_bytes(content)
    with pytest.raises(StoreError, match=r"cannot read .*checkpoint.safetensors") as caught:
        folder.load()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("place", range(0, 400, 7))
def test_a_checkpoint_with_a_flipped_byte_is_refused_or_read(place: int, tmp_path: Path) -> None:
    """Whatever byte of the header is wrong, nothing but a StoreError comes of it."""
    content = bytearray(save(TENSORS, metadata=META))
    content[place % len(content)] ^= 0xFF
    folder = RunFolder(tmp_path)
    folder.checkpoint_path.write_bytes(bytes(content))
    try:
        found = folder.load()
    except StoreError as error:
        assert "\n" not in str(error)
    else:
        assert found is not None and found.tensors.keys() <= {*TENSORS, *found.tensors}


NOT_OURS: dict[str, tuple[dict[str, str] | None, str]] = {
    "no metadata": (None, "is no checkpoint of unweave"),
    "no step": ({k: v for k, v in META.items() if k != "step"}, "is no checkpoint of unweave .*step"),
    "step a word": ({**META, "step": "three"}, "is no checkpoint of unweave"),
    "negative step": ({**META, "step": "-1"}, "is no checkpoint of unweave"),
    "terms no JSON": ({**META, "terms": "["}, "is no checkpoint of unweave"),
    "terms a number": ({**META, "terms": "5"}, "is no checkpoint of unweave"),
    "terms of numbers": ({**META, "terms": "[5]"}, "is no checkpoint of unweave"),
    "terms too deep": ({**META, "terms": "[" * 50_000}, "is no checkpoint of unweave"),
    "format 0": ({**META, "format": "0"}, "is no checkpoint of unweave"),
    "a newer format": ({**META, "format": "2"}, "checkpoint format 2; this unweave reads up to 1: install a newer one"),
}


@pytest.mark.parametrize("meta, message", NOT_OURS.values(), ids=NOT_OURS)
def test_files_that_are_no_checkpoints_of_ours(meta: dict[str, str] | None, message: str, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.checkpoint_path.write_bytes(save(TENSORS, metadata=meta))
    with pytest.raises(StoreError, match=message) as caught:
        folder.load()
    assert "\n" not in str(caught.value)


def test_a_checkpoint_of_absurd_size_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unweave.store.folder.LARGEST", 100)
    folder = RunFolder(tmp_path)
    folder.save(checkpoint())
    with pytest.raises(StoreError, match="larger than"):
        folder.load()


def test_a_trace_and_back(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    table = {"step": [1.0, 2.0], "total": [1 / 3, float("nan")], "a, b": [1e-300, -1e30]}
    folder.write_trace(table)
    found = folder.read_trace()
    assert list(found) == list(table) and found["total"][0] == pytest.approx(1 / 3, rel=1e-9)
    assert found["total"][1] != found["total"][1] and found["a, b"] == [1e-300, -1e30]
    folder.write_trace({"step": [], "total": []})
    assert folder.read_trace() == {"step": [], "total": []}


def test_only_a_checkpoint_waits_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, flushed = RunFolder(tmp_path), []
    monkeypatch.setattr(os, "fsync", flushed.append)
    folder.put(trace={"step": []}, status={"state": "running"})
    assert not flushed
    folder.put(checkpoint=checkpoint(), status={"state": "done"})
    assert len(flushed) == 2  # the file, and the folder it was moved to
    for name in ("status.json", "trace.csv"):
        (tmp_path / name).write_bytes(b"")
    assert folder.read("status") == {} == folder.read_trace()


def test_files_put_together_are_those_put_one_by_one(tmp_path: Path) -> None:
    one, together = RunFolder(tmp_path / "one"), RunFolder(tmp_path / "together")
    table, status = {"step": [1.0], "total": [0.25]}, {"state": "done", "step": 3}
    one.write_trace(table)
    one.save(checkpoint())
    one.write("status", status)
    together.put(trace=table, checkpoint=checkpoint(), status=status)
    for folder in (one, together):
        assert {path.name for path in folder.path.iterdir()} == {"trace.csv", "checkpoint.safetensors", "status.json"}
        assert folder.read_trace() == table and folder.read("status") == status
        assert folder.load()._replace(tensors={}) == checkpoint()._replace(tensors={})
        assert torch.equal(folder.load().tensors["model/w"], checkpoint().tensors["model/w"])


@pytest.mark.parametrize(
    "content", [b"step,total\n1\n", b"step\n1,2\n", b"step,total\n1,x\n", b"\xff\xff\n", b"a\n\0\n"]
)
def test_damaged_traces(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "trace.csv").write_bytes(content)
    with pytest.raises(StoreError, match=r"cannot read .*trace.csv: damaged"):
        RunFolder(tmp_path).read_trace()


@pytest.mark.parametrize("content", ["[]", "3", "null", '"text"'])
def test_json_that_is_no_object(content: str, tmp_path: Path) -> None:
    (tmp_path / "status.json").write_text(content)
    with pytest.raises(StoreError, match=r"cannot read .*status.json: damaged"):
        RunFolder(tmp_path).read("status")


def test_a_second_writer_is_told_who_holds_the_folder(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "abc")
    assert not folder.held()
    with folder.lock():
        assert folder.held()
        with pytest.raises(StoreError) as caught, RunFolder(tmp_path / "abc").lock():
            pass
        assert f"process {os.getpid()} on {socket.gethostname()} since 2" in str(caught.value)
        assert "\n" not in str(caught.value) and folder.held()
    assert not folder.held() and not (folder.path / ".holder.json").exists()
    with folder.lock():
        pass


def test_a_lock_is_let_go_after_an_error_inside(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with pytest.raises(ZeroDivisionError), folder.lock():
        _ = 1 // 0
    with folder.lock():
        pass


def test_a_note_that_cannot_be_written_leaves_no_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*given: Any, **more: Any) -> None:
        raise StoreError("cannot write: full")

    folder = RunFolder(tmp_path)
    monkeypatch.setattr("unweave.store.folder.write_all", refuse)
    with pytest.raises(StoreError, match="full"), folder.lock():
        pass
    monkeypatch.undo()
    with folder.lock():
        pass


HOLD = """
import os, sys, time
from pathlib import Path
from filelock import FileLock
folder = Path(sys.argv[1])
lock = FileLock(folder / ".lock")
lock.acquire(timeout=0)
note = '{"process": %d, "host": "elsewhere", "since": "then"}'
(folder / ".holder.json").write_text(note % os.getpid())
(folder / ".checkpoint.safetensors.9-ff.part").write_text("half")
print("held", flush=True)
time.sleep(60)
"""


def test_a_killed_holder_is_taken_over(tmp_path: Path) -> None:
    """Another process holds the lock and is killed: its note and its half-written file stay, its lock does not."""
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        folder = RunFolder(tmp_path)
        wanted = f"being written by process {holder.pid} on elsewhere since then"
        with pytest.raises(StoreError, match=wanted), folder.lock():
            pass
        assert (tmp_path / ".checkpoint.safetensors.9-ff.part").exists(), "only the holder may sweep"
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        if holder.stdout:
            holder.stdout.close()
    with folder.lock():
        assert folder.held()
        assert not list(tmp_path.glob(".*.part"))
