"""RecurD, Figures 5 and 18 to 25: traversals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

import numpy as np

from unweave.job import Training
from unweave.methods import RecurD
from unweave.studies.base import Entry, Row, Scale, Study, experiment, picked
from unweave.studies.blocks import BlockTraversals
from unweave.studies.drawn import traversals
from unweave.studies.figures import Figure, Strips
from unweave.studies.recurd.runs import COMPARED, FULL, PAPER, SILENT, SMALL, trained
from unweave.studies.sets import PRINTED, faces
from unweave.studies.tiny import tiny

SCALES: Mapping[str, Scale] = {**FULL, "small": SMALL._replace(seeds=1), "paper": PAPER._replace(seeds=1)}
FACES: Mapping[str, Scale] = {**SCALES, "small": SMALL._replace(steps=1_000, seeds=1)}
SHOWN = (
    "All latents, by falling KL, from −2 to 2 in nine steps around the codes of two images; the first seed of Table 2."
)


class Panel(NamedTuple):
    """A figure of traversals on one or two drawn sets."""

    number: int
    where: str
    data: tuple[str, ...]


class Face(NamedTuple):
    """A figure of one attribute of faces: how the block that moves it is found."""

    number: int
    attribute: str
    how: str
    score: Callable[[np.ndarray], float]


def frame(strip: np.ndarray) -> np.ndarray:
    """(V, C) mean colour of the outermost eighth of every picture of a strip (V, H, W, C)."""
    edge = max(1, strip.shape[1] // 8)
    inner = np.zeros(strip.shape[1:3], dtype=bool)
    inner[edge:-edge, edge:-edge] = True
    return strip[:, ~inner].mean(1)


def centre(strip: np.ndarray) -> np.ndarray:
    """(V, C) mean colour of the middle quarter."""
    h, w = strip.shape[1] // 4, strip.shape[2] // 4
    return strip[:, h:-h, w:-w].mean((1, 2))


def apart(values: np.ndarray) -> float:
    """How far the first of some rows lies from the last."""
    return float(np.abs(values[-1].astype(np.float64) - values[0]).mean())


def turned(strip: np.ndarray) -> float:
    """How much of the change from first to last is odd from left to right."""
    change = strip[-1].astype(np.float64).mean(-1) - strip[0].mean(-1)
    return float(np.abs(change - change[:, ::-1]).mean())


def widened(strip: np.ndarray) -> float:
    """How much the left and right quarters change, beyond what the outer frame does."""
    quarter = strip.shape[2] // 4
    sides = np.concatenate([strip[:, :, quarter // 2 : quarter], strip[:, :, -quarter : -quarter // 2]], 2)
    return apart(sides.mean(-1)) - apart(frame(strip))


COLOUR = "the block whose traversal changes most the mean colour of the"
ATTRIBUTES = (
    Face(20, "Azimuth", "the block whose traversal changes most what differs from left to right", turned),
    Face(21, "Background colour", f"{COLOUR} outer frame", lambda strip: apart(frame(strip))),
    Face(22, "Face colour", f"{COLOUR} middle", lambda strip: apart(centre(strip))),
    Face(
        23, "Face width", "the block that changes the sides of the middle most, beyond what the frame changes", widened
    ),
    Face(24, "Gender", "the block that tells Male best", lambda strip: 0.0),
    Face(25, "Smile", "the block that tells Smiling best", lambda strip: 0.0),
)
LABELS = {"Gender": "Male", "Smile": "Smiling"}
PANELS = (
    Panel(5, "Figure 5, section 5.1.2", ("shapes3d", "dsprites")),
    Panel(18, "Figure 18, appendix E.3", ("dsprites",)),
    Panel(19, "Figure 19, appendix E.3", ("shapes3d",)),
)


def drawn(panel: Panel) -> type[Study]:
    """The study of a figure of traversals on drawn sets."""

    @dataclass(frozen=True)
    class RecurDTraversals(Study):
        """Traversals of RecurD."""

        name: ClassVar[str] = f"recurd-fig{panel.number}"
        paper: ClassVar[str] = "recurd"
        where: ClassVar[str] = panel.where
        title: ClassVar[str] = f"Traversals of RecurD on {' and '.join(PRINTED[data] for data in panel.data)}"
        decided: ClassVar[tuple[str, ...]] = (*SILENT, SHOWN)
        scales: ClassVar[Mapping[str, Scale]] = SCALES

        def jobs(self, scale: str) -> list[Entry]:
            return [
                ({"data": data, "row": "RecurD", "seed": 0}, trained(self, data, COMPARED["RecurD"], scale, 0))
                for data in panel.data
            ]

        def figures(self, results: Sequence[Row]) -> list[Figure]:
            found: list[Figure] = []
            for labels, result in picked(results):
                if "traversals" in result.arrays:
                    strips = traversals(f"RecurD, {PRINTED[str(labels['data'])]}", result.arrays, bases=2)
                    pairs = [("image", "bases"), ("reconstruction", "reconstructed")]
                    images = [
                        (f"{word} {b + 1}", one[None])
                        for word, name in pairs
                        for b, one in enumerate(result.arrays.get(name, ())[:2])
                    ]
                    found.append(replace(strips, rows=[*images, *strips.rows]))
            return found

    return RecurDTraversals


def face(panel: Face) -> type[Study]:
    """The study of a figure of one attribute of faces."""

    @dataclass(frozen=True)
    class RecurDFaces(Study):
        """Traversals of one attribute of faces."""

        name: ClassVar[str] = f"recurd-fig{panel.number}"
        paper: ClassVar[str] = "recurd"
        where: ClassVar[str] = f"Figure {panel.number}, appendix E.3"
        title: ClassVar[str] = f"Traversals of RecurD 2 on CelebA: {panel.attribute}"
        decided: ClassVar[tuple[str, ...]] = (
            *SILENT,
            "RecurD 2 with 16 encoders of two latents each, as the text says; both latents of a block move together.",
            f"Who chose the block is not said. Here it is {panel.how}; the attribute is the paper's word for it.",
            "Without CelebA's files coloured dSprites stand in, which have no such attribute: the block is then "
            "chosen by the same rule, or by shape, and the picture only shows that the study runs.",
        )
        scales: ClassVar[Mapping[str, Scale]] = FACES

        def jobs(self, scale: str) -> list[Entry]:
            size = self.scale(scale)
            few = scale == "smoke"
            method = RecurD(modules=2, size=2)
            full = experiment(tiny(method) if few else method, faces(self.root), size, PAPER, 0, latents=32)
            measures = (BlockTraversals(bases=2 if few else 4, count=min(size.images, 5_000)),)
            return [
                (
                    {"data": "celeba", "row": "RecurD 2", "seed": 0},
                    Training(full, measures, (), min(size.images, 5_000)),
                )
            ]

        def figures(self, results: Sequence[Row]) -> list[Figure]:
            found: list[Figure] = []
            for labels, result in picked(results):
                if "blocks" not in result.arrays:
                    continue
                strips = result.arrays["blocks"]
                scores = [
                    float(np.mean([panel.score(strip) for strip in strips[:, k]])) for k in range(strips.shape[1])
                ]
                told = result.arrays.get(f"told.{LABELS.get(panel.attribute)}")
                if panel.attribute in LABELS:
                    scores = (told if told is not None else result.arrays["told"][:, 0]).tolist()
                best = int(np.argmax(scores))
                rows = [(f"image {b + 1}", strips[b, best]) for b in range(len(strips))]
                below = [f"{value:.2g}" for value in result.arrays["values"]]
                title = f"{panel.attribute}: block {best} of {labels['row']}"
                found.append(Strips(title, rows, below, caption=f"Chosen: {panel.how}."))
            return found

    return RecurDFaces


STUDIES: Mapping[str, type[Study]] = {
    one.name: one for one in (*(drawn(panel) for panel in PANELS), *(face(panel) for panel in ATTRIBUTES))
}
