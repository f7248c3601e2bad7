"""DEFT (Wu et al., 2022): its tables and figures as studies."""

from __future__ import annotations

from collections.abc import Mapping

from unweave.studies.base import Study
from unweave.studies.deft.bottlenecks import DEFTFig2, DEFTFig3, DEFTFig6, DEFTFig7
from unweave.studies.deft.freezing import DEFTFig4, DEFTFig8, DEFTFig9, DEFTFig16
from unweave.studies.deft.pictures import DEFTFig14, DEFTFig15, DEFTFig17
from unweave.studies.deft.scores import DEFTFig1, DEFTFig10, DEFTFig11, DEFTFig12, DEFTFig13, DEFTTable4

STUDIES: Mapping[str, type[Study]] = {
    one.name: one
    for one in (
        DEFTFig1,
        DEFTFig2,
        DEFTFig3,
        DEFTFig4,
        DEFTFig6,
        DEFTFig7,
        DEFTFig8,
        DEFTFig9,
        DEFTFig10,
        DEFTFig11,
        DEFTFig12,
        DEFTFig13,
        DEFTTable4,
        DEFTFig14,
        DEFTFig15,
        DEFTFig16,
        DEFTFig17,
    )
}
