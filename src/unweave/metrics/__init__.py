"""How good: one metric a file, each a frozen dataclass that reads ``Codes``."""

from __future__ import annotations

from collections.abc import Sequence

from unweave.metrics.base import Metric as Metric
from unweave.metrics.dci import DCI as DCI
from unweave.metrics.factor_vae import FactorVAEScore as FactorVAEScore
from unweave.metrics.information import information_matrix as information_matrix
from unweave.metrics.information import nmi as nmi
from unweave.metrics.levels import ceiling as ceiling
from unweave.metrics.levels import floor as floor
from unweave.metrics.mig import MIG as MIG
from unweave.metrics.reconstruction import Reconstruction as Reconstruction
from unweave.metrics.sap import SAP as SAP
from unweave.names import known
from unweave.types import Codes

METRICS: dict[str, type[Metric]] = {
    "mig": MIG,
    "dci": DCI,
    "sap": SAP,
    "factor-vae-score": FactorVAEScore,
    "reconstruction": Reconstruction,
}


def metric(name: str) -> type[Metric]:
    """The metric class of a name.

    Raises UserError with the allowed names and the nearest match.

    >>> metric("mig")(bins=10)
    MIG(bins=10, images=10000)
    """
    return METRICS[known(name, METRICS, "metric")]


def quick() -> list[Metric]:
    """Every metric with its definition's settings, DCI by its fast estimator: seconds for 15,000 images."""
    return [MIG(), DCI(estimator="fast"), SAP(), FactorVAEScore(), Reconstruction()]


def full() -> list[Metric]:
    """Every metric as publications compute it: ``quick`` with DCI by scikit-learn's boosting, which takes minutes."""
    return [MIG(), DCI(), SAP(), FactorVAEScore(), Reconstruction()]


def applicable(metrics: Sequence[Metric], codes: Codes) -> list[Metric]:
    """Those of the metrics for which the codes carry what they read: factors, distortion.

    >>> [m.name for m in applicable(quick(), Codes.of([[0.0], [1.0]], [[0], [1]]))]
    ['mig', 'dci', 'sap', 'factor-vae-score']
    """
    has = {"factors": codes.levels.shape[1] > 0, "distortion": bool(codes.distortion)}
    return [each for each in metrics if has[each.reads]]
