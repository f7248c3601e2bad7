"""What a study is: a publication's table or figure as jobs at three scales, and the answer beside what was printed."""

from __future__ import annotations

import csv
import io
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import ClassVar, NamedTuple, TypeAlias

from unweave.data import Dataset, dataset
from unweave.engine import Complete, Experiment
from unweave.job import Cost, Job, Result
from unweave.methods import Method
from unweave.names import known
from unweave.networks import Body
from unweave.studies.figures import Figure
from unweave.studies.table import Column, Published, Table, tabulate
from unweave.types import Adam, UserError

SCALES = ("smoke", "small", "paper")
"""From seconds to what was published."""
TWINS: Mapping[str, str] = {
    "smallnorb": "turntable",
    "cars3d": "turntable",
    "chairs3d": "turntable",
    "mnist": "dsprites",
    "mnist-rotation": "dsprites",
    "celeba": "color-dsprites",
}
"""Data sets that cannot be drawn -> the drawn set that stands in for them where their files are absent."""

Labels: TypeAlias = Mapping[str, str | int | float]
"""What a job is in its study. ``data`` and ``row`` place it in the table and join it to the printed numbers; ``seed``
and whatever else varies stand beside them."""
Entry: TypeAlias = tuple[Labels, Job]
Row: TypeAlias = tuple[Labels, Result]


class Scale(NamedTuple):
    """How much of a study is run: what ``smoke`` and ``small`` cut down, and what ``paper`` states."""

    steps: int
    batch: int
    seeds: int
    lr: float
    network: Body | None = None
    """The method's own when None."""
    images: int = 10_000
    """How many are encoded and measured."""
    note: str = ""
    """Whatever else differs from the publication."""

    def told(self, paper: Scale) -> str:
        """In words, beside what was published.

        >>> Scale(500, 64, 2, 5e-4).told(Scale(1000, 64, 10, 1e-4))
        '500 steps (published: 1,000), batch 64, Adam 0.0005 (0.0001), 2 seeds (10), schedules × 0.5, 10,000 images'
        """

        def beside(ours: str, theirs: str) -> str:
            return ours if ours == theirs else f"{ours} ({theirs})"

        words = [
            f"{self.steps:,} steps" + ("" if self.steps == paper.steps else f" (published: {paper.steps:,})"),
            f"batch {beside(str(self.batch), str(paper.batch))}",
            f"Adam {beside(f'{self.lr:g}', f'{paper.lr:g}')}",
            f"{self.seeds} seed{'s' if self.seeds > 1 else ''}"
            + ("" if self.seeds == paper.seeds else f" ({paper.seeds})"),
            *([f"schedules × {self.steps / paper.steps:.3g}"] if self.steps != paper.steps else []),
            f"{self.images:,} images",
            *([f"network {self.network!r}"] if self.network is not None else []),
            *([self.note] if self.note else []),
        ]
        return ", ".join(words)


