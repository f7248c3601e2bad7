"""RecurD, Table 9 and Figures 6 and 10 to 17: routers, weights of the penalties, and how many groups are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from unweave.methods import RecurD
from unweave.studies.base import Entry, Row, Scale, Study, picked
from unweave.studies.figures import Figure, Scatter
from unweave.studies.recurd.runs import FULL, PAPER, SILENT, SMALL, rows_of, trained
from unweave.studies.recurd.scores import RECON
from unweave.studies.sets import PRINTED
from unweave.studies.table import Column

WEIGHTS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 50.0)
SCALES: Mapping[str, Scale] = {
    **FULL,
    "small": SMALL._replace(steps=1_500, seeds=1, note="λ in 0.1, the published one and 10, λ₂ also 0, k in 1, 2, 4"),
    "paper": PAPER,
}
VARIED = (
    *SILENT,
    "One of λ₁, λ₂ and k is varied while the others stay at 1, 2 and 2.",
    "λ from the set that the paper names, and λ₂ = 0, which the caption of Figure 6 speaks of; k from 1 to 4, all the "
    "groups there are.",
)
SCORED = "Which scores which of the figures shows is not said: MIG and DCI-D in the first of two, DCI-C and DCI-I next."
DCI = {
    name: ("dci" + part, "dci-fast" + part)
    for name, part in (("D", ""), ("C", ".completeness"), ("I", ".informativeness"))
}
FIRST: Mapping[str, tuple[str, ...]] = {"MIG": ("mig",), "DCI-D": DCI["D"]}
SECOND: Mapping[str, tuple[str, ...]] = {"DCI-C": DCI["C"], "DCI-I": DCI["I"]}


@dataclass(frozen=True)
class RecurDTable9(Study):
    """Table 9: what takes the router's place."""

    name: ClassVar[str] = "recurd-table9"
    paper: ClassVar[str] = "recurd"
    where: ClassVar[str] = "Table 9, appendix E.2"
    title: ClassVar[str] = "RecurD with a linear, a fixed and an attention router, on Shapes3D"
    decided: ClassVar[tuple[str, ...]] = (
        *SILENT,
        "The text calls what is replaced the gate of encoders; the three descriptions are of routers, and they "
        "replace it.",
    )
    columns: ClassVar[tuple[Column, ...]] = (Column("MIG", ("mig",)), RECON)
    scales: ClassVar[Mapping[str, Scale]] = {**FULL, "small": SMALL._replace(seeds=1)}

    def jobs(self, scale: str) -> list[Entry]:
        rows = {
            "Linear": RecurD(router="linear"),
            "Fix": RecurD(router="fix"),
            "Att": RecurD(router="attention"),
            "RecurD": RecurD(),
        }
        return rows_of(self, scale, "shapes3d", rows, self.scale(scale).seeds)


def varied(study: Study, scale: str, data: str, axes: Sequence[str]) -> list[Entry]:
    """RecurD along some of the axes λ₁, λ₂ and k."""
    few: Mapping[str, tuple[float, ...]] = {
        "smoke": (10.0,),
        "small": (0.1, 1.0, 2.0, 10.0),
    }
    weights, groups = few.get(scale, WEIGHTS), {"smoke": (1,), "small": (1, 2, 4)}.get(scale, (1, 2, 3, 4))
    models: dict[str, list[tuple[float, RecurD]]] = {
        "λ₁": [(x, RecurD(l1=x)) for x in weights if scale != "small" or x != 2.0],
        "λ₂": [(x, RecurD(l2=x)) for x in (0.0, *weights) if scale != "small" or x != 1.0],
        "k": [(float(k), RecurD(k=k)) for k in groups],
    }
    return [
        (
            {"data": data, "row": f"{axis} = {x:g}", "axis": axis, "x": x, "seed": seed},
            trained(study, data, method, scale, seed),
        )
        for seed in range(study.scale(scale).seeds)
        for axis in axes
        for x, method in models[axis]
    ]


