"""How closely DCI's quick estimator follows scikit-learn's gradient boosting, on codes of many qualities.

    python benchmarks/dci_estimators.py                                  every code and estimator, 4,000 / 2,000 rows
    python benchmarks/dci_estimators.py --train 10000 --test 5000 --codes rotated vae-like

Each code has 10 latents and dSprites' five factors (3, 6, 40, 32 and 32 levels). Results are merged into the CSV file:
rows of the same code, estimator and size are replaced. Besides the two estimators of ``DCI``, two forests are measured.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
import torch
from scipy.stats import spearmanr
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier

from unweave.metrics import DCI
from unweave.metrics.dci import completeness, disentanglement
from unweave.metrics.rows import split
from unweave.types import Codes

SIZES = (3, 6, 40, 32, 32)
NAMES = ("shape", "scale", "orientation", "x", "y")
HEADER = "code estimator train test seed disentanglement completeness informativeness seconds sklearn machine command"
Array = np.ndarray[Any, Any]


def make(name: str, rows: int) -> Codes:
    """The named code on a uniform sample of factor levels; everything follows from the name."""
    random = np.random.default_rng(2024)
    levels = np.stack([random.integers(size, size=rows) for size in SIZES], axis=1)
    v = (levels - (np.array(SIZES) - 1) / 2) / np.sqrt((np.array(SIZES) ** 2 - 1) / 12)
    return Codes.of(CODES[name](v, levels, random), levels, sizes=SIZES, names=NAMES)


def _normal(v: Array, random: np.random.Generator, width: int = 5) -> Array:
    return random.standard_normal((len(v), width))


def _perfect(v: Array, levels: Array, random: np.random.Generator) -> Array:
    return np.hstack([v, _normal(v, random)])


def _noisy(v: Array, levels: Array, random: np.random.Generator) -> Array:
    return np.hstack([v + 0.3 * _normal(v, random), _normal(v, random)])


def _drowned(v: Array, levels: Array, random: np.random.Generator) -> Array:
    return np.hstack([v + 1.5 * _normal(v, random), _normal(v, random)])


def _rotated(v: Array, levels: Array, random: np.random.Generator) -> Array:
    rotation = np.linalg.qr(random.standard_normal((5, 5)))[0]
    return np.hstack([v @ rotation + 0.1 * _normal(v, random), _normal(v, random)])


def _half_rotated(v: Array, levels: Array, random: np.random.Generator) -> Array:
    turn, out = np.pi / 8, v.copy()
    out[:, 3] = np.cos(turn) * v[:, 3] - np.sin(turn) * v[:, 4]
    out[:, 4] = np.sin(turn) * v[:, 3] + np.cos(turn) * v[:, 4]
    return np.hstack([out + 0.1 * _normal(v, random), 0.01 * _normal(v, random)])


def _duplicated(v: Array, levels: Array, random: np.random.Generator) -> Array:
    return np.hstack([v, v])


def _nearly_duplicated(v: Array, levels: Array, random: np.random.Generator) -> Array:
    return np.hstack([v + 0.2 * _normal(v, random), v + 0.2 * _normal(v, random)])


def _missing(v: Array, levels: Array, random: np.random.Generator) -> Array:
    return np.hstack([v[:, [1, 3, 4]] + 0.1 * _normal(v, random, 3), _normal(v, random, 7)])


def _mixture(v: Array, levels: Array, random: np.random.Generator) -> Array:
    return np.asarray(v @ random.standard_normal((5, 10)) + 0.1 * _normal(v, random, 10))


def _sparse_mixture(v: Array, levels: Array, random: np.random.Generator) -> Array:
    weights = random.standard_normal((5, 10)) * (random.random((5, 10)) < 0.35)
    return np.asarray(v @ weights + 0.2 * _normal(v, random, 10))


def _nonlinear(v: Array, levels: Array, random: np.random.Generator) -> Array:
    bent = np.stack([np.tanh(2 * v[:, 0]), v[:, 1] ** 3, v[:, 2] * v[:, 3], np.abs(v[:, 3]), np.exp(v[:, 4])], axis=1)
    return np.hstack([bent + 0.1 * _normal(v, random), np.sin(3 * v) + 0.3 * _normal(v, random)])


def _circular(v: Array, levels: Array, random: np.random.Generator) -> Array:
    angle = 2 * np.pi * levels[:, [2]] / 40
    ring = np.hstack([np.cos(angle), np.sin(angle), np.cos(2 * angle), np.sin(2 * angle)])
    out = np.hstack([v[:, [0, 1, 3, 4]], ring])
    return np.hstack([out + 0.1 * _normal(v, random, 8), _normal(v, random, 2)])


def _vae_like(v: Array, levels: Array, random: np.random.Generator) -> Array:
    """Position on two latents, scale noisily on one, orientation as a ring that shape bends, three dead latents."""
    angle = 2 * np.pi * levels[:, 2] / 40 * np.array([4, 2, 1])[levels[:, 0]]
    size = 1 + 0.3 * v[:, 1]
    live = np.stack([v[:, 3], v[:, 4], v[:, 1] + 0.4 * v[:, 0], size * np.cos(angle), size * np.sin(angle)], axis=1)
    more = np.stack([0.7 * v[:, 0] + 0.5 * np.cos(angle), 0.3 * v[:, 3] * v[:, 0]], axis=1)
    return np.hstack(
        [live + 0.15 * _normal(v, random), more + 0.4 * _normal(v, random, 2), 0.02 * _normal(v, random, 3)]
    )


def _vae_entangled(v: Array, levels: Array, random: np.random.Generator) -> Array:
    hidden = np.tanh(_vae_like(v, levels, random)[:, :7] @ random.standard_normal((7, 24)) / 2)
    return np.asarray(hidden @ random.standard_normal((24, 10)) / 3 + 0.1 * _normal(v, random, 10))


def _noise(v: Array, levels: Array, random: np.random.Generator) -> Array:
    return _normal(v, random, 10)


CODES: dict[str, Callable[[Array, Array, np.random.Generator], Array]] = {
    "perfect": _perfect,
    "noisy": _noisy,
    "drowned": _drowned,
    "rotated": _rotated,
    "half-rotated": _half_rotated,
    "duplicated": _duplicated,
    "nearly-duplicated": _nearly_duplicated,
    "missing": _missing,
    "mixture": _mixture,
    "sparse-mixture": _sparse_mixture,
    "nonlinear": _nonlinear,
    "circular": _circular,
    "vae-like": _vae_like,
    "vae-entangled": _vae_entangled,
    "noise": _noise,
}
FORESTS = {"extra-trees": ExtraTreesClassifier, "random-forest": RandomForestClassifier}


def measure(codes: Codes, estimator: str, train: int, test: int, seed: int) -> tuple[float, float, float]:
    """D, C and I by one estimator."""
    if estimator in ("boosting", "fast"):
        parts = DCI(estimator, train, test)(codes, seed).parts  # type: ignore[arg-type]
        return parts["disentanglement"], parts["completeness"], parts["informativeness"]
    first, second = split(len(codes.mean), train, test, seed)
    z, levels = codes.mean.double().numpy(), codes.levels.numpy()
    columns, shares = [], []
    for k in range(levels.shape[1]):
        model = FORESTS[estimator](n_estimators=100, min_samples_leaf=5, n_jobs=-1, random_state=seed)
        model.fit(z[first], levels[first, k])
        columns.append(model.feature_importances_)
        shares.append(float(np.mean(model.predict(z[second]) == levels[second, k])))
    matrix = np.stack(columns, axis=1)
    return disentanglement(matrix), completeness(matrix), float(np.mean(shares))


def machine() -> str:
    """What kind of machine the seconds belong to."""
    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), model)
    return f"{model}, {os.cpu_count()} processors"


def summary(rows: list[dict[str, str]]) -> None:
    """Prints every row, then mean and largest difference from boosting and the rank correlation over codes."""
    parts = ("disentanglement", "completeness", "informativeness")
    for row in sorted(rows, key=lambda r: (int(r["train"]), list(CODES).index(r["code"]), r["estimator"])):
        numbers = " ".join(f"{float(row[part]):6.3f}" for part in parts)
        print(f"{row['train']:>6} {row['code']:18} {row['estimator']:14} {numbers} {float(row['seconds']):7.1f} s")
    for train in sorted({row["train"] for row in rows}, key=int):
        table = {(row["code"], row["estimator"]): row for row in rows if row["train"] == train}
        for estimator in sorted({e for _, e in table} - {"boosting"}):
            both = [c for c in CODES if (c, "boosting") in table and (c, estimator) in table]
            if len(both) < 3:
                continue
            text = []
            for part in parts:
                exact = np.array([float(table[c, "boosting"][part]) for c in both])
                other = np.array([float(table[c, estimator][part]) for c in both])
                gap = np.abs(exact - other)
                text.append(f"{part[0].upper()} {gap.mean():.4f} / {gap.max():.4f} / {spearmanr(exact, other)[0]:.3f}")
            print(
                f"{train:>6} rows, {len(both)} codes, {estimator}: mean / largest difference / rank: {'  '.join(text)}"
            )


def main() -> None:
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--codes", nargs="*", default=list(CODES), choices=list(CODES))
    estimators = ["boosting", "fast", *FORESTS]
    ask.add_argument("--estimators", nargs="*", default=estimators, choices=estimators)
    ask.add_argument("--train", type=int, default=4000)
    ask.add_argument("--test", type=int, default=2000)
    ask.add_argument("--seed", type=int, default=0)
    ask.add_argument("--out", type=Path, default=Path("results/dci_estimators.csv"))
    asked = ask.parse_args()
    torch.set_num_threads(1)
    rows: list[dict[str, str]] = []
    if asked.out.exists():
        with asked.out.open(newline="") as file:
            rows = list(csv.DictReader(file))
    for name in asked.codes:
        codes = make(name, asked.train + asked.test)
        for estimator in asked.estimators:
            start = time.perf_counter()
            d, c, i = measure(codes, estimator, asked.train, asked.test, asked.seed)
            seconds = time.perf_counter() - start
            command = "python benchmarks/dci_estimators.py " + " ".join(sys.argv[1:])
            values = [name, estimator, asked.train, asked.test, asked.seed, d, c, i, round(seconds, 2)]
            values += [sklearn.__version__, machine(), command.strip()]
            row = dict(zip(HEADER.split(), map(str, values), strict=True))
            same = ("code", "estimator", "train", "test", "seed")
            rows = [old for old in rows if any(old[key] != row[key] for key in same)] + [row]
            asked.out.parent.mkdir(exist_ok=True)
            part = asked.out.with_suffix(".part")
            with part.open("w", newline="") as file:
                writer = csv.DictWriter(file, HEADER.split(), lineterminator="\n")
                writer.writeheader()
                writer.writerows(rows)
            part.replace(asked.out)
    summary(rows)


if __name__ == "__main__":
    main()
