"""InfoMEC: modularity, explicitness and compactness, each from information."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from unweave.metrics.base import Metric
from unweave.metrics.blocks import Blocks, Sets, among, grouping, suffix
from unweave.metrics.checks import at_least, check_jobs, threads
from unweave.metrics.information import discretise, entropy, joined, mutual_information
from unweave.metrics.logistic import quietly, standardise
from unweave.metrics.rows import Floats, Ints, generator, sample, table
from unweave.names import known
from unweave.types import Codes, Reference, Score, UserError

LARGEST = 1 << 26
"""Entries of the table, one column a value, that the classifier of quantised codes may read."""
ESTIMATORS = ("neighbours", "bins", "values")


@dataclass(frozen=True)
class InfoMEC(Metric):
    """InfoMEC (Hsu et al., 2023): InfoM, InfoE and InfoC; the value is InfoM, modularity.

    With NMI_jk = I(z_j; v_k) / H(v_k) of the D latents that are active and the F factors:
    InfoM = (mean_j [max_k NMI_jk / Σ_k NMI_jk] − 1/F) / (1 − 1/F): does a latent tell one factor only;
    InfoC = (mean_k [max_j NMI_jk / Σ_j NMI_jk] − 1/D) / (1 − 1/D): is a factor told by one latent only;
    InfoE = mean_k [1 − CE_k / ln n_k]: which share of a factor of n_k levels a linear classifier of all latents reads,
    CE_k the cross-entropy of an unpenalised logistic regression with balanced classes on its own training rows, ln n_k
    that of the same classifier without latents.

    A latent is active when its range is above ``active`` times the largest range. A latent (factor) that shares no
    information counts as one that shares all alike; InfoM with one factor, and InfoC with one active latent, are 1;
    with no active latent all three are 0.

    Args:
        estimator: of I(z_j; v_k): ``neighbours``, nearest neighbours (Ross, 2014); ``bins``, plug-in with equal-width
            bins as in MIG; ``values``, plug-in with the distinct values of a latent, for quantised codes. ``values``
            also gives the classifier one column for each value, in place of a standardised latent.
        neighbours: k of ``neighbours``.
        bins: of ``bins``.
        active: least range of a latent as a share of the largest; with ``values`` any latent that varies is active.
        images: images read, drawn without replacement when there are more; None for all.
        n_jobs: factors worked on at once, as in joblib: −1 for one a processor. Never changes the score.
        blocks: ``ignore``: each latent is a code; ``joint``: the active latents of a block are one code j of D codes;
            its information is that of all of them, by neighbours at the largest distance over the latents, each in
            units of its own spread. InfoE reads all latents either way.

    Parts: ``infom``, ``infoe``, ``infoc`` and ``infoe.NAME`` of each factor. All lie in [0, 1] but for InfoE,
    which is below 0 where levels are unequally common and latents say little of the rare ones: the classifier weights
    levels alike, the cross-entropy images. ``not_converged`` counts unfinished fits. The settings name ``inactive``
    latents, and ``constant_factors`` that were left out.

    Raises UserError for codes without factors, fewer than 10 images, or an unknown estimator.

    >>> import torch
    >>> levels = torch.cartesian_prod(torch.arange(3), torch.arange(3), torch.arange(20))[:, :2]
    >>> score = InfoMEC(estimator="values")(Codes.of(levels.float(), levels))
    >>> [round(score.parts[name], 3) for name in ("infom", "infoe", "infoc")]
    [1.0, 1.0, 1.0]
    """

    name: ClassVar[str] = "infomec"
    references: ClassVar[tuple[Reference, ...]] = (
        Reference(
            "hsu2023disentanglement",
            "Hsu, Kyle and Dorrell, Will and Whittington, James C. R. and Wu, Jiajun and Finn, Chelsea",
            "Disentanglement via Latent Quantization",
            "Advances in Neural Information Processing Systems",
            2023,
            "https://arxiv.org/abs/2305.18378",
        ),
        Reference(
            "ross2014mutual",
            "Ross, Brian C.",
            "Mutual Information between Discrete and Continuous Data Sets",
            "PLoS ONE 9(2)",
            2014,
            "https://doi.org/10.1371/journal.pone.0087357",
        ),
    )
    cost: ClassVar[str] = "5 s"

    estimator: Literal["neighbours", "bins", "values"] = "neighbours"
    neighbours: int = 10
    bins: int = 20
    active: float = 0.05
    images: int | None = 10_000
    n_jobs: int = -1
    blocks: Blocks = "ignore"

    @property
    def label(self) -> str:
        """``infomec``, with the estimator behind it where it is not the published one; then ``blocks``."""
        words = [] if self.estimator == "neighbours" else [self.estimator]
        other = {"neighbours": ("neighbours", "active"), "bins": ("bins", "active")}.get(self.estimator, ())
        return "-".join([self.name, *words, *self.words(*other), *suffix(self.blocks)])

    def check(self) -> None:
        """Raises UserError for settings that no score can be computed with."""
        known(self.estimator, ESTIMATORS, "estimator of InfoMEC")
        at_least("InfoMEC", 1, neighbours=self.neighbours)
        at_least("InfoMEC", 2, bins=self.bins)
        at_least("InfoMEC", 10, images=self.images)
        check_jobs("InfoMEC", self.n_jobs)
        if not 0 <= self.active < 1:
            raise UserError(f"InfoMEC: active = {self.active}; allowed is 0 or more and below 1")

    def __call__(self, codes: Codes, seed: int = 0) -> Score:
        import sklearn

        self.check()
        rows = table(codes, "InfoMEC")
        rows = rows.take(sample(len(rows.z), self.images, seed))
        rows = rows.without(np.ptp(rows.levels, axis=0) == 0, "InfoMEC")
        sets, notes = grouping(codes, self.blocks, "InfoMEC", rows.notes)
        widths = np.ptp(rows.z, axis=0)
        live = widths > (0.0 if self.estimator == "values" else self.active * widths.max())
        # The seed of the classifier's stream breaks ties between equal values, and that of latents alone.
        number = int(generator(seed, "classifier").integers(2**31))
        share = self._information(rows.z[:, live], rows.levels, among(sets, live), number) / entropy(rows.levels)
        inputs = self._inputs(rows.z)
        with quietly():
            fits = threads("InfoMEC", _explicitness, [(inputs, column) for column in rows.levels.T], self.n_jobs)
        explicit = [value for value, _ in fits] if live.any() else [0.0] * len(fits)
        parts = {"infom": preference(share), "infoe": float(np.mean(explicit)), "infoc": preference(share.T)}
        parts |= {f"infoe.{name}": float(value) for name, value in zip(rows.names, explicit, strict=True)}
        settings = {**self.settings(codes, seed), "images": len(rows.z), "inactive": np.flatnonzero(~live).tolist()}
        settings |= {"not_converged": sum(not done for _, done in fits), "sklearn": sklearn.__version__, **notes}
        del settings["n_jobs"]
        return Score(parts["infom"], parts, settings)

    def _inputs(self, z: Floats) -> Floats:
        """What the classifier of InfoE reads."""
        if self.estimator != "values":
            return standardise(z)[0]
        distinct = sum(len(np.unique(column)) for column in z.T)
        if distinct * len(z) > LARGEST:
            raise UserError(
                f"InfoMEC: estimator = 'values' of {z.shape[1]} latents with {distinct:,} different values on "
                f"{len(z):,} images; allowed: quantised codes, of {LARGEST // len(z):,} values at most on so many"
            )
        return _columns(z)

    def _information(self, z: Floats, levels: Ints, sets: Sets, seed: int) -> Floats:
        """(B, F) mutual information of sets of latents and factors, in nats."""
        if not z.shape[1]:
            return np.zeros((0, levels.shape[1]))
        if self.estimator == "neighbours":
            arguments = [(z[:, unit], column, self.neighbours, seed) for unit in sets for column in levels.T]
            return np.array(threads("InfoMEC", _neighbours, arguments, self.n_jobs)).reshape(len(sets), -1)
        if self.estimator == "bins":
            return mutual_information(joined(discretise(z, self.bins), sets), levels)
        symbols = [np.unique(column, return_inverse=True)[1].reshape(-1) for column in z.T]
        return mutual_information(joined(np.stack(symbols, axis=1), sets), levels)


def preference(share: Floats) -> float:
    """(mean over rows of max / sum − 1/n) / (1 − 1/n) of a matrix with n columns: 1 where each row has one entry.

    >>> round(preference(np.eye(3)), 6), round(preference(np.ones((2, 3))), 6), preference(np.zeros((2, 3)))
    (1.0, 0.0, 0.0)
    """
    many, n = share.shape
    if not many or not n:
        return 0.0
    if n == 1:
        return 1.0
    total = share.sum(1)
    ratio = np.divide(share.max(1), total, out=np.full(many, 1 / n), where=total > 0)
    return float((ratio.mean() - 1 / n) / (1 - 1 / n))


def _neighbours(z: Floats, levels: Ints, neighbours: int, seed: int) -> float:
    from sklearn.feature_selection import mutual_info_classif

    if z.shape[1] > 1:
        return several_neighbours(standardise(z)[0], levels, neighbours, np.random.default_rng(seed))
    z = z / np.abs(z).max()  # the estimate does not change, and squares neither overflow nor vanish
    found = mutual_info_classif(z, levels, discrete_features=False, n_neighbors=neighbours, random_state=seed)
    return float(found[0])


def several_neighbours(z: Floats, levels: Ints, neighbours: int, random: np.random.Generator) -> float:
    """Ross's estimate of I(z; v) of several latents together, in nats, never below 0.

    ψ(M) + ⟨ψ(k)⟩ − ⟨ψ(M_v)⟩ − ⟨ψ(m)⟩ over the images whose level v occurs more than once, M of them: M_v have the same
    level, k is ``neighbours`` or M_v − 1 where that is less, and m counts the images nearer than the k-th of those with
    the same level, itself among them (Ross, 2014). Distances are the largest over the latents. As in scikit-learn's
    estimate of one latent, 1e-10 of noise breaks ties.

    Args:
        z: (M, D) latents in comparable units.
        levels: (M,) factor levels.
        neighbours: k.
        random: of the noise.

    >>> bits = np.arange(400) % 4
    >>> corners = np.stack([bits // 2, bits % 2], axis=1).astype(float)
    >>> round(several_neighbours(corners, bits, 3, np.random.default_rng(0)), 2)  # ln 4
    1.39
    """
    from scipy.spatial import cKDTree
    from scipy.special import digamma

    z = z + 1e-10 * random.standard_normal(z.shape)
    seen, place, count = np.unique(levels, return_inverse=True, return_counts=True)
    place = place.reshape(-1)
    radius, near = np.zeros(len(z)), np.zeros(len(z))
    for v in range(len(seen)):
        if count[v] > 1:
            rows, k = np.flatnonzero(place == v), min(neighbours, int(count[v]) - 1)
            reached = cKDTree(z[rows]).query(z[rows], k=[k + 1], p=np.inf)[0][:, 0]
            radius[rows], near[rows] = np.nextafter(reached, 0), k
    used = count[place] > 1
    if not used.any():
        return 0.0
    tree = cKDTree(z[used])
    inside = tree.query_ball_point(z[used], radius[used], p=np.inf, return_length=True)
    parts = digamma(near[used]) - digamma(count[place][used]) - digamma(inside)
    return max(0.0, float(digamma(used.sum()) + parts.mean()))


def _columns(z: Floats) -> Floats:
    """One column of zeros and ones for each distinct value of each latent."""
    return np.concatenate([(np.unique(column)[None, :] == column[:, None]) * 1.0 for column in z.T], axis=1)


def _explicitness(inputs: Floats, levels: Ints) -> tuple[float, bool]:
    """1 − cross-entropy / ln n of a balanced, unpenalised logistic regression, and whether it converged."""
    from scipy.special import log_softmax
    from sklearn.linear_model import LogisticRegression

    seen, classes = np.unique(levels, return_inverse=True)
    model = LogisticRegression(C=np.inf, class_weight="balanced", max_iter=100).fit(inputs, classes)
    logits = model.decision_function(inputs)
    logits = np.stack([np.zeros_like(logits), logits], axis=1) if logits.ndim == 1 else logits
    log_p = log_softmax(logits, axis=1)[np.arange(len(levels)), classes]
    # Probabilities below the spacing of floating-point numbers count as that, as in scikit-learn's log-loss.
    loss = -np.maximum(log_p, math.log(np.finfo(np.float64).eps)).mean()
    return float(1 - loss / math.log(len(seen))), bool(np.all(model.n_iter_ < model.max_iter))
