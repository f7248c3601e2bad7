"""The cache of decoded images: whole or not there, whatever happens to those who make it."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from unweave.data import cache
from unweave.data.cache import Piece, Recipe, compare, prepare, prepared, verify
from unweave.types import UserError

SHAPE = (4, 5, 3)
COUNT = 20


@pytest.fixture(autouse=True)
def folder(monkeypatch, tmp_path):
    monkeypatch.setenv("UNWEAVE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def image(number):
    return np.full(SHAPE, number, np.uint8)


def recipe(starts=None, stop=None, left_out=(), name="set", identity=None):
    """20 images in pieces of 3; ``starts`` notes where it is begun, ``stop`` raises what it is before its 10th."""

    def pieces(start):
        if starts is not None:
            starts.append(start)
        for first in range(start, COUNT, 3):
            if stop is not None and first >= 9:
                raise stop
            some = range(first, min(first + 3, COUNT))
            kept = [image(number) for number in some if number not in left_out]
            notes = tuple(f"{number}: broken" for number in some if number in left_out)
            yield Piece(np.stack(kept) if kept else np.empty((0, *SHAPE), np.uint8), some.stop, notes)

    return Recipe(name, identity or {"files": [1, 2]}, COUNT, SHAPE, pieces)


def whole(found, left_out=()):
    return np.array_equal(found.images, np.stack([image(k) for k in range(COUNT) if k not in left_out]))


def test_made_once(folder):
    starts, told = [], []
    assert prepared(recipe()) is None
    found = prepare(recipe(starts), told.append)
    assert whole(found) and isinstance(found.images, np.memmap) and found.notes == ()
    assert whole(prepare(recipe(starts))) and starts == [0]
    assert told[0] == "set: 3 of 20 images" and told[-1] == "set: 20 of 20 images"
    assert np.array_equal(np.load(found.folder / "images.npy", mmap_mode="r"), found.images)
    assert sorted(path.name for path in found.folder.iterdir()) == ["about.json", "images.npy"]
    assert found.folder.parent == folder and not list(folder.glob("*.part"))
    verify(found)
    compare(recipe(), found)
    with pytest.raises(ValueError, match="read-only"):
        found.images[0] = 1


def test_other_files_or_settings_are_another_cache():
    one, two = prepare(recipe()), prepare(recipe(identity={"files": [1, 3]}))
    assert one.folder != two.folder


def test_images_left_out():
    left_out = (0, 4, 9, 10, 11, 19)
    found = prepare(recipe(left_out=left_out))
    assert whole(found, left_out) and len(found.images) == 14
    assert found.notes == tuple(f"{number}: broken" for number in left_out)
    verify(found)
    with pytest.raises(UserError, match="none of 20 images could be used"):
        prepare(recipe(left_out=range(COUNT), identity={"files": []}))


def test_a_mistake_leaves_nothing(folder):
    with pytest.raises(UserError, match="picture 9 is broken"):
        prepare(recipe(stop=UserError("picture 9 is broken")))
    assert [path.suffix for path in folder.iterdir()] == [".lock"]


def test_what_was_stopped_goes_on(folder):
    starts = []
    for stop in (KeyboardInterrupt(), KeyboardInterrupt()):
        with pytest.raises(KeyboardInterrupt):
            prepare(recipe(starts, stop, left_out=(1,)))
    assert len(list(folder.glob("*.part"))) == 1
    found = prepare(recipe(starts, left_out=(1,)))
    assert starts == [0, 9, 9] and whole(found, (1,)) and found.notes == ("1: broken",)
    verify(found)


@pytest.mark.parametrize("damage", ["images", "journal", "no images", "no journal", "nonsense"])
def test_what_was_stopped_and_damaged_begins_anew(folder, damage):
    with pytest.raises(KeyboardInterrupt):
        prepare(recipe(stop=KeyboardInterrupt()))
    part = next(folder.glob("*.part"))
    if damage == "images":
        data = bytearray((part / "images.npy").read_bytes())
        data[-1] ^= 1
        (part / "images.npy").write_bytes(data)
    elif damage == "journal":
        (part / "journal.json").write_text("{")
    elif damage == "nonsense":
        (part / "journal.json").write_text(json.dumps({"done": -3, "pieces": [[1e9, 3]], "notes": 7}))
    else:
        (part / f"{'images.npy' if damage == 'no images' else 'journal.json'}").unlink()
    starts = []
    assert whole(prepare(recipe(starts))) and starts == [0]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_leaves_none_and_says_so(folder, monkeypatch, code):
    calls = []

    def full(handle):
        calls.append(handle)
        if len(calls) > 4:
            raise OSError(code, os.strerror(code))

    monkeypatch.setattr(cache.os, "fsync", full)
    with pytest.raises(UserError, match=r"set: cannot prepare it in .*; what was written has been removed") as error:
        prepare(recipe())
    assert os.strerror(code) in str(error.value) and "UNWEAVE_CACHE" in str(error.value)
    assert [path.suffix for path in folder.iterdir()] == [".lock"]


def test_too_little_room_is_said_before(folder, monkeypatch):
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(UserError, match=r"takes 0.02 GB in .* and 0.00 GB are free; nothing was kept"):
        prepare(recipe())
    assert [path.suffix for path in folder.iterdir()] == [".lock"]


def test_other_refusals(folder, monkeypatch):
    def refused(handle):
        raise OSError(errno.EIO, "input/output error")

    monkeypatch.setattr(cache.os, "fsync", refused)
    with pytest.raises(UserError, match="input/output error; what was done so far is kept"):
        prepare(recipe())
    monkeypatch.undo()
    folder.parent.joinpath("file").write_text("x")
    monkeypatch.setenv("UNWEAVE_CACHE", str(folder.parent / "file"))
    with pytest.raises(UserError, match="cannot prepare it"):
        prepare(recipe())


@pytest.mark.parametrize("damage", ["short", "header", "about", "pieces"])
def test_a_damaged_cache_is_made_anew(damage):
    found = prepare(recipe())
    images, about = found.folder / "images.npy", found.folder / "about.json"
    if damage == "short":
        images.write_bytes(images.read_bytes()[:-1])
    elif damage == "header":
        images.write_bytes(images.read_bytes().replace(b"|u1", b"|i1"))
    elif damage == "about":
        about.write_text("[]")
    else:
        about.write_text(about.read_text().replace('"pieces": [[3', '"pieces": [[4'))
    assert prepared(recipe()) is None
    assert whole(prepare(recipe()))


def test_verify_and_compare_notice_changed_bytes():
    found = prepare(recipe())
    path = found.folder / "images.npy"
    data = bytearray(path.read_bytes())
    data[cache.HEADER + 7 * int(np.prod(SHAPE))] ^= 1
    path.write_bytes(data)
    for look in (verify, lambda one: compare(recipe(), one)):
        with pytest.raises(UserError, match=r"images 6 to 8 are not .* delete this folder"):
            look(prepared(recipe()))


def test_a_recipe_that_breaks_its_promise(folder):
    wrong = recipe()._replace(pieces=lambda start: [Piece(np.zeros((2, 4, 4, 3), np.uint8), COUNT)])
    with pytest.raises(ValueError, match=r"images of shape \(4, 4, 3\); promised"):
        prepare(wrong)
    with pytest.raises(ValueError, match="3 of 20 sources"):
        prepare(recipe()._replace(pieces=lambda start: [Piece(np.zeros((3, *SHAPE), np.uint8), 3)]))
    assert not list(folder.glob("*.part"))


def test_who_comes_second_waits(monkeypatch):
    monkeypatch.setattr(cache, "WAIT", 0.01)
    started, go, starts, told, found = threading.Event(), threading.Event(), [], [], []

    def slow(start):
        started.set()
        assert go.wait(30)
        yield from recipe(starts).pieces(start)

    first = threading.Thread(target=lambda: found.append(prepare(recipe()._replace(pieces=slow))))

    def tell(line):
        told.append(line)
        go.set()

    first.start()
    assert started.wait(30)
    found.append(prepare(recipe(starts), tell))
    first.join(30)
    assert told[0] == "set: another process is preparing it, waiting"
    assert starts == [0] and all(whole(one) for one in found)


SCRIPT = """
import sys, time
sys.path.insert(0, {folder!r})
import test_cache
from unweave.data.cache import prepare
def slow(start):
    for piece in test_cache.recipe().pieces(start):
        print(start, piece.done, flush=True)
        yield piece
        time.sleep({pause})
