"""DeVAE (Wu et al., 2023): its tables and figures as studies."""

from __future__ import annotations

from collections.abc import Mapping

from unweave.studies.base import Study
from unweave.studies.devae.figures import DeVAEEV1, DeVAEFig2, DeVAEFig3, DeVAEFig4
from unweave.studies.devae.tables import DeVAEEV2, DeVAETable1, DeVAETable2, DeVAETable3

STUDIES: Mapping[str, type[Study]] = {
    one.name: one
    for one in (DeVAETable1, DeVAETable2, DeVAETable3, DeVAEFig2, DeVAEFig3, DeVAEFig4, DeVAEEV1, DeVAEEV2)
}
