"""Drawn Shapes3D beside real frames, and how fast it is drawn:

    python benchmarks/shapes3d.py --frames 3dshapes_real79.npz [--threads 1] [--sheet docs/images/shapes3d-sheet.png]

``--frames`` is an ``.npz`` of real frames: ``images`` (N, 64, 64, 3) uint8, ``labels`` (N, 6) levels, ``split`` (N,)
``fit``, ``held`` or ``other``. Errors are mean absolute errors of 255 without the outermost ring of pixels. The sheet
shows held-out frames of the authors' own notebook: real, drawn, and eight times the difference.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from unweave import Shapes3D
from unweave.data.scene.maps import GEOMETRIES, Maps
from unweave.engine.cpu import keep_memory
from unweave.store import environment, machine

SHAPES = ("cube", "cylinder", "sphere", "capsule")
ROWS, GAP, HEAD, TIMES = 4, 6, 18, 8


def errors(
    real: NDArray[np.uint8], drawn: NDArray[np.uint8], split: NDArray[np.str_], shape: NDArray[np.int64]
) -> None:
    """Print what the drawn frames differ by, for each set and each shape."""
    apart = np.abs(real.astype(int) - drawn)[:, 1:-1, 1:-1]
    groups = {name: split == name for name in ("fit", "held", "other")}
    groups |= {"held and other": split != "fit", "all": split != ""}
    groups |= {f"{name} (held, other)": (shape == k) & (split != "fit") for k, name in enumerate(SHAPES)}
    print(f"{'frames':24} {'number':>6} {'mean':>6} {'worst frame':>12} {'off by > 8':>11} {'> 32':>7}")
    for name, chosen in groups.items():
        off, largest = apart[chosen], apart[chosen].max(-1)
        share = [f"{100 * float((largest > level).mean()):.2f} %" for level in (8, 32)]
        print(
            f"{name:24} {int(chosen.sum()):6} {off.mean():6.3f} {off.mean((1, 2, 3)).max():12.2f}"
            f" {share[0]:>11} {share[1]:>7}"
        )


def speed(threads: int, repeats: int) -> None:
    """Print how long the maps take, and how many images a second are composed of them in training's batches."""
    torch.set_num_threads(threads)
    keep_memory()  # as training does
    start, busy = time.perf_counter(), time.process_time()
    held = Maps()
    held.need(torch.arange(GEOMETRIES))
    print(
        f"maps of {GEOMETRIES} geometries: {time.perf_counter() - start:.1f} s, {time.process_time() - busy:.1f} s busy"
    )
    images, generator = Shapes3D().open(), torch.Generator().manual_seed(0)
    for count in (64, 256, 1024):
        seconds = []
        for _ in range(repeats):
            rows = torch.randint(images.rows, (count,), generator=generator)
            start = time.perf_counter()
            held.compose(rows)
            seconds.append(time.perf_counter() - start)
        middle, best = count / statistics.median(seconds), count / min(seconds)
        print(f"batches of {count}, {threads} threads: median {middle:,.0f} images/s, best {best:,.0f}")


def sheet(path: Path, real: NDArray[np.uint8], drawn: NDArray[np.uint8], shape: NDArray[np.int64]) -> None:
    """Two blocks of real | drawn | difference, a shape a row."""
    side = real.shape[1]
    width = 6 * side + 5 * GAP + 2 * GAP
    picture = Image.new("RGB", (width, HEAD + ROWS * (side + GAP)), (255, 255, 255))
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(12)
    for block in range(2):
        left = block * (3 * (side + GAP) + 2 * GAP)
        for column, title in enumerate(("real", "drawn", f"{TIMES}x apart")):
            pen.text((left + column * (side + GAP), 1), title, (0, 0, 0), font)
        for row in range(ROWS):
            one = np.flatnonzero(shape == row)[block]
            apart = np.clip(TIMES * np.abs(real[one].astype(int) - drawn[one]), 0, 255).astype(np.uint8)
            for column, tile in enumerate((real[one], drawn[one], apart)):
                place = (left + column * (side + GAP), HEAD + row * (side + GAP))
                picture.paste(Image.fromarray(tile), place)
    picture.save(path, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=Path, help="real frames to compare with")
    parser.add_argument("--sheet", type=Path, help="picture to write")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=40)
    args = parser.parse_args()
    print(f"{machine()}, commit {environment()['commit']}")
    if args.frames:
        with np.load(args.frames, allow_pickle=False) as file:
            real, levels, split = file["images"], torch.from_numpy(file["labels"]), file["split"]
        images = Shapes3D().open()
        pixels = images.batch(images.index(levels), {}).permute(0, 2, 3, 1)
        drawn = (255 * pixels).round().to(torch.uint8).numpy()
        shape = levels[:, 4].numpy()
        errors(real, drawn, split, shape)
        if args.sheet:
            held = split == "held"
            sheet(args.sheet, real[held], drawn[held], shape[held])
    if args.repeats:
        speed(args.threads, args.repeats)


if __name__ == "__main__":
    main()
