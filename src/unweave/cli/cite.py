"""``unweave cite``: the publications behind methods, metrics and data sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import tyro

from unweave.cli.console import Console
from unweave.cli.options import parse
from unweave.data import DATASETS
from unweave.methods import METHODS
from unweave.metrics import METRICS
from unweave.metrics.udr import DUAN_2020
from unweave.names import known
from unweave.references import WU_2022
from unweave.types import Reference, UserError


@dataclass(frozen=True)
class Options:
    """BibTeX entries of methods, metrics and data sets, each once.

    Args:
        names: of methods, metrics and data sets, as `unweave list` has them.
        json: print one JSON document instead of BibTeX.
    """

    names: Annotated[tuple[str, ...], tyro.conf.Positional] = ()
    json: bool = False


def run(argv: Sequence[str]) -> int:
    """Print the entries."""
    options = parse(Options, argv, "cite")
    kinds: dict[str, Any] = {**METHODS, **METRICS, **DATASETS}
    things: dict[str, tuple[Reference, ...]] = {name: kind.references for name, kind in kinds.items()}
    things |= {"udr": (DUAN_2020,), "failure-rate": (WU_2022,)}
    if not options.names:
        raise UserError(f"nothing to cite named; allowed: {', '.join(things)}")
    found: dict[str, Reference] = {}
    for name in options.names:
        for reference in things[known(name, things, "name")]:
            found.setdefault(reference.key, reference)
    console = Console(options.json)
    console.say("\n\n".join(reference.bibtex() for reference in found.values()))
    console.result({"references": [asdict(reference) for reference in found.values()]})
    return 0
