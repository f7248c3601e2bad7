"""Many pictures of all sizes and kinds, some broken: cached once, killed midway, gone on from, trained on."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unweave.data.folder import AT_ONCE

SOURCE = Path(__file__).parents[2] / "src"
MODES = ("RGB", "L", "RGBA", "P", "16 bits", "CMYK", "1")
KINDS = ("png", "jpg", "webp", "tif")
BROKEN = (7, 1_003, 13_333)
MOST = 1 << 30
"""Bytes of memory that a process may have in use at any time."""
READY = 3.0
"""Seconds until a folder that is cached is open."""
CHILD = """
import json, resource, sys, time
from pathlib import Path
import torch
torch.set_num_threads(1)
from unweave import MLP, Adam, Experiment, Folder, train
task, place = sys.argv[1], Path(sys.argv[2])
data = Folder(place, skip_broken=True)
start = time.monotonic()
if task == "prepare":
    data.prepare(None, lambda line: print(line, flush=True))
else:
    images = data.open()
ready = time.monotonic() - start
found = {"rows": data.rows, "ready": ready}
if task == "train":
    one = Experiment("beta-vae", data, network=MLP((32,)), batch=64, steps=30, optimiser=Adam(lr=1e-3))
    terms = [snapshot.terms["total"] for snapshot in train(one, every=10, device="cpu")]
    found["losses"] = torch.cat(terms, 1).flatten().tolist()
status = Path("/proc/self/status")
if status.is_file():
    # Not ru_maxrss: on Linux that of a new process begins with what its parent had in use.
    found["peak"] = 1024 * int(status.read_text().split("VmHWM:")[1].split()[0])
else:
    found["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(json.dumps(found), flush=True)
"""


def content(number: int) -> tuple[str, bytes]:
    """The ending and bytes of a picture; sizes from 16 × 16 to 800 × 800, every mode in every format that has it."""
    rng = np.random.default_rng(number)
    width, height = (int(16 * 50 ** rng.random()) for _ in range(2))
    kind, mode = KINDS[number % len(KINDS)], MODES[number % len(MODES)]
    coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize((width, height))
    if mode == "16 bits" and kind in ("png", "tif"):
        picture = Image.fromarray(np.asarray(coarse)[..., 0].astype(np.uint16) * 257)
    else:
        allowed = {"png": MODES[:4] + MODES[6:], "tif": MODES[:4] + MODES[5:], "jpg": ("RGB", "L", "CMYK")}
        picture = coarse.convert(mode if mode in allowed.get(kind, ("RGB", "RGBA")) else "RGB")
    out = io.BytesIO()
    picture.save(out, {"jpg": "JPEG", "tif": "TIFF"}.get(kind, kind.upper()))
    return kind, out.getvalue()


def fill(place: Path, count: int, different: int) -> None:
    """``count`` pictures in nested folders; ``different`` of them are made, the others copied with other names."""
    made = [content(number) for number in range(different)]
    for number in range(count):
        kind, data = made[number % different]
        folder = place / f"{number // 1000:02}" / "in"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number:05}.{kind}").write_bytes(data[: len(data) // 3] if number in BROKEN else data)


def child(task: str, place: Path, cache: Path) -> subprocess.Popen[str]:
    words = {**os.environ, "PYTHONPATH": str(SOURCE), "UNWEAVE_CACHE": str(cache)}
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, task, str(place)], stdout=subprocess.PIPE, env=words, text=True
    )


def whole_story(tmp_path: Path, count: int, different: int) -> dict[str, object]:
    """Prepare, kill after a third, go on, open again, train; what there is to report."""
    place, cache = tmp_path / "photos", tmp_path / "cache"
    fill(place, count, different)
    broken = sum(number < count for number in BROKEN)
    first = child("prepare", place, cache)
    assert first.stdout is not None
    third = count // 3 // AT_ONCE * AT_ONCE
    for line in first.stdout:
        if line.startswith(f"folder: {third:,} of"):
            break
    first.kill()
    first.wait()
    first.stdout.close()
    assert len(list(cache.glob("*.part"))) == 1, "it was killed midway"
    start = time.monotonic()
    lines = child("prepare", place, cache).communicate()[0].splitlines()
    seconds = time.monotonic() - start
    done = int(lines[0].split()[1].replace(",", ""))
    assert third < done <= third + 3 * AT_ONCE, "what the killed process had done is not done again"
    prepared = json.loads(lines[-1])
    assert prepared["rows"] == count - broken and f"{broken} broken pictures" in lines[-2]
    folder = next(cache.glob("folder-????????????????"))
    assert not list(cache.glob("*.part"))
    stamp = (folder / "images.npy").stat().st_mtime_ns
    trained = json.loads(child("train", place, cache).communicate()[0].splitlines()[-1])
    assert (folder / "images.npy").stat().st_mtime_ns == stamp, "cached once"
    assert trained["rows"] == count - broken and min(trained["losses"][-5:]) < trained["losses"][0]
    assert prepared["peak"] < MOST and trained["peak"] < MOST
    size = sum(one.stat().st_size for one in place.rglob("*") if one.is_file())
    return {"pictures": count, "bytes": size, "the rest, s": seconds, "prepared": prepared, "trained": trained}


def test_a_small_folder(tmp_path: Path) -> None:
    whole_story(tmp_path, 4 * AT_ONCE, 56)


@pytest.mark.slow
def test_twenty_thousand_pictures(tmp_path: Path) -> None:
    told = whole_story(tmp_path, 20_000, 2_000)
    print(json.dumps(told, indent=1))
    assert told["trained"]["ready"] < READY