def scattered(data: str, results: Sequence[Row], scores: Mapping[str, tuple[str, ...]]) -> list[Figure]:
    """Error across, score upwards, a colour an axis, the varied number beside each point."""
    found: list[Figure] = []
    for score, names in scores.items():
        clouds: dict[str, tuple[list[float], list[float]]] = {}
        words: dict[str, list[str]] = {}
        for labels, result in picked(results, data=data):
            name = next((one for one in names if one in result.values), None)
            if name is not None and "axis" in labels:
                axis = str(labels["axis"])
                xs, ys = clouds.setdefault(axis, ([], []))
                xs.append(result.values["recon.pixel"])
                ys.append(result.values[name])
                words.setdefault(axis, []).append(f"{labels['x']:g}")
        if clouds:
            found.append(Scatter(f"{score}, {data}", clouds, "error a pixel", score, words=words))
    return found


@dataclass(frozen=True)
class RecurDFig6(Study):
    """Figure 6: SAP and error for λ₁, λ₂ and k."""

    name: ClassVar[str] = "recurd-fig6"
    paper: ClassVar[str] = "recurd"
    where: ClassVar[str] = "Figure 6, section 5.1.3"
    title: ClassVar[str] = "RecurD with other weights of its penalties and other numbers of groups: SAP against error"
    decided: ClassVar[tuple[str, ...]] = VARIED
    columns: ClassVar[tuple[Column, ...]] = (Column("SAP", ("sap",)), RECON)
    scales: ClassVar[Mapping[str, Scale]] = {
        **SCALES,
        "small": SCALES["small"]._replace(note=f"{SCALES['small'].note}; dSprites alone"),
    }

    def jobs(self, scale: str) -> list[Entry]:
        found = varied(self, scale, "dsprites", ("λ₁", "λ₂", "k"))
        return found + (varied(self, scale, "shapes3d", ("λ₁", "λ₂", "k")) if scale == "paper" else [])

    def figures(self, results: Sequence[Row]) -> list[Figure]:
        return [one for data in ("dsprites", "shapes3d") for one in scattered(data, results, {"SAP": ("sap",)})]


class Panel(NamedTuple):
    """One of the figures of appendix E.2."""

    number: int
    data: str
    axes: tuple[str, ...]
    scores: Mapping[str, tuple[str, ...]]


PANELS = tuple(
    Panel(10 + 4 * place + 2 * which + second, data, axes, SECOND if second else FIRST)
    for place, axes in enumerate((("λ₁", "λ₂"), ("k",)))
    for which, data in enumerate(("dsprites", "shapes3d"))
    for second in (0, 1)
)


def appendix(panel: Panel) -> type[Study]:
    """The study of one figure of appendix E.2.

    >>> [(panel.number, panel.data, panel.axes) for panel in PANELS][::3]
    [(10, 'dsprites', ('λ₁', 'λ₂')), (13, 'shapes3d', ('λ₁', 'λ₂')), (16, 'shapes3d', ('k',))]
    """

    @dataclass(frozen=True)
    class RecurDAblation(Study):
        """Scores against reconstruction error while one number is varied."""

        name: ClassVar[str] = f"recurd-fig{panel.number}"
        paper: ClassVar[str] = "recurd"
        where: ClassVar[str] = f"Figure {panel.number}, appendix E.2"
        title: ClassVar[str] = (
            f"{' and '.join(panel.axes)} on {PRINTED[panel.data]}: {' and '.join(panel.scores)} against error"
        )
        decided: ClassVar[tuple[str, ...]] = (*VARIED, SCORED)
        scales: ClassVar[Mapping[str, Scale]] = SCALES

        def jobs(self, scale: str) -> list[Entry]:
            return varied(self, scale, panel.data, panel.axes)

        def figures(self, results: Sequence[Row]) -> list[Figure]:
            return scattered(panel.data, results, panel.scores)

    return RecurDAblation


STUDIES: Mapping[str, type[Study]] = {
    RecurDTable9.name: RecurDTable9,
    RecurDFig6.name: RecurDFig6,
    **{one.name: one for one in map(appendix, PANELS)},
}
