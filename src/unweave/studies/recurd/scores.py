"""RecurD, Tables 2, 6 and 7 and Figures 3, 8 and 9: scores and reconstruction of eleven methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from unweave.studies.base import Entry, Row, Scale, Study, picked
from unweave.studies.figures import Figure, Scatter
from unweave.studies.recurd.runs import COMPARED, FULL, OTHERS, PAPER, SILENT, SMALL, rows_of
from unweave.studies.table import Column

RECON = Column("Recon", ("recon.pixel",), "lower")
ONLY = "dSprites alone at small scale"
SCALES: Mapping[str, Scale] = {**FULL, "small": SMALL._replace(note=ONLY)}
ONE: Mapping[str, Scale] = {name: one._replace(seeds=1) for name, one in FULL.items()}
FAST = "DCI by our fast boosting at smoke and small scale, by scikit-learn's at paper scale."
EDGES = ("β-VAE β = 4", "RecurD")
"""Rows of Table 2 that stand in Table 7, too."""


def compared(study: Study, scale: str, seeds: int | None = None) -> list[Entry]:
    """Tables 2 and 6: eight methods on two data sets."""
    count = study.scale(scale).seeds if seeds is None else seeds
    found = rows_of(study, scale, "dsprites", COMPARED, count)
    if scale == "smoke":
        found += rows_of(study, scale, "shapes3d", {"RecurD": COMPARED["RecurD"]}, 1)
    elif scale == "paper":
        found += rows_of(study, scale, "shapes3d", COMPARED, count)
    return found


@dataclass(frozen=True)
class RecurDTable2(Study):
    """Table 2: scores and reconstruction."""

    name: ClassVar[str] = "recurd-table2"
    paper: ClassVar[str] = "recurd"
    where: ClassVar[str] = "Table 2, section 5.1.1"
    title: ClassVar[str] = "RecurD and seven others on dSprites and Shapes3D: SAP, MIG, DCI and reconstruction"
    decided: ClassVar[tuple[str, ...]] = (*SILENT, FAST)
    columns: ClassVar[tuple[Column, ...]] = (
        RECON,
        Column("SAP", ("sap",)),
        Column("MIG", ("mig",)),
        Column("DCI-D", ("dci", "dci-fast")),
    )
    scales: ClassVar[Mapping[str, Scale]] = SCALES

    def jobs(self, scale: str) -> list[Entry]:
        return compared(self, scale)


@dataclass(frozen=True)
class RecurDTable6(Study):
    """Table 6: the other two numbers of DCI, for the same models."""

    name: ClassVar[str] = "recurd-table6"
    paper: ClassVar[str] = "recurd"
    where: ClassVar[str] = "Table 6, appendix E.1"
    title: ClassVar[str] = "Completeness and informativeness of the models of Table 2"
    decided: ClassVar[tuple[str, ...]] = (
        *SILENT,
        FAST,
        "Informativeness is our accuracy, which lies near 0.9 for good codes; what is printed, 0.15 to 0.22, is on a "
        "scale that the paper does not name, so the two are shown and not compared.",
    )
    columns: ClassVar[tuple[Column, ...]] = (
        RECON,
        Column("DCI-C", ("dci.completeness", "dci-fast.completeness")),
        Column("DCI-I", ("dci.informativeness", "dci-fast.informativeness"), pooled="shown"),
    )
    scales: ClassVar[Mapping[str, Scale]] = SCALES

    def jobs(self, scale: str) -> list[Entry]:
        return compared(self, scale)


@dataclass(frozen=True)
class RecurDTable7(Study):
    """Table 7: methods of other families."""

    name: ClassVar[str] = "recurd-table7"
    paper: ClassVar[str] = "recurd"
    where: ClassVar[str] = "Table 7, appendix E.1"
    title: ClassVar[str] = "RecurD, InfoGAN, ControlVAE and NVAE on dSprites, Shapes3D and Cars3D"
    decided: ClassVar[tuple[str, ...]] = (
        *SILENT,
        "InfoGAN has as many continuous codes as the data set has factors, and no reconstruction; its code is the "
        "mean of Q(c|x). ControlVAE has its authors' settings for dSprites, with a target that reaches its end in "
        "300,000 steps as theirs does in 1,500,000. None of the three is described.",
        "NVAE is a small one, 2 scales of 2 groups; MIG is taken over the means of all its groups, hundreds of "
        "latents, and that is why it is next to 0.",
        "VampPrior is named in the text and stands in no row.",
    )
    columns: ClassVar[tuple[Column, ...]] = (RECON, Column("MIG", ("mig",)))
    scales: ClassVar[Mapping[str, Scale]] = {
        **FULL,
        "small": SMALL._replace(seeds=1, note=ONLY),
        "paper": PAPER,
    }

    def jobs(self, scale: str) -> list[Entry]:
        own = {row: COMPARED[row] for row in EDGES}
        found = rows_of(self, scale, "dsprites", {**own, **OTHERS}, self.scale(scale).seeds)
        if scale == "smoke":
            return found + rows_of(self, scale, "cars3d", {"RecurD": COMPARED["RecurD"]}, 1)
        if scale == "paper":
            for data in ("shapes3d", "cars3d"):
                found += rows_of(self, scale, data, {**own, **OTHERS}, PAPER.seeds)
        return found


@dataclass(frozen=True)
class RecurDFig3(Study):
    """Figure 3: every mini-batch a point."""

    name: ClassVar[str] = "recurd-fig3"
    paper: ClassVar[str] = "recurd"
    where: ClassVar[str] = "Figure 3, section 5.1.1"
    title: ClassVar[str] = "Reconstruction error, disentanglement and I(x; z) of mini-batches"
    decided: ClassVar[tuple[str, ...]] = (
        *SILENT,
        "A mini-batch of 64 images has no MIG: batches of 500 unseen images, of the first seed.",
        "I(x; z) of a batch is taken against the aggregate posterior of all images read, not by a critic; the area of "
        "a point is proportional to it.",
    )
    scales: ClassVar[Mapping[str, Scale]] = {name: one._replace(seeds=1) for name, one in SCALES.items()}
    SHOWN: ClassVar[Mapping[str, str]] = {"SAP": "batch.sap", "MIG": "batch.mig", "DCI-D": "batch.dci-d"}

    def jobs(self, scale: str) -> list[Entry]:
        return compared(self, scale, 1)

    def figures(self, results: Sequence[Row]) -> list[Figure]:
        return [one for data in ("dsprites", "shapes3d") for one in clouds(data, results, self.SHOWN)]


@dataclass(frozen=True)
class RecurDFig8(Study):
    """Figure 8: the same for completeness and informativeness on dSprites."""

    name: ClassVar[str] = "recurd-fig8"
    paper: ClassVar[str] = "recurd"
    where: ClassVar[str] = "Figure 8, appendix E.1"
    title: ClassVar[str] = "Mini-batches of dSprites: reconstruction error against completeness and informativeness"
    decided: ClassVar[tuple[str, ...]] = RecurDFig3.decided
    scales: ClassVar[Mapping[str, Scale]] = ONE
    SHOWN: ClassVar[Mapping[str, str]] = {"DCI-C": "batch.dci-c", "DCI-I": "batch.dci-i"}

    def jobs(self, scale: str) -> list[Entry]:
        return rows_of(self, scale, "dsprites", COMPARED, 1)

    def figures(self, results: Sequence[Row]) -> list[Figure]:
        return clouds("dsprites", results, self.SHOWN)


@dataclass(frozen=True)
class RecurDFig9(Study):
    """Figure 9: the same on Shapes3D."""

    name: ClassVar[str] = "recurd-fig9"
    paper: ClassVar[str] = "recurd"
    where: ClassVar[str] = "Figure 9, appendix E.1"
    title: ClassVar[str] = "Mini-batches of Shapes3D: reconstruction error against completeness and informativeness"
    decided: ClassVar[tuple[str, ...]] = RecurDFig3.decided
    scales: ClassVar[Mapping[str, Scale]] = ONE

    def jobs(self, scale: str) -> list[Entry]:
        rows = {"RecurD": COMPARED["RecurD"]} if scale == "smoke" else COMPARED
        return rows_of(self, scale, "shapes3d", rows, 1)

    def figures(self, results: Sequence[Row]) -> list[Figure]:
        return clouds("shapes3d", results, RecurDFig8.SHOWN)


def clouds(data: str, results: Sequence[Row], shown: Mapping[str, str]) -> list[Figure]:
    """A scatter plot of mini-batches for each score: error across, score upwards, I(x; z) as area."""
    found: list[Figure] = []
    for name, array in shown.items():
        points, areas = {}, {}
        for labels, result in picked(results, data=data):
            if array in result.arrays:
                row = str(labels["row"])
                points[row] = (result.arrays["batch.recon"].tolist(), result.arrays[array].tolist())
                areas[row] = [max(float(one), 0.0) for one in result.arrays["batch.mi"]]
        if points:
            title, caption = f"{name} of mini-batches, {data}", "Area: I(x; z). Better: left, up, and small."
            found.append(Scatter(title, points, "error a pixel", name, areas=areas, caption=caption))
    return found


STUDIES: Mapping[str, type[Study]] = {
    one.name: one for one in (RecurDTable2, RecurDTable6, RecurDTable7, RecurDFig3, RecurDFig8, RecurDFig9)
}
