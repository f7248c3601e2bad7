"""``unweave list``: what there is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import tyro

from unweave.cli.console import Console
from unweave.cli.options import parse
from unweave.data import DATASETS
from unweave.methods import METHODS
from unweave.metrics import METRICS, failure_rate, udr
from unweave.metrics.udr import DUAN_2020
from unweave.names import known
from unweave.networks.conv import LAYOUTS
from unweave.references import WU_2022
from unweave.report.settings import words
from unweave.report.text import table
from unweave.studies import SCALES, STUDIES
from unweave.studies.kept import standing
from unweave.types import Reference, UserError


@dataclass(frozen=True)
class Options:
    """Methods, metrics, data sets, networks or studies by name.

    Args:
        what: methods, metrics, data, networks or studies.
        out: folder of run folders, in which studies are looked for.
        results: folder of the CSVs of studies; when None those in the folder of runs and in ./results, if there.
        json: print one JSON document, with every setting and its default.
    """

    what: Annotated[str, tyro.conf.Positional] = ""
    out: Path = Path("runs")
    results: Path | None = None
    json: bool = False


def run(argv: Sequence[str]) -> int:
    """Print one of the lists."""
    options = parse(Options, argv, "list")
    lists = {"methods": methods, "metrics": metrics, "data": lambda: data(None), "networks": networks}
    lists["studies"] = lambda: studies(options.out, _folders(options))
    if not options.what:
        raise UserError(f"no list named; allowed: {', '.join(lists)}")
    full = lists[known(options.what, lists, "list")]()
    console = Console(options.json)
    console.say(table([{key: value for key, value in row.items() if isinstance(value, str | int)} for row in full]))
    console.result({options.what: full})
    return 0


def methods() -> list[dict[str, Any]]:
    """One row a method."""
    return [
        {
            "name": name,
            "paper": kind.references[0].short if kind.references else "",
            "what": kind.summary,
            "settings": _fields(kind),
            "cite": _keys(kind.references),
        }
        for name, kind in METHODS.items()
    ]


def metrics() -> list[dict[str, Any]]:
    """One row a metric, and one each for the two numbers that several runs make together."""
    rows: list[dict[str, Any]] = [
        {
            "name": name,
            "what": _first(kind),
            "range": "{:g} … {:g}".format(*kind.limits).replace("inf", "∞"),
            "better": kind.better,
            "reads": kind.reads,
            "cost": kind.cost,
            "paper": kind.references[0].short,
            "settings": _fields(kind),
            "cite": _keys(kind.references),
        }
        for name, kind in METRICS.items()
    ]
    several = {"range": "0 … 1", "settings": {}}
    agree = {"better": "higher", "reads": "several models", "cost": "1.8 s for 10 models", "paper": DUAN_2020.short}
    rows.append({"name": "udr", "what": _first(udr), **several, **agree, "cite": [DUAN_2020.key]})
    failed = {"better": "lower", "reads": "several scores", "cost": "none", "paper": WU_2022.short}
    rows.append({"name": "failure-rate", "what": _first(failure_rate), **several, **failed, "cite": [WU_2022.key]})
    return rows


def data(root: Path | None) -> list[dict[str, Any]]:
    """One row a data set, with the file that was found for it."""
    rows = []
    for kind in DATASETS.values():
        row = dict(kind().describe(root))
        row["pixels"] = row["found"] or ("no files found" if kind.needs_files else "drawn")
        row["size"] = "×".join(map(str, row["shape"]))
        rows.append(row)
    return rows


def networks() -> list[dict[str, Any]]:
    """One row a network preset."""
    rows: list[dict[str, Any]] = [
        {
            "name": name,
            "encoder": f"conv {words(one.down)}, dense {words(one.dense)}",
            "decoder": f"dense {words(one.undense)}, conv {words((one.start, *one.up))}",
        }
        for name, one in LAYOUTS.items()
    ]
    return [*rows, {"name": "mlp", "encoder": "dense, widths of --hidden (1200 1200)", "decoder": "the same backwards"}]


def studies(out: Path, results: Sequence[Path]) -> list[dict[str, Any]]:
    """One row a study: how far it has come, what small and paper cost, and how many printed cells agree."""
    rows: list[dict[str, Any]] = []
    for name, kind in STUDIES.items():
        one = kind()
        jobs = {scale: one.jobs(scale) for scale in SCALES}
        where = standing(one, out, results, jobs)
        table = one.table(where.results)
        agree = f"{table.agreeing} of {len(table.compared)}" if table.compared else ""
        small, paper = (one.cost(jobs[scale])[1].seconds / 3600 for scale in ("small", "paper"))
        rows.append(
            {
                "name": name,
                "where": one.where,
                "what": one.title,
                "status": where.words,
                "core hours": f"{small:.1f} / {paper:,.0f}",
                "printed": table.printed,
                "within 2 s.e.": agree,
                "core hours of small": small,
                "core hours of paper": paper,
                "scales": {scale: one.told(scale) for scale in SCALES},
            }
        )
    return rows


def _folders(options: Options) -> list[Path]:
    """Where a study may have left its CSV."""
    return [options.out / "studies", Path("results")] if options.results is None else [options.results]


def _first(what: Any) -> str:
    return (what.__doc__ or "").splitlines()[0]


def _fields(kind: type) -> dict[str, Any]:
    return {one.name: None if one.default is MISSING else one.default for one in fields(kind)}


def _keys(references: Sequence[Reference]) -> list[str]:
    return [one.key for one in references]
