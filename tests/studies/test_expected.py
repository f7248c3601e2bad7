"""The published numbers that studies are compared with are the papers': a list of cells typed from the papers again."""

from __future__ import annotations

import csv
import math
from importlib.resources import files

import pytest

COLUMNS = ("study", "table_or_figure", "page", "data", "row", "column", "value", "spread", "note")
FORMULAS = ("recurd-table1",)
"""Tables that print formulas."""
SPOTS = """
devae-table1 | dsprites | DeVAE [1, 40] | MIG | 0.34 | 0.02
devae-table1 | dsprites | DeVAE [1, 40] | Recon | 48.31 | 27.98
devae-table1 | dsprites | DynamicVAE | FactorVAE | 0.82 | 0.05
devae-table1 | dsprites | DynamicVAE | Recon | 19.25 | 1.85
devae-table1 | dsprites | β-TCVAE β = 12 | DCI | 0.47 | 0.08
devae-table1 | dsprites | β-TCVAE β = 12 | Recon | 73.04 | 3.41
devae-table1 | dsprites | β-VAE β = 6 | MIG | 0.17 | 0.05
devae-table1 | shapes3d | DeVAE [1, 40] | DCI | 0.71 | 0.02
devae-table1 | shapes3d | DynamicVAE | FactorVAE | 0.87 | 0.10
devae-table1 | shapes3d | β-TCVAE β = 12 | FactorVAE | 0.78 | 0.01
devae-table1 | shapes3d | β-VAE β = 6 | MIG | 0.42 | 0.18
devae-table1 | shapes3d | β-VAE β = 6 | Recon | 34.95 | 2.34
devae-table2 | dsprites | none | Recon space 0 | 23.49 |
devae-table2 | dsprites | MS | MIG space 1 | 0.32 |
devae-table2 | dsprites | MS | Recon space 2 | 62.40 |
devae-table2 | dsprites | MS + HiS | MIG space 2 | 0.30 |
devae-table2 | dsprites | MS + HiS | Recon space 0 | 38.82 |
devae-table2 | dsprites | MS + HiS + DiT | MIG space 1 | 0.35 |
devae-table2 | dsprites | MS + HiS + DiT | Recon space 2 | 175.99 |
devae-table3 | dsprites | DeVAE [1, 10, 20, 40, 80] | Recon | 79.65 | 16.06
devae-table3 | dsprites | DeVAE [1, 10, 40] | Runtime (min) | 109 |
devae-table3 | shapes3d | DeVAE [1, 10] | Recon | 41.43 | 5.89
devae-table3 | shapes3d | DeVAE [1, 10, 40] | MIG | 0.56 | 0.01
deft-fig4 | dsprites | annealing test | freezing point | 32 |
deft-fig9 | color-dsprites | pressures | stage 2 | 105 |
deft-fig9 | dsprites | pressures | stage 3 | 12 |
deft-fig9 | scream-dsprites | pressures | stage 1 | 140 |
deft-table4 | color-dsprites | β-VAE | failure rate (%) | 24 |
deft-table4 | color-dsprites | CascadeVAE-C | failure rate (%) | 8 |
deft-table4 | dsprites | DEFT | failure rate (%) | 8 |
deft-table4 | dsprites | β-TCVAE | failure rate (%) | 2 |
deft-table4 | smallnorb | CascadeVAE-C | failure rate (%) | 10 |
deft-table4 | scream-dsprites | AnnealedVAE | failure rate (%) | 80 |
deft-table4 | scream-dsprites | β-TCVAE | failure rate (%) | 26 |
deft-fig16 | chairs3d | β-VAE | mutation point 2 | 16 |
bhivae-table1 | dsprites | VAE | Z-diff | 67.1 |
bhivae-table1 | dsprites | β-VAE β = 6 | MIG | 0.41 |
bhivae-table1 | dsprites | FactorVAE γ = 7 | SAP | 0.19 |
bhivae-table1 | dsprites | β-TCVAE α = 1, β = 8, γ = 2 | SAP | 0.41 |
bhivae-table1 | dsprites | Guided-VAE | SAP | 0.4320 |
bhivae-table1 | dsprites | BHiVAE β = 10, γ = 3 | SAP | 0.4312 |
bhivae-table1 | dsprites | BHiVAE β = 10, γ = 3 | MIG | 0.61 |
bhivae-table2 | mnist | VAE | d = 10 | 97.21 | 0.42
bhivae-table2 | mnist | β-VAE β = 6 | d = 32 | 94.78 | 0.53
bhivae-table2 | mnist | FactorVAE γ = 7 | d = 10 | 93.7 | 0.07
bhivae-table2 | mnist | β-TCVAE α = 1, β = 8, γ = 2 | d = 16 | 98.6 | 0.05
bhivae-table2 | mnist | Guided-VAE | d = 32 | 98.40 | 0.08
bhivae-table2 | mnist | BHiVAE β = 10, γ = 3 | d = 32 | 99.0 | 0.05
recurd-table1 | any | FactorVAE | λ_b | γ |
recurd-table1 | any | InfoVAE | λ_a | 1 − α |
recurd-table2 | dsprites | β-VAE β = 4 | Recon | 0.0066 |
recurd-table2 | dsprites | β-VAE β = 60 | SAP | 0.0445 |
recurd-table2 | dsprites | AnnealedVAE | MIG | 0.1177 |
recurd-table2 | dsprites | DIP-VAE | DCI-D | 0.1038 |
recurd-table2 | dsprites | RecurD | DCI-D | 0.3841 |
recurd-table2 | shapes3d | β-VAE β = 16 | Recon | 0.0544 |
recurd-table2 | shapes3d | FactorVAE γ = 6.4 | SAP | 0.1331 |
recurd-table2 | shapes3d | β-TCVAE β = 4 | SAP | 0.0364 |
recurd-table2 | shapes3d | DIP-VAE | MIG | 0.3108 |
recurd-table2 | shapes3d | RecurD | MIG | 0.3105 |
recurd-table6 | dsprites | β-TCVAE β = 4 | DCI-C | 0.1988 |
recurd-table6 | dsprites | RecurD | DCI-I | 0.2222 |
recurd-table6 | shapes3d | AnnealedVAE | DCI-C | 0.4419 |
recurd-table6 | shapes3d | β-VAE β = 60 | DCI-I | 0.1641 |
recurd-table7 | cars3d | β-VAE β = 4 | MIG | 0.1015 |
recurd-table7 | cars3d | NVAE | Recon | 0.0118 |
recurd-table7 | dsprites | InfoGAN | MIG | 0.1598 |
recurd-table7 | shapes3d | ControlVAE | Recon | 0.0357 |
recurd-table8 | shapes3d | RecurD | MIG of m^{L-2} | 0.1081 |
recurd-table8 | shapes3d | RecurD | MIG of m^{L-1} | 0.2892 |
recurd-table9 | shapes3d | Att | Recon | 0.0095 |
recurd-table9 | shapes3d | Linear | MIG | 0.2539 |
recurd-table10 | shapes3d | FactorVAE | Params (M) | 4.779 |
recurd-table10 | shapes3d | RecurD 2 | Con. time (s) | 23.3197 |
recurd-table10 | celeba | RecurD 1 | Eva. time (s) | 0.01065 |
recurd-table10 | celeba | FactorVAE | Con. time (s) | 48.9939 |
recurd-table10 | celeba | RecurD 2 without critics | MACs (G) | 2.960 |
recurd-table10 | celeba | RecurD 2, shared critics | Params (M) | 1.325 |
stcvae-fig2 | all | β-TCVAE | mean grouping coefficient | 0.178 |
"""