@dataclass(frozen=True)
class Study(ABC):
    """One table or figure of one paper.

    Class attributes say what is published; ``jobs`` what to run, each with the labels that ``table`` and ``figures``
    find it by again. Jobs are named by their content, so studies that ask for the same one share it.

    Args:
        root: folder of data files; the environment variable ``UNWEAVE_DATA`` when None. A published set that is not
            there is drawn, or its twin takes its place, and the table says so.

    >>> from unweave.studies import STUDIES
    >>> study = STUDIES["devae-table1"]()
    >>> labels, job = study.jobs("smoke")[0]
    >>> labels["data"], labels["row"], labels["seed"]
    ('dsprites', 'DeVAE [1, 40]', 0)
    """

    root: Path | None = None

    name: ClassVar[str]
    paper: ClassVar[str]
    """``devae``, ``deft``, ``bhivae``, ``recurd``, ``stcvae``, or ``field`` for what is nobody's."""
    where: ClassVar[str]
    """Such as ``Table 1, p. 6``."""
    title: ClassVar[str]
    decided: ClassVar[tuple[str, ...]] = ()
    """What we decided where the paper is silent, contradicts itself or its authors' code."""
    columns: ClassVar[tuple[Column, ...]] = ()
    """Of the table; none for a figure without numbers."""
    repeats: ClassVar[int] = 0
    """Seeds behind each printed number; 0 when not stated."""
    scales: ClassVar[Mapping[str, Scale]]
    absent: ClassVar[Mapping[str, str]] = {}
    """Printed rows, as ``row`` or ``data/row``, that no job makes -> why."""
    alone: ClassVar[tuple[str, ...]] = ()
    """Rows of ours, as ``row`` or ``data/row``, of which nothing is printed, in a study with printed numbers."""

    @abstractmethod
    def jobs(self, scale: str) -> list[Entry]:
        """What to run at a scale, with the labels of each job, in the order in which it is worth running.

        Raises:
            UserError: an unknown scale.
        """

    def scale(self, scale: str) -> Scale:
        """The settings of a scale. Raises UserError for an unknown one."""
        return self.scales[known(scale, SCALES, "scale")]

    def told(self, scale: str) -> str:
        """The scale in words, with what was published beside it."""
        return self.scale(scale).told(self.scales["paper"])

    def expected(self) -> tuple[Published, ...]:
        """The printed numbers; none for a figure without any."""
        return published(self.name)

    def table(self, results: Iterable[Row]) -> Table:
        """Ours beside what was printed; without columns, an empty one."""
        return tabulate(self.columns, results, self.expected(), self.repeats, self.apart())

    def figures(self, results: Sequence[Row]) -> list[Figure]:
        """The figures, from whatever results are there; none by default."""
        return []

    def data(self, name: str) -> Dataset:
        """A data set, or its twin where it cannot be opened here."""
        found = dataset(name)
        twin = TWINS.get(name)
        return dataset(twin) if twin is not None and found.find(self.root) is None else found

    def apart(self) -> list[str]:
        """Data sets of print whose place another one takes here: nothing on them is compared."""
        printed = dict.fromkeys(one.data for one in self.expected())
        return [name for name in printed if name in TWINS and self.data(name).name != name]

    def pixels(self, name: str) -> str:
        """Where the pixels of a data set come from, in words."""
        found, used = dataset(name), self.data(name)
        if used.name != found.name:
            return f"the twin {used.name}, drawn by unweave: no number here compares with one on {name}"
        file = found.find(self.root)
        if file is not None:
            return f"the published file {file.name}"
        source = used.open(self.root).source.removeprefix("drawn").strip(" :,")
        return "drawn by unweave" + (f": {source}" if source else "")

    def cost(self, entries: Sequence[Entry]) -> tuple[int, Cost]:
        """Number of different jobs among some of this study, and the sum of what they cost; those of one training share
        it."""
        each = [job.cost for job in {job.home: job for _, job in entries}.values()]
        whole = Cost(sum(one.seconds for one in each), sum(one.steps for one in each), sum(one.disk for one in each))
        return len({job.key for _, job in entries}), whole


def experiment(
    method: Method,
    data: Dataset,
    scale: Scale,
    paper: Scale,
    seed: int,
    *,
    latents: int = 10,
    likelihood: str | None = None,
    precision: str | None = None,
) -> Complete:
    """An experiment at a scale: schedules as long as its steps are to the published ones.

    Args:
        method: with its published hyperparameters and schedules.
        data: the data set.
        scale: steps, batch, learning rate and network.
        paper: the published ones.
        seed: from 0.
        latents: D.
        likelihood: the data set's own when None.
        precision: this machine's best when None.
    """
    shorter = method if scale.steps == paper.steps else method.over(scale.steps / paper.steps)
    return Experiment(
        shorter,
        data,
        network=scale.network,
        likelihood=likelihood,
        latents=latents,
        steps=scale.steps,
        batch=scale.batch,
        optimiser=Adam(lr=scale.lr),
        precision=precision,
        seed=seed,
    ).complete()


def spread(steps: int, points: int) -> tuple[int, ...]:
    """So many steps, or all where there are fewer, evenly to the last.

    >>> spread(100, 4), spread(2, 10)
    ((25, 50, 75, 100), (1, 2))
    """
    points = min(points, steps)
    return tuple(round(steps * (k + 1) / points) for k in range(points))


def published(study: str) -> tuple[Published, ...]:
    """The printed numbers of a study, from ``expected/<study>.csv``.

    Raises:
        UserError: a file whose columns are not those of ``Published``, or lines of another study.
    """
    file = resources.files("unweave.studies") / "expected" / f"{study}.csv"
    if not file.is_file():
        return ()
    lines = list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8"))))
    wrong = [line for line in lines if set(line) != set(Published._fields) or line["study"] != study]
    if wrong:
        raise UserError(f"expected/{study}.csv: {wrong[0]}; allowed: the columns {', '.join(Published._fields)}")
    return tuple(Published(**line) for line in lines)


def picked(results: Iterable[Row], **labels: str | int | float) -> list[Row]:
    """The whole results that carry all of these labels."""
    return [
        (own, result)
        for own, result in results
        if not result.failed and all(own.get(name) == value for name, value in labels.items())
    ]


def grouped(results: Iterable[Row], *names: str) -> dict[tuple[str | int | float, ...], list[Row]]:
    """Whole results by some of their labels, in order of appearance; those that lack one are left out."""
    found: dict[tuple[str | int | float, ...], list[Row]] = {}
    for own, result in results:
        if not result.failed and all(name in own for name in names):
            found.setdefault(tuple(own[name] for name in names), []).append((own, result))
    return found
