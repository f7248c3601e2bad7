"""The papers that studies are of."""

from __future__ import annotations

from collections.abc import Mapping

from unweave.methods import DEFT, BetaSTCVAE, BHiVAE, DeVAE, RecurD
from unweave.references import LOCATELLO_2019
from unweave.types import Reference

PAPERS: Mapping[str, tuple[str, Reference]] = {
    "devae": ("DeVAE", DeVAE.references[0]),
    "deft": ("DEFT", DEFT.references[0]),
    "bhivae": ("BHiVAE", BHiVAE.references[0]),
    "recurd": ("RecurD", RecurD.references[0]),
    "stcvae": ("β-STCVAE", BetaSTCVAE.references[0]),
    "field": ("the field's comparison", LOCATELLO_2019),
}
"""Name of a paper in a study -> what it is called, and the publication."""
