"""BHiVAE, Figures 6 to 8: blocks taught an attribute of faces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from unweave.data import Dataset
from unweave.job import Measure, Training
from unweave.methods import BHiVAESupervised, GuidedVAESupervised, Method
from unweave.networks import MLP
from unweave.studies.base import Entry, Row, Scale, Study, experiment, grouped, picked
from unweave.studies.blocks import AttributeAccuracy, AttributeCurves, BlockTraversals
from unweave.studies.figures import Curves, Figure, Strips
from unweave.studies.sets import attributes, faces
from unweave.studies.table import Column
from unweave.studies.tiny import tiny

PAPER = Scale(steps=100_000, batch=128, seeds=1, lr=1e-4)
SMALL = Scale(steps=1_500, batch=64, seeds=1, lr=5e-4, images=5_000)
SMOKE = Scale(steps=4, batch=8, seeds=1, lr=1e-3, network=MLP((16,)), images=200)
FULL: Mapping[str, Scale] = {"smoke": SMOKE, "small": SMALL, "paper": PAPER}
OURS, THEIRS = "BHiVAE", "Guided-VAE"
SHOWN = {"Black hair": 0, "Gender": 2}
"""What Figure 6 shows, and the layer that is taught it."""
SILENT = (
    "Nothing is said of weights, networks, optimiser, batch or steps of the supervised case: reconstruction 1, labels "
    "100, entropy 10; the standard convolutions and then dense layers; Adam 1e-4, batch 128, 100,000 steps.",
    "The shared classifier reads s and h through projections of their own, and the entropy does not teach it; the "
    "autoencoder that equation 10 leaves out is there.",
    "The three layers are taught black hair, bald and male. Faces are cut out 178 wide, as Guided-VAE has them.",
    "CelebA needs its pictures (img_align_celeba) and list_attr_celeba.txt in the data root. Without them coloured "
    "dSprites stand in, pictures of the same size: shape, posX and posY for the three attributes, the highest level of "
    "each for its presence.",
)


def trained(
    study: Study, method: Method, scale: str, seed: int, latents: int, measures: tuple[Measure, ...]
) -> Training:
    """One model of this paper's supervised part."""
    size = study.scale(scale)
    small = tiny(method) if scale == "smoke" else method
    full = experiment(small, faces(study.root), size, PAPER, seed, latents=latents)
    return Training(full, measures=measures, count=size.images)


def ours(data: Dataset, blocks: tuple[int, ...] = (2, 2, 2)) -> Method:
    """BHiVAE taught the three attributes."""
    return BHiVAESupervised(labels=attributes(data), blocks=blocks)


def main(study: Study, scale: str) -> Training:
    """The model that Figures 6 and 7 share: twelve latents."""
    data, size = faces(study.root), study.scale(scale)
    curves = AttributeCurves(attributes(data), bases=4 if scale == "smoke" else 64)
    return trained(study, ours(data), scale, 0, 12, (BlockTraversals(bases=2, count=size.images), curves))


@dataclass(frozen=True)
class BHiVAEFig6(Study):
    """Figure 6: traversals of two attributes."""

    name: ClassVar[str] = "bhivae-fig6"
    paper: ClassVar[str] = "bhivae"
    where: ClassVar[str] = "Figure 6, section 4.3"
    title: ClassVar[str] = "Gender and black hair, moved by Guided-VAE and by BHiVAE"
    decided: ClassVar[tuple[str, ...]] = (
        *SILENT,
        "Guided-VAE moves one latent from −3 to 3, BHiVAE a block from (−3, −3) to (3, 3); twelve latents in both.",
    )
    scales: ClassVar[Mapping[str, Scale]] = FULL

    def jobs(self, scale: str) -> list[Entry]:
        data, size = faces(self.root), self.scale(scale)
        guided = GuidedVAESupervised(labels=attributes(data))
        theirs = trained(self, guided, scale, 0, 12, (BlockTraversals(bases=2, count=size.images),))
        return [
            ({"data": "celeba", "row": THEIRS, "seed": 0}, theirs),
            ({"data": "celeba", "row": OURS, "seed": 0}, main(self, scale)),
        ]

    def figures(self, results: Sequence[Row]) -> list[Figure]:
        found: list[Figure] = []
        for name, layer in SHOWN.items():
            rows = [
                (f"{labels['row']}, image {b + 1}", result.arrays["blocks"][b, layer])
                for labels, result in picked(results)
                if "blocks" in result.arrays
                for b in range(len(result.arrays["blocks"]))
            ]
            if rows:
                told = f"Attribute of layer {layer + 1}: {attributes(faces(self.root))[layer]}."
                found.append(Strips(name, rows, ["−3", *([""] * 7), "3"], told))
        return found


