"""What the factors of data sets look like, a picture each:

    python docs/images/sheets.py [NAME …] [--data-root FOLDER] [--to docs/images]

Without names: every set that is drawn without a file. One row a factor: it takes up to ten of its levels, evenly, the
others stay where they are. Where not every combination of levels has an image, ten images by the factor's
level. The three sets of dSprites with nuisance share one picture, two rows of random images each (dsprites-variants);
the toys of the turntable have a second one (turntable-sheet).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from unweave import DATASETS, Images, UserError
from unweave.data import Dataset, dataset
from unweave.engine.codes import nuisance

VARIANTS = ("color-dsprites", "noisy-dsprites", "scream-dsprites")
COLUMNS, LEFT, GAP, SMALLEST, ACROSS = 10, 150, 2, 64, 6


def traversal(data: Dataset, images: Images, place: int) -> Tensor:
    """Rows in which one factor takes its levels, up to ten of them."""
    assert data.factors is not None
    count = data.factors.sizes[place]
    shown = torch.linspace(0, count - 1, min(count, COLUMNS)).round().long()
    many = len(data.factors.sizes) + 1
    base = [size * (k + 1) // many for k, size in enumerate(data.factors.sizes)]
    levels = torch.tensor([base]).repeat(len(shown), 1)
    levels[:, place] = shown
    try:
        return images.index(levels)
    except UserError:
        order = images.levels(torch.arange(images.rows))[:, place].sort(stable=True).indices
        return order[torch.linspace(0, images.rows - 1, COLUMNS).round().long()]


def sheet(data: Dataset, root: Path | None) -> Image.Image:
    """One row a factor."""
    images, factors = data.open(root), data.factors
    if factors is None:
        raise SystemExit(f"{data.name} has no factors to show")
    scale = max(1, SMALLEST // data.shape[1])
    side = data.shape[1] * scale
    picture = Image.new("RGB", (LEFT + COLUMNS * (side + GAP), len(factors.names) * (side + GAP)), "white")
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(14)
    for place, name in enumerate(factors.names):
        rows, top = traversal(data, images, place), place * (side + GAP)
        pen.text((2, top + side // 2 - 18), name, "black", font)
        pen.text((2, top + side // 2), f"{factors.sizes[place]} levels", (90, 90, 90), font)
        x = images.batch(rows, nuisance(images, rows, 0, "sheet"))
        for column, image in enumerate(x):
            pixels = (image.expand(3, -1, -1) * 255).round().to(torch.uint8).permute(1, 2, 0)
            tile = Image.fromarray(pixels.numpy()).resize((side, side), Image.Resampling.NEAREST)
            picture.paste(tile, (LEFT + column * (side + GAP), top))
    return picture.convert("L") if data.shape[0] == 1 else picture


def variants(root: Path | None) -> Image.Image:
    """Two rows of each set with nuisance noise, the same shapes in all."""
    side = 64 + GAP
    picture = Image.new("RGB", (ACROSS * side - GAP, 2 * len(VARIANTS) * side - GAP), "white")
    for block, name in enumerate(VARIANTS):
        images = dataset(name).open(root)
        rows = torch.randint(images.rows, (2 * ACROSS,), generator=torch.Generator().manual_seed(0))
        for place, image in enumerate(images.batch(rows, nuisance(images, rows, 0, "sheet"))):
            tile = Image.fromarray((image * 255).round().to(torch.uint8).permute(1, 2, 0).numpy())
            picture.paste(tile, (place % ACROSS * side, (2 * block + place // ACROSS) * side))
    return picture.quantize(64)


def toys(root: Path | None) -> Image.Image:
    """The turntable: ten toys of each kind, five turned, rising cameras, every light."""
    ten = torch.arange(10)
    zero = torch.zeros_like(ten)
    rows = [torch.stack([zero + kind, ten, zero + 3, zero + 2, zero], 1) for kind in range(5)]
    rows += [torch.stack([zero + kind, zero + 4, zero + 2, ten * 18 // 10, zero + 2], 1) for kind in range(5)]
    rows += [torch.stack([zero, zero + 4, ten * 9 // 10, zero + 4, zero], 1)]
    rows += [torch.stack([zero + 2, zero + 4, zero + 3, zero + 2, ten % 6], 1)]
    images, side = dataset("turntable").open(root), 64 + GAP
    picture = Image.new("L", (10 * side, len(rows) * side), 255)
    for row, levels in enumerate(rows):
        for column, image in enumerate(images.batch(images.index(levels), {})):
            pixels = (image[0] * 255).round().to(torch.uint8)
            picture.paste(Image.fromarray(pixels.numpy()), (column * side, row * side))
    return picture.quantize(64)


OTHERS = {"dsprites-variants": variants, "turntable-sheet": toys}
"""Pictures that are not of one data set's factors."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--to", type=Path, default=Path("docs/images"))
    args = parser.parse_args()
    drawn = [name for name, kind in DATASETS.items() if not kind.needs_files and name not in VARIANTS]
    for name in args.names or [*drawn, *OTHERS]:
        if name in OTHERS:
            path, made = args.to / f"{name}.png", OTHERS[name](args.data_root)
        else:
            path, made = args.to / f"{name}-factors.png", sheet(dataset(name), args.data_root)
        made.save(path, optimize=True)
        print(path)


if __name__ == "__main__":
    main()
