"""How good: one metric a file, each a frozen dataclass that reads ``Codes``."""

from __future__ import annotations

from collections.abc import Sequence

from unweave.metrics.active_units import ActiveUnits as ActiveUnits
from unweave.metrics.base import Metric as Metric
from unweave.metrics.beta_vae import BetaVAEScore as BetaVAEScore
from unweave.metrics.dci import DCI as DCI
from unweave.metrics.downstream import Downstream as Downstream
from unweave.metrics.explicitness import Explicitness as Explicitness
from unweave.metrics.factor_vae import FactorVAEScore as FactorVAEScore
from unweave.metrics.failure import FailureRate as FailureRate
from unweave.metrics.failure import failure_rate as failure_rate
from unweave.metrics.gaussian_tc import GaussianTC as GaussianTC
from unweave.metrics.gaussian_wasserstein import GaussianWasserstein as GaussianWasserstein
from unweave.metrics.infomec import InfoMEC as InfoMEC
from unweave.metrics.information import information_matrix as information_matrix
from unweave.metrics.information import nmi as nmi
from unweave.metrics.irs import IRS as IRS
from unweave.metrics.levels import ceiling as ceiling
from unweave.metrics.levels import floor as floor
from unweave.metrics.mean_pairwise_mi import MeanPairwiseMI as MeanPairwiseMI
from unweave.metrics.med import MED as MED
from unweave.metrics.mig import MIG as MIG
from unweave.metrics.mig_posterior import MIGPosterior as MIGPosterior
from unweave.metrics.modularity import Modularity as Modularity
from unweave.metrics.reconstruction import Reconstruction as Reconstruction
from unweave.metrics.sap import SAP as SAP
from unweave.metrics.udr import Agreement as Agreement
from unweave.metrics.udr import udr as udr
from unweave.names import known
from unweave.types import Codes

METRICS: dict[str, type[Metric]] = {
    "mig": MIG,
    "dci": DCI,
    "sap": SAP,
    "factor-vae-score": FactorVAEScore,
    "beta-vae-score": BetaVAEScore,
    "modularity": Modularity,
    "explicitness": Explicitness,
    "irs": IRS,
    "med": MED,
    "mig-posterior": MIGPosterior,
    "infomec": InfoMEC,
    "downstream": Downstream,
    "gaussian-tc": GaussianTC,
    "gaussian-wasserstein": GaussianWasserstein,
    "mean-pairwise-mi": MeanPairwiseMI,
    "active-units": ActiveUnits,
    "reconstruction": Reconstruction,
}


def metric(name: str) -> type[Metric]:
    """The metric class of a name.

    Raises UserError with the allowed names and the nearest match.

    >>> metric("sap")(train=100)
    SAP(continuous=False, train=100, test=5000, n_jobs=-1, blocks='ignore')
    """
    return METRICS[known(name, METRICS, "metric")]


def quick() -> list[Metric]:
    """Every metric with its definition's settings, DCI by its fast estimator: seconds for 15,000 images."""
    return [
        MIG(),
        DCI(estimator="fast"),
        SAP(),
        FactorVAEScore(),
        BetaVAEScore(),
        Modularity(),
        Explicitness(),
        IRS(),
        MED(),
        GaussianTC(),
        GaussianWasserstein(),
        MeanPairwiseMI(),
        ActiveUnits(),
        Reconstruction(),
    ]


def full() -> list[Metric]:
    """Every metric as publications compute it, which takes minutes.

    DCI by scikit-learn's boosting, IRS with its factors in 20 bins, downstream accuracy with a penalty chosen by
    cross-validation.
    """
    return [
        MIG(),
        DCI(),
        SAP(),
        FactorVAEScore(),
        BetaVAEScore(),
        Modularity(),
        Explicitness(),
        IRS(bins=20),
        MED(),
        MIGPosterior(),
        InfoMEC(),
        Downstream(strength=None),
        GaussianTC(),
        GaussianWasserstein(),
        MeanPairwiseMI(),
        ActiveUnits(),
        Reconstruction(),
    ]


def applicable(metrics: Sequence[Metric], codes: Codes) -> list[Metric]:
    """Those of the metrics for which the codes carry what they read: factors, distortion, log-variances.

    >>> points = Codes.of([[0.0], [1.0]], [[0], [1]])
    >>> [m.name for m in applicable([MIG(), MIGPosterior(), GaussianTC(), Reconstruction()], points)]
    ['mig', 'gaussian-tc']
    """
    has = {"factors": codes.levels.shape[1] > 0, "distortion": bool(codes.distortion), "codes": True}
    return [each for each in metrics if has[each.reads] and (codes.logvar is not None or not each.posteriors)]