@dataclass(frozen=True)
class BHiVAEFig7(Study):
    """Figure 7: probability of the attribute along the diagonal."""

    name: ClassVar[str] = "bhivae-fig7"
    paper: ClassVar[str] = "bhivae"
    where: ClassVar[str] = "Figure 7, section 4.3"
    title: ClassVar[str] = "Probability of each attribute while its block goes along the diagonal"
    decided: ClassVar[tuple[str, ...]] = (
        *SILENT,
        "The classifiers are called classifiers of the representation: logistic regression on all latents. Mean and "
        "spread over 64 base codes.",
    )
    scales: ClassVar[Mapping[str, Scale]] = FULL

    def jobs(self, scale: str) -> list[Entry]:
        return [({"data": "celeba", "row": OURS, "seed": 0}, main(self, scale))]

    def figures(self, results: Sequence[Row]) -> list[Figure]:
        lines: dict[str, list[tuple[list[float], list[float]]]] = {}
        for _, result in picked(results):
            for layer, name in enumerate(attributes(faces(self.root))):
                if f"diagonal.{name}" in result.arrays:
                    curve = result.arrays[f"diagonal.{name}"]
                    lines[f"s{layer + 1}: {name}"] = [(curve[0].tolist(), curve[1].tolist())]
        told = "A threshold is where a curve crosses one half."
        return (
            [Curves("Along the diagonal", lines, "a in (a, a)", "probability", unit=True, caption=told)]
            if lines
            else []
        )


@dataclass(frozen=True)
class BHiVAEFig8(Study):
    """Figure 8: a block against a single latent."""

    name: ClassVar[str] = "bhivae-fig8"
    paper: ClassVar[str] = "bhivae"
    where: ClassVar[str] = "Figure 8, section 4.4"
    title: ClassVar[str] = "Accuracy of black hair from models whose first part is a block or a single latent"
    decided: ClassVar[tuple[str, ...]] = (
        *SILENT,
        "10, 16 and 32 latents; with a single latent for s¹, c has one more. The classifier, logistic regression, "
        "reads all latents, as the text says.",
    )
    columns: ClassVar[tuple[Column, ...]] = (
        *(Column(f"d = {d}", (f"accuracy@{d}",), factor=100.0) for d in (10, 16, 32)),
        *(Column(f"s¹ alone, d = {d}", (f"accuracy.block@{d}",), factor=100.0) for d in (10, 16, 32)),
    )
    scales: ClassVar[Mapping[str, Scale]] = FULL

    def jobs(self, scale: str) -> list[Entry]:
        data = faces(self.root)
        found: list[Entry] = []
        for d in (10,) if scale == "smoke" else (10, 16, 32):
            for row, blocks in (("Block", (2, 2, 2)), ("Single", (1, 2, 2))):
                measure = AttributeAccuracy(attributes(data)[0])
                job = trained(self, ours(data, blocks), scale, 0, d, (measure,))
                found.append(({"data": "celeba", "row": row, "d": d, "seed": 0}, job))
        return found

    def figures(self, results: Sequence[Row]) -> list[Figure]:
        lines: dict[str, list[tuple[list[float], list[float]]]] = {}
        for (row,), each in grouped(results, "row").items():
            points = sorted((float(own["d"]), 100 * result.values[f"accuracy@{own['d']}"]) for own, result in each)
            lines[str(row)] = [([d for d, _ in points], [value for _, value in points])]
        return [Curves("Black hair", lines, "latents", "accuracy, per cent", points=True)] if lines else []


STUDIES: Mapping[str, type[Study]] = {one.name: one for one in (BHiVAEFig6, BHiVAEFig7, BHiVAEFig8)}
