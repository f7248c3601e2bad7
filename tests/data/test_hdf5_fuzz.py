"""Spoiled HDF5 files: read by a C library, so in a process of its own that may crash, and whose memory is measured."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("h5py")

HERE = Path(__file__).parent
LAYOUTS = ("dsprites", "shapes3d")
COUNT, SPARE = 2000, 16 << 20
CHILD = """
import json, resource, sys
from pathlib import Path
import h5py
import numpy as np
sys.path.insert(0, sys.argv[1])
from published_files import spoiled
from unweave.data import dsprites, shapes3d
from unweave.types import UserError

layout, path, count = sys.argv[2], Path(sys.argv[3]), int(sys.argv[4])
sizes = {"dsprites": (2, 2, 2, 2, 2), "shapes3d": (2, 1, 1, 2, 2, 2)}[layout]
levels = np.stack(np.unravel_index(np.arange(np.prod(sizes)), sizes), axis=1)
rng = np.random.default_rng(0)
with h5py.File(path, "w") as file:
    if layout == "dsprites":
        pictures = rng.integers(0, 2, (len(levels), 64, 64), dtype=np.uint8)
        file.create_dataset("imgs", data=pictures, chunks=(16, 64, 64), compression="gzip")
        spans = ((1, 3), (0.5, 1), (0, 2 * np.pi), (0, 1), (0, 1))
        values = [np.linspace(1, 3, 3)[:2], *(np.linspace(*span, 2) for span in spans[1:])]
        columns = [column[k] for column, k in zip(values, levels.T, strict=True)]
        file["latents/values"] = np.stack([np.ones(len(levels)), *columns], axis=1)
        file["latents/classes"] = np.concatenate([np.zeros_like(levels[:, :1]), levels], axis=1)
    else:
        pictures = rng.integers(0, 256, (len(levels), 64, 64, 3), dtype=np.uint8) // 16
        file.create_dataset("images", data=pictures, chunks=(8, 64, 64, 3), compression="gzip")
        values = [column[k] for column, k in zip(shapes3d.values(sizes), levels.T, strict=True)]
        file["labels"] = np.stack(values, axis=1)

def read():
    if layout == "dsprites":
        return dsprites.read(path, sizes).shape == (len(levels), 64)
    return sum(len(piece.images) for piece in shapes3d.pieces(path, sizes)) == len(levels)

def peak():
    status = Path("/proc/self/status")
    if status.is_file():
        # Not ru_maxrss: on Linux that of a new process begins with what its parent had in use.
        return 1024 * int(status.read_text().split("VmHWM:")[1].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

honest = path.read_bytes()
assert read()
before, refused = peak(), 0
for _ in range(count):
    path.write_bytes(spoiled(honest, rng, 4096))
    try:
        assert read()
    except UserError as error:
        assert "\\n" not in str(error), str(error)
        refused += 1
print(json.dumps({"refused": refused, "more": peak() - before, "size": len(honest)}))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="memory is asked of POSIX")
@pytest.mark.parametrize("layout", LAYOUTS)
def test_spoiled_hdf5_files(layout: str, tmp_path: Path) -> None:
    words = [sys.executable, "-c", CHILD, str(HERE), layout, str(tmp_path / "x.hdf5"), str(COUNT)]
    source = str(HERE.parents[1] / "src")
    done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": source}, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert found["refused"] > 1000
    assert found["more"] <= 2 * found["size"] + SPARE, found
