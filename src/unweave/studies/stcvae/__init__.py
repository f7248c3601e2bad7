"""β-STCVAE (Chen et al., 2022): the capacity of groups of latents, and MIG of groups, as studies."""

from __future__ import annotations

from collections.abc import Mapping

from unweave.studies.base import Study
from unweave.studies.stcvae.capacity import STUDIES as CAPACITY
from unweave.studies.stcvae.models import STUDIES as MODELS

STUDIES: Mapping[str, type[Study]] = {**CAPACITY, **MODELS}
