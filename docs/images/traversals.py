"""The README's picture, from the run that `make run` trained:

    python docs/images/traversals.py runs/<key> docs/images/devae-dsprites.png

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


def main(folder: str, out: str) -> None:
    run = load(folder)
    codes = run.codes(10_000)
    assert codes.logvar is not None
    kl = 0.5 * (codes.mean**2 + codes.logvar.exp() - codes.logvar - 1).mean(0)
    told = torch.as_tensor(nmi(codes))
    middle = torch.tensor([[size // 2 for size in codes.sizes]])
    base = run.model.encode(run.view(run.images.index(middle))).mean[0].detach()
    used = [latent for latent in kl.argsort(descending=True)[:ROWS].tolist() if kl[latent] >= 0.01]
    font = ImageFont.load_default(15)
    picture = Image.new("L", (LEFT + COLUMNS * (SIZE + GAP), len(used) * (SIZE + GAP)), 255)
    pen = ImageDraw.Draw(picture)
    for row, latent in enumerate(used):
        low, high = codes.mean[:, latent].quantile(torch.tensor([0.025, 0.975])).tolist()
        images = run.traverse(latent, torch.linspace(low, high, COLUMNS), base)
        factor = int(told[latent].argmax())
        top = row * (SIZE + GAP)
        pen.text((4, top + 12), f"latent {latent}   {kl[latent]:.1f} nats", 0, font)
        pen.text((4, top + 33), f"{codes.names[factor]}   NMI {told[latent, factor]:.2f}", 90, font)
        for column, image in enumerate(images):
            tile = Image.fromarray((image[0] * 255).round().to(torch.uint8).numpy())
            picture.paste(tile, (LEFT + column * (SIZE + GAP), top))
    picture.save(out, optimize=True)


if __name__ == "__main__":
    main(*sys.argv[1:3])
