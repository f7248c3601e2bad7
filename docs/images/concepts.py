"""Draws the pictures of docs/concepts.md, with the model that comes with the package and four short trainings:

    python docs/images/concepts.py [NAME …] [--to docs/images]

Without names: all of them, in about a minute on one thread of a processor.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from unweave import MLP, Adam, BetaVAE, fit
from unweave.analysis import freezing_spectrum, linear_information
from unweave.explorer import demo
from unweave.metrics import nmi
from unweave.report.freezing import spectrum_figure
from unweave.report.maps import heat_map
from unweave.report.markup import tag
from unweave.report.plot import Frame, axes, drawing, f, line, text

SIDE, GAP = 96, 4
INK, MUTED, STRONG = "#15191d", "#57616a", "#0b6a8f"
BETAS = (1.0, 8.0, 32.0, 128.0)


def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def tile(image: Tensor, side: int = SIDE) -> Image.Image:
    """An image (C, H, W) in [0, 1] as a picture of some width."""
    pixels = (image.expand(3, -1, -1) * 255).round().to(torch.uint8).permute(1, 2, 0)
    return Image.fromarray(pixels.numpy()).resize((side, side), Image.Resampling.NEAREST)


def sheet(width: int, height: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    picture = Image.new("RGB", (width, height), "white")
    return picture, ImageDraw.Draw(picture)


def vae() -> Image.Image:
    """Three images, the codes that the encoder makes of them, and what the decoder makes of these."""
    run = demo("cpu")
    rows = torch.tensor([120_000, 333_333, 640_123])
    x, made = run.reconstruct(rows)
    with torch.no_grad():
        q = run.model.encode(x)
    assert q.logvar is not None
    spread = torch.exp(q.logvar / 2)
    wide, top = 300, 34
    picture, pen = sheet(2 * SIDE + wide + 2 * 60, top + len(rows) * (SIDE + 14))
    middle = SIDE + 60
    for left, words in (
        (0, "image"),
        (middle + 20, "code: six latents, mean and spread"),
        (middle + wide + 60, "decoded"),
    ):
        pen.text((left, 8), words, INK, font(15))
    for row in range(len(rows)):
        at = top + row * (SIDE + 14)
        picture.paste(tile(x[row]), (0, at))
        picture.paste(tile(made[row]), (middle + wide + 60, at))
        for left in (SIDE + 10, middle + wide + 10):
            pen.line((left, at + SIDE // 2, left + 36, at + SIDE // 2), MUTED, 2)
            pen.polygon(
                [(left + 40, at + SIDE // 2), (left + 30, at + SIDE // 2 - 6), (left + 30, at + SIDE // 2 + 6)], MUTED
            )
        centre, unit = middle + wide // 2, wide / 6.6
        pen.line((centre, at, centre, at + SIDE), "#dfe3e6", 1)
        for latent in range(q.mean.shape[1]):
            y = at + 8 + latent * 16
            mean, sd = float(q.mean[row, latent]), float(spread[row, latent])
            place = centre + mean * unit
            pen.line((place - sd * unit, y, place + sd * unit, y), STRONG, 4)
            pen.ellipse((place - 4, y - 4, place + 4, y + 4), INK)
            pen.text((middle + 2, y - 7), f"z{latent}", MUTED, font(12))
    return picture


def beta() -> Image.Image:
    """Reconstructions at four pressures, and what the codes hold."""
    left, columns = 190, 8
    picture, pen = sheet(left + columns * (SIDE + GAP), (1 + len(BETAS)) * (SIDE + GAP))
    rows = torch.linspace(30_000, 700_000, columns).long()
    for place, pressure in enumerate(BETAS):
        run = fit(
            BetaVAE(beta=pressure),
            "dsprites",
            network=MLP((128,)),
            latents=6,
            steps=2000,
            batch=32,
            optimiser=Adam(lr=1e-3),
            precision="float32",
        )
        x, made = run.reconstruct(rows)
        codes = run.codes(5000)
        assert codes.logvar is not None
        kl = 0.5 * (codes.mean**2 + codes.logvar.exp() - codes.logvar - 1).mean(0)
        top = (1 + place) * (SIDE + GAP)
        pen.text((4, top + 14), f"pressure {pressure:g}", INK, font(17))
        pen.text((4, top + 38), f"KL {kl.sum():.1f} nats", MUTED, font(14))
        pen.text((4, top + 56), f"{int((kl > 0.01).sum())} of 6 latents in use", MUTED, font(14))
        for column in range(columns):
            if not place:
                picture.paste(tile(x[column]), (left + column * (SIDE + GAP), 0))
            picture.paste(tile(made[column]), (left + column * (SIDE + GAP), top))
    pen.text((4, SIDE // 2 - 8), "images", INK, font(17))
    return picture.convert("L").quantize(32)


def turned() -> Image.Image:
    """The two latents of position of one model, each alone, and the same two turned by 45 degrees."""
    run, columns, left = demo("cpu"), 9, 190
    codes = run.codes(5000)
    told = torch.as_tensor(nmi(codes))
    x, y = (int(told[:, codes.names.index(one)].argmax()) for one in ("pos_x", "pos_y"))
    base = run.model.encode(run.view(run.images.index(torch.tensor([[0, 3, 10, 15, 15]])))).mean[0].detach()
    steps = torch.linspace(-1.6, 1.6, columns)
    half = math.sqrt(0.5)
    ways = [
        (f"z{x} alone", "moves x", steps, None),
        (f"z{y} alone", "moves y", None, steps),
        (f"z{x} and z{y} together", "moves both", steps * half, steps * half),
        (f"z{x} against z{y}", "moves both", steps * half, -steps * half),
    ]
    picture, pen = sheet(left + columns * (SIDE + GAP), len(ways) * (SIDE + GAP) + 14)
    for row, (words, what, first, second) in enumerate(ways):
        top = row * (SIDE + GAP) + (14 if row > 1 else 0)
        z = base.repeat(columns, 1)
        for latent, values in ((x, first), (y, second)):
            z[:, latent] = values if values is not None else 0.0
        with torch.no_grad():
            images = torch.sigmoid(run.model.decode(z))
        pen.text((4, top + SIDE // 2 - 20), words, INK, font(17))
        pen.text((4, top + SIDE // 2 + 4), what, MUTED, font(14))
        for column, image in enumerate(images):
            picture.paste(tile(image), (left + column * (SIDE + GAP), top))
    return picture.convert("L").quantize(32)


def kl() -> str:
    """A prior and three posteriors, with their KL."""
    shown = ((0.0, 1.0), (0.8, 0.8), (1.6, 0.15))
    frame = Frame(40, 40, 560, 210, -4, 4, 0, 2.8)
    grid = [k / 50 for k in range(-200, 201)]

    def density(mean: float, sd: float) -> list[float]:
        return [math.exp(-(((z - mean) / sd) ** 2) / 2) / (sd * math.sqrt(2 * math.pi)) for z in grid]

    parts = [axes(frame, "One latent: its prior N(0, 1), and what the encoder says of an image", "z")]
    for place, (mean, sd) in enumerate(shown):
        nats = 0.5 * (mean**2 + sd**2 - 2 * math.log(sd) - 1)
        parts.append(line(frame, grid, density(mean, sd), place, place))
        high = min(max(density(mean, sd)) + 0.12, 2.7)
        words = "nothing: the prior itself, KL 0" if not place else f"N({mean:g}, {sd:g}²), KL {nats:.2f} nats"
        anchor, at = (("start", -3.8), ("start", -1.9), ("start", mean + 0.22))[place]
        parts.append(text(frame.across(at), frame.down((0.5, 0.72, high - 0.2)[place]), words, anchor))
    return drawing(640, 300, "A prior and three posteriors with their Kullback-Leibler divergences", *parts)


def tc() -> str:
    """Two latents, independent and more and more dependent, with their total correlation."""
    parts, size = [], 190.0
    draws = torch.randn(400, 2, generator=torch.Generator().manual_seed(0))
    for place, rho in enumerate((0.0, 0.7, 0.95)):
        frame = Frame(60 + place * (size + 52), 40, size, size, -3.2, 3.2, -3.2, 3.2)
        points = torch.stack([draws[:, 0], rho * draws[:, 0] + math.sqrt(1 - rho**2) * draws[:, 1]], 1).clamp(-3.1, 3.1)
        nats = -0.5 * math.log(1 - rho**2)
        title = f"TC = {nats + 0.0:.2f} nats"
        parts.append(
            axes(
                frame,
                title,
                "z0",
                "z1" if not place else "",
                y_ticks=((-2, "−2"), (0, "0"), (2, "2")),
                x_ticks=((-2, "−2"), (0, "0"), (2, "2")),
            )
        )
        parts += [
            tag("circle", cx=f(frame.across(a)), cy=f(frame.down(b)), r="1.6", class_=f"f{place}")
            for a, b in points.tolist()
        ]
    return drawing(
        70 + 3 * (size + 52), 290, "Pairs of latents with a total correlation of 0, 0.34 and 1.16 nats", *parts
    )


def information() -> str:
    """How much each latent of the demo tells of each factor."""
    codes = demo("cpu").codes(15_000)
    names = [f"z{k}" for k in range(codes.mean.shape[1])]
    return heat_map(nmi(codes), names, codes.names, "I(latent; factor) as a share of what there is to know")


def hierarchy() -> str:
    """What the best linear code of dSprites tells at each pressure, and the pressures of DEFT's stages."""
    spectrum = freezing_spectrum("dsprites")
    curve = linear_information("dsprites", spectrum, sample=20_000)
    return str(
        spectrum_figure(spectrum, curve, (70.0, 30.0, 12.0, 4.0), "dSprites: what enters the code at which pressure")
    )


PICTURES: dict[str, Callable[[], Image.Image | str]] = {
    "concepts-vae.png": vae,
    "concepts-beta.png": beta,
    "concepts-kl.svg": kl,
    "concepts-tc.svg": tc,
    "concepts-information.svg": information,
    "concepts-turned.png": turned,
    "concepts-hierarchy.svg": hierarchy,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", choices=[*PICTURES, []])
    parser.add_argument("--to", type=Path, default=Path("docs/images"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    for name in args.names or PICTURES:
        made, path = PICTURES[name](), args.to / name
        if isinstance(made, str):
            path.write_text(made + "\n", encoding="utf-8")
        else:
            made.save(path, optimize=True)
        print(path)


if __name__ == "__main__":
    main()
