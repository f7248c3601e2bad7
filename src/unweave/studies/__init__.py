"""The papers' tables and figures: each a study, with what was printed beside what we run."""

from __future__ import annotations

from collections.abc import Mapping

from unweave.names import known
from unweave.studies import bhivae, deft, devae, recurd, standard, stcvae
from unweave.studies.base import SCALES as SCALES
from unweave.studies.base import Entry as Entry
from unweave.studies.base import Labels as Labels
from unweave.studies.base import Row as Row
from unweave.studies.base import Scale as Scale
from unweave.studies.base import Study as Study
from unweave.studies.base import experiment as experiment
from unweave.studies.figures import Curves as Curves
from unweave.studies.figures import Distributions as Distributions
from unweave.studies.figures import Figure as Figure
from unweave.studies.figures import HeatMap as HeatMap
from unweave.studies.figures import Scatter as Scatter
from unweave.studies.figures import Strips as Strips
from unweave.studies.table import Cell as Cell
from unweave.studies.table import Column as Column
from unweave.studies.table import Published as Published
from unweave.studies.table import Table as Table

STUDIES: Mapping[str, type[Study]] = {
    **devae.STUDIES,
    **deft.STUDIES,
    **bhivae.STUDIES,
    **recurd.STUDIES,
    **stcvae.STUDIES,
    **standard.STUDIES,
}
"""Every study by name, paper by paper."""


def study(name: str) -> type[Study]:
    """The study of a name.

    Raises UserError with the allowed names and the nearest match.

    >>> study("deft-fig14").where
    'Figure 14, section 5.4'
    """
    return STUDIES[known(name, STUDIES, "study")]