def published() -> dict[str, list[dict[str, str]]]:
    """Every file of the package's ``studies/expected``: study -> its lines."""
    found = {}
    for path in (files("unweave") / "studies" / "expected").iterdir():
        if path.name.endswith(".csv"):
            with path.open(encoding="utf-8") as lines:
                found[path.name.removesuffix(".csv")] = list(csv.DictReader(lines))
    return found


@pytest.mark.parametrize("spot", SPOTS.strip().splitlines())
def test_published_numbers_are_the_papers(spot: str) -> None:
    study, data, row, column, value, spread = (word.strip() for word in spot.split("|"))
    asked = (data, row, column)
    found = [one for one in published()[study] if (one["data"], one["row"], one["column"]) == asked]
    assert [(one["value"], one["spread"]) for one in found] == [(value, spread)]


def test_the_spot_list_is_long_enough_and_covers_the_five_papers() -> None:
    spots = SPOTS.strip().splitlines()
    assert len(set(spots)) == len(spots) >= 60
    assert {spot.split("-")[0] for spot in spots} == {"devae", "deft", "bhivae", "recurd", "stcvae"}


@pytest.mark.parametrize("study", sorted(published()))
def test_a_file_of_published_numbers_parses(study: str) -> None:
    lines = published()[study]
    assert lines
    for one in lines:
        assert tuple(one) == COLUMNS and None not in one.values()
        assert one["study"] == study and one["data"] and one["row"] and one["column"]
        assert one["table_or_figure"].startswith(("Table", "Figure", "scale study"))
        if study not in FORMULAS:
            assert math.isfinite(float(one["value"])) and float(one["spread"] or 0) >= 0
    cells = [(one["data"], one["row"], one["column"]) for one in lines]
    assert len(set(cells)) == len(cells), "a cell stands twice"


@pytest.mark.parametrize(
    ("study", "cells"),
    [
        ("devae-table1", 32),
        ("devae-table2", 20),
        ("devae-table3", 18),
        ("deft-table4", 20),
        ("bhivae-table1", 18),
        ("bhivae-table2", 18),
        ("recurd-table1", 10),
        ("recurd-table2", 64),
        ("recurd-table6", 48),
        ("recurd-table7", 27),
        ("recurd-table8", 4),
        ("recurd-table9", 8),
        ("recurd-table10", 38),
    ],
)
def test_no_cell_of_a_table_is_missing(study: str, cells: int) -> None:
    assert len(published()[study]) == cells
