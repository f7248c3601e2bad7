"""BHiVAE (Liu et al., 2021): its tables and figures as studies."""

from __future__ import annotations

from collections.abc import Mapping

from unweave.studies.base import Study
from unweave.studies.bhivae.faces import STUDIES as FACES
from unweave.studies.bhivae.unsupervised import STUDIES as UNSUPERVISED

STUDIES: Mapping[str, type[Study]] = {**UNSUPERVISED, **FACES}
