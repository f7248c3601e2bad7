"""Traversals of a run as a picture: the README's, from what `make run` trained.

    python docs/images/traversals.py runs/<key> docs/images/devae-dsprites.png [ROWS]

One row for each of the most informative latents in use (a KL of 0.01 nats or more): the latent moves
over the central 95 % of its codes, all others stay.
"""

from __future__ import annotations

import sys

import torch
from PIL import Image, ImageDraw, ImageFont

from unweave import load
from unweave.metrics import nmi

ROWS, COLUMNS, SIZE, LEFT, GAP = 5, 11, 64, 190, 2


def main(folder: str, out: str, rows: str = f"{ROWS}") -> None:
    run = load(folder)
    codes = run.codes(10_000)
    assert codes.logvar is not None
    kl = 0.5 * (codes.mean**2 + codes.logvar.exp() - codes.logvar - 1).mean(0)
    told = torch.as_tensor(nmi(codes))
    # No two factors in the same place of theirs: three equal hues would hide the object.
    many = len(codes.sizes) + 1
    middle = torch.tensor([[size * (k + 1) // many for k, size in enumerate(codes.sizes)]])
    base = run.model.encode(run.view(run.images.index(middle))).mean[0].detach()
    used = [latent for latent in kl.argsort(descending=True)[: int(rows)].tolist() if kl[latent] >= 0.01]
    font = ImageFont.load_default(15)
    picture = Image.new("RGB", (LEFT + COLUMNS * (SIZE + GAP), len(used) * (SIZE + GAP)), "white")
    pen = ImageDraw.Draw(picture)
    for row, latent in enumerate(used):
        low, high = codes.mean[:, latent].quantile(torch.tensor([0.025, 0.975])).tolist()
        images = run.traverse(latent, torch.linspace(low, high, COLUMNS), base)
        factor = int(told[latent].argmax())
        top = row * (SIZE + GAP)
        pen.text((4, top + 12), f"latent {latent}   {kl[latent]:.1f} nats", (0, 0, 0), font)
        pen.text((4, top + 33), f"{codes.names[factor]}   NMI {told[latent, factor]:.2f}", (90, 90, 90), font)
        for column, image in enumerate(images):
            pixels = (image.expand(3, -1, -1) * 255).round().to(torch.uint8).permute(1, 2, 0)
            picture.paste(Image.fromarray(pixels.numpy()), (LEFT + column * (SIZE + GAP), top))
    grey = run.data.shape[0] == 1
    (picture.convert("L") if grey else picture).save(out, optimize=True, quality=90)  # quality: of a .jpg


if __name__ == "__main__":
    main(*sys.argv[1:4])