found = prepare(test_cache.recipe()._replace(pieces=slow))
assert test_cache.whole(found)
print("whole", flush=True)
"""


def begin(folder, pause):
    words = [sys.executable, "-c", SCRIPT.format(folder=str(Path(__file__).parent), pause=pause)]
    paths = {"PYTHONPATH": str(Path(__file__).parents[2] / "src"), "UNWEAVE_CACHE": str(folder)}
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env={**os.environ, **paths})


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
def test_killed_and_resumed(folder):
    process = begin(folder, 60)
    # The second piece is asked for once the first is on the disk.
    lines = [process.stdout.readline()]
    deadline = time.monotonic() + 60
    while not list(folder.glob("*.part/journal.json")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    process.stdout.close()
    assert lines == ["0 3\n"] and prepared(recipe()) is None
    starts = []
    assert whole(prepare(recipe(starts))) and starts == [3]


def test_two_processes_make_one(folder):
    pair = [begin(folder, 0.02) for _ in range(2)]
    said = [process.communicate(timeout=120)[0].splitlines() for process in pair]
    assert [process.returncode for process in pair] == [0, 0]
    assert sorted(len(lines) for lines in said) == [1, 8] and all(lines[-1] == "whole" for lines in said)
    assert len(list(folder.glob("set-*/images.npy"))) == 1 and not list(folder.glob("*.part"))
    verify(prepared(recipe()))


@pytest.fixture
def tiny_disk(tmp_path):
    """A file system of 40 kB of its own, where tests may mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    options = ["mount", "-t", "tmpfs", "-o", "size=40k,mode=700", "tmpfs", str(place)]
    if (
        sys.platform != "linux"
        or shutil.which("mount") is None
        or subprocess.run(options, capture_output=True).returncode
    ):
        pytest.skip("no file system can be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def large():
    """As ``recipe``, with images of 4 kB, so that a few fit on the tiny disk."""

    def pieces(start):
        for first in range(start, COUNT, 3):
            some = range(first, min(first + 3, COUNT))
            yield Piece(np.stack([np.full((64, 64, 1), number, np.uint8) for number in some]), some.stop)

    return Recipe("large", {}, COUNT, (64, 64, 1), pieces)


def test_a_disk_that_is_really_full(tiny_disk, monkeypatch):
    monkeypatch.setenv("UNWEAVE_CACHE", str(tiny_disk))
    with pytest.raises(UserError, match="are free; nothing was kept there"):
        prepare(large())
    assert [path.suffix for path in tiny_disk.iterdir()] in ([], [".lock"])
    # It fills up only when some was written, as where another program writes too.
    usage = type("Usage", (), {"free": 1 << 40})
    monkeypatch.setattr(cache.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(UserError, match=r"No space left on device; what was written has been removed"):
        prepare(large())
    assert [path.suffix for path in tiny_disk.iterdir()] in ([], [".lock"])
