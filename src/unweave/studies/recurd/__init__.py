"""RecurD (Chen et al., 2022): its tables and figures as studies."""

from __future__ import annotations

from collections.abc import Mapping

from unweave.studies.base import Study
from unweave.studies.recurd.ablations import STUDIES as ABLATIONS
from unweave.studies.recurd.downstream import STUDIES as DOWNSTREAM
from unweave.studies.recurd.effort import STUDIES as EFFORT
from unweave.studies.recurd.inside import STUDIES as INSIDE
from unweave.studies.recurd.pictures import STUDIES as PICTURES
from unweave.studies.recurd.scores import STUDIES as SCORES
from unweave.studies.recurd.weights import STUDIES as WEIGHTS

STUDIES: Mapping[str, type[Study]] = {
    **WEIGHTS,
    **SCORES,
    **INSIDE,
    **ABLATIONS,
    **EFFORT,
    **DOWNSTREAM,
    **PICTURES,
}
