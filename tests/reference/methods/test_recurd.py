"""RecurD against eq. 4 and 5 written out: router, mixtures, encoders, critics, estimators, moving average."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from unweave.methods import RecurD

from . import oracle
from .case import LATENTS, ROWS, TIGHT, Case, case, rows, table

SMALL: dict[str, Any] = {"critic_hidden": 7, "critic_layers": 3, "kl_weight": 0.8, "l1": 0.6, "l2": 1.7, "bound": 3.0}
Vector = list[float]
Parts = list[list[Vector]]
"""One vector for each image and each part."""


def affine(x: Sequence[float], weight: Sequence[Sequence[float]], bias: Sequence[float]) -> Vector:
    """Weight has a row for every output."""
    return [math.fsum(w * v for w, v in zip(row, x, strict=True)) + b for row, b in zip(weight, bias, strict=True)]


def relu(x: Sequence[float]) -> Vector:
    return [max(v, 0.0) for v in x]


def softmax(x: Sequence[float]) -> Vector:
    top = max(x)
    raised = [math.exp(v - top) for v in x]
    return [v / math.fsum(raised) for v in raised]


def log_mean_exp(x: Sequence[float]) -> float:
    top = max(x)
    return top + math.log(math.fsum(math.exp(v - top) for v in x) / len(x))


def plain(value: Any) -> Any:
    return value.detach().tolist()


def weights_of(router: Any, method: RecurD, groups: list[Vector]) -> list[Vector]:
    """w for one image: a row for every group, a column for every encoder."""
    count = len(groups)
    if method.router == "attention":
        keys = [affine(f, plain(router.key.weight), plain(router.key.bias)) for f in groups]
        queries = plain(router.query)
        heads, size = len(queries[0]), len(queries[0][0])
        columns = []
        for query in queries:
            shares = []
            for h in range(heads):
                own = [key[h * size : (h + 1) * size] for key in keys]
                shares.append(softmax([sum(a * b for a, b in zip(query[h], k, strict=True)) / size**0.5 for k in own]))
            columns.append([oracle.mean([share[i] for share in shares]) for i in range(count)])
        return oracle.transposed(columns)
    made = [affine(f, plain(router.value.weight), plain(router.value.bias)) for f in groups]
    if method.router == "linear":
        return oracle.transposed([softmax(column) for column in oracle.transposed(made)])
    made = [relu(row) for row in made]
    root = math.sqrt(len(groups[0])) if method.scaled else 1.0
    alike = [softmax([sum(a * b for a, b in zip(f, g, strict=True)) / root for g in groups]) for f in groups]
    if method.router == "matmul":
        logits = oracle.product(alike, made)
    else:
        logits = [[a * b for a, b in zip(r, s, strict=True)] for r, s in zip(alike, made, strict=True)]
    out = [[0.0] * len(logits[0]) for _ in groups]
    for j, column in enumerate(oracle.transposed(logits)):
        # Largest first; of equal ones those from row j on, going round.
        order = sorted(range(count), key=lambda i: (-column[i], (i - j) % count))[: method.k]
        for i, share in zip(order, softmax([column[i] for i in order]), strict=True):
            out[i][j] = share
    return out


def read(module: Any, method: RecurD, groups: list[Vector]) -> tuple[list[Vector], list[Vector]]:
    """What every encoder of a module reads for one image, and what it makes of it (1×1 convolutions)."""
    kernels = [plain(layer.layers[0].weight.flatten(1)) for layer in module.layers]
    count, width = module.count, module.width
    bias = plain(module.bias)
    if method.router == "fix":
        flat = [v for f in groups for v in f]
        length = math.ceil(len(flat) / count)
        starts = [(j * (len(flat) - length)) // (count - 1) for j in range(count)]
        mixed = [flat[start : start + length] for start in starts]
        made = [affine(a, kernels[j], bias[j * width : (j + 1) * width]) for j, a in enumerate(mixed)]
        return mixed, [relu(m) for m in made]
    weights = weights_of(module.router, method, groups)
    mixed, made = [], []
    for j in range(count):
        if method.combine == "concat":
            mixed.append([weights[i][j] * v for i, f in enumerate(groups) for v in f])
            kernel = [[v for one in kernels for v in one[row]] for row in range(j * width, (j + 1) * width)]
        else:
            size = len(groups[0])
            mixed.append([math.fsum(weights[i][j] * f[c] for i, f in enumerate(groups)) for c in range(size)])
            kernel = kernels[0][j * width : (j + 1) * width]
        made.append(relu(affine(mixed[j], kernel, bias[j * width : (j + 1) * width])))
    return mixed, made


def encoded(one: Case) -> tuple[list[Vector], list[Vector], list[tuple[Parts, Parts, Parts]]]:
    """Means, log-variances, and for every module its inputs, what its encoders read and what they made."""
    net, method = one.model.model, one.method
    if not method.modules:
        means, logvars = oracle.split(rows(net.encoder(one.batch.x)))
        return means, logvars, []
    firsts = [rows(first(one.batch.x)) for first in net.first]
    groups = [[relu(first[n]) for first in firsts] for n in range(ROWS)]
    seen = []
    for module in net.following:
        both = [read(module, method, groups[n]) for n in range(ROWS)]
        seen.append((groups, [mixed for mixed, _ in both], [made for _, made in both]))
        groups = [made for _, made in both]
    layer = net.dense.layers[0]
    means, logvars = [], []
    for n in range(ROWS):
        outputs = []
        for j, m in enumerate(groups[n]):
            hidden = relu(affine(m, oracle.transposed(plain(layer.weight[j])), plain(layer.bias[j])))
            outputs.append(affine(hidden, oracle.transposed(plain(net.head.weight[j])), plain(net.head.bias[j])))
        means.append([v for out in outputs for v in out[: method.size]])
        logvars.append([min(max(v, -30.0), 20.0) for out in outputs for v in out[method.size :]])
    return means, logvars, seen


def layer_of(layer: Any, pair: int) -> tuple[Any, Any]:
    """Weight (a row an output) and bias of a dense layer, or of a pair's own."""
    if isinstance(layer, torch.nn.Linear):
        return plain(layer.weight), plain(layer.bias)
    return oracle.transposed(plain(layer.weight[pair])), plain(layer.bias[pair])


def through(critic: Any, start: Vector, pair: int) -> Vector:
    for layer in critic.trunk.layers:
        start = relu(start) if isinstance(layer, torch.nn.ReLU) else affine(start, *layer_of(layer, pair))
    return affine(start, *layer_of(critic.head, pair))


def score(critic: Any, method: RecurD, a: Vector, b: Vector, pair: int) -> float:
    if method.estimator == "club":
        outputs = through(critic, affine(a, *layer_of(critic.left, pair)), pair)
        out = 0.0
        for m, v, x in zip(outputs[: len(b)], outputs[len(b) :], b, strict=True):
            v = 10 * math.tanh(v / 10)
            out -= 0.5 * (math.log(2 * math.pi) + v + (x - m) ** 2 * math.exp(-v))
        return out
    left, right = affine(a, *layer_of(critic.left, pair)), affine(b, *layer_of(critic.right, pair))
    (raw,) = through(critic, [x + y for x, y in zip(left, right, strict=True)], pair)
    return method.bound * math.tanh(raw / method.bound)


def information(method: RecurD, joint: Vector, marginal: list[Vector]) -> float:
    apart = [t for row in marginal for t in row]
    if method.estimator == "dv":
        return oracle.mean(joint) - log_mean_exp(apart)
    if method.estimator in ("jsd", "nwj"):
        return oracle.mean(joint) - oracle.mean([math.exp(t) for t in apart]) + 1
    if method.estimator == "club":
        return max(0.0, oracle.mean(joint) - oracle.mean(apart))
    if method.estimator == "smile":
        clip = method.smile_clip
        return oracle.mean(joint) - log_mean_exp([min(max(t, -clip), clip) for t in apart])
    shares = []
    for n, t in enumerate(joint):
        shares.append(t - log_mean_exp([t, *(row[n] for row in marginal)]))
    return oracle.mean(shares)


def judged(
    one: Case, name: str, left: Parts, right: Parts, pairs: list[tuple[int, int]]
) -> tuple[float, float, Vector]:
    """Σ I over pairs, the critic's loss, and the logarithm of every pair's mean exp T."""
    critic, method = one.model.critics[name.replace(".", "_")], one.method
    found, learned, averages = [], [], []
    for place, (i, j) in enumerate(pairs):
        joint = [score(critic, method, left[n][i], right[n][j], place) for n in range(ROWS)]
        marginal = [
            [score(critic, method, left[n][i], right[(n - shift) % ROWS][j], place) for n in range(ROWS)]
            for shift in range(1, method.negatives + 1)
        ]
        found.append(information(method, joint, marginal))
        learned.append(oracle.mean(joint) if method.estimator == "club" else found[-1])
        averages.append(log_mean_exp([t for row in marginal for t in row]))
    return math.fsum(found), -oracle.mean(learned), averages


def expected(one: Case, likelihood: str) -> tuple[dict[str, float], dict[str, Vector], float]:
    method = one.method
    means, logvars, seen = encoded(one)
    z = oracle.sample(means, logvars, rows(one.batch.noise["z"]))
    recon = oracle.reconstruction(likelihood, rows(one.model.decode(table(z))), rows(one.batch.x))
    kl = oracle.kl(means, logvars)
    codes = [[row[p : p + method.size] for p in range(0, LATENTS, method.size)] for row in z]
    sums, critics, states = {}, [], {}
    jobs: list[tuple[str, Parts, Parts, list[tuple[int, int]]]] = []
    for place, (_, mixed, made) in enumerate(seen):
        count = len(mixed[0])
        out = codes if place == len(seen) - 1 else made
        both = [(i, j) for i in range(count) for j in range(count) if i != j]
        jobs.append((f"sufficient.{place + 2}", mixed, out, both))
        jobs.append((f"disentangled.{place + 2}", mixed, mixed, [(i, j) for i, j in both if i < j]))
    count = len(codes[0])
    jobs.append(("disentangled.z", codes, codes, [(i, j) for i in range(count) for j in range(i + 1, count)]))
    for name, left, right, pairs in jobs:
        sums[name], told, states[name] = judged(one, name, left, right, pairs)
        critics.append(told)
    weight = method.l1 if method.kl_weight is None else method.kl_weight
    total = recon + weight * kl + math.fsum(critics)
    total += math.fsum((method.l1 if name.startswith("s") else method.l2) * value for name, value in sums.items())
    terms = {name: max(value, 0.0) for name, value in sums.items()}
    for kind in ("sufficient", "disentangled"):
        parts = [value for name, value in terms.items() if name.startswith(f"{kind}.")]
        if parts:
            terms[kind] = math.fsum(parts)
    return {"recon": recon, "kl": kl, **terms, "critic": math.fsum(critics)}, states, total


VARIANTS = {
    "RecurD0": {"modules": 0},
    "RecurD0, the KL as it comes": {"modules": 0, "kl_weight": None},
    "RecurD1, the KL as it comes": {"kl_weight": None},
    "RecurD1": {},
    "RecurD2": {"modules": 2},
    "two latents an encoder": {"size": 2},
    "RecurD2, two latents an encoder": {"modules": 2, "size": 2},
    "k = 1": {"k": 1},
    "k = 4, all groups": {"k": 4},
    "unscaled": {"scaled": False},
    "hadamard": {"router": "hadamard", "encoders": (6,), "k": 3},
    "hadamard, unscaled": {"router": "hadamard", "encoders": (6,), "scaled": False},
    "linear": {"router": "linear"},
    "fix": {"router": "fix"},
    "fix, RecurD2": {"router": "fix", "modules": 2, "encoders": (3, 5)},
    "attention": {"router": "attention"},
    "concat": {"combine": "concat"},
    "concat, RecurD2": {"combine": "concat", "modules": 2},
    "other numbers of encoders": {"modules": 2, "encoders": (3, 5), "k": 3},
}


def check(one: Case, likelihood: str = "bernoulli") -> None:
    terms, averages, total = expected(one, likelihood)
    loss = one.loss()
    assert set(loss.terms) == set(terms)
    for name, value in terms.items():
        assert loss.terms[name].item() == pytest.approx(value, rel=TIGHT, abs=TIGHT), name
    assert loss.total.item() == pytest.approx(total, rel=TIGHT)
    assert set(loss.state) == (set(averages) if one.method.estimator == "dv" else set())
    for name, value in loss.state.items():
        assert value.tolist() == pytest.approx(averages[name], rel=TIGHT, abs=TIGHT)


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
def test_terms_of_every_network(options: dict[str, Any]) -> None:
    check(case(RecurD(**{**SMALL, **options})))


@pytest.mark.parametrize("estimator", ["dv", "jsd", "nwj", "infonce", "club", "smile"])
@pytest.mark.parametrize("shared", [True, False], ids=["shared", "own"])
@pytest.mark.parametrize("negatives", [1, 3])
def test_terms_of_every_estimator(estimator: str, shared: bool, negatives: int) -> None:
    method = RecurD(**SMALL, estimator=estimator, shared=shared, negatives=negatives, smile_clip=0.5)
    check(case(method, "squared", seed=3), "squared")


def test_the_average_starts_with_the_first_batch_and_moves_slowly() -> None:
    """EMA <- (1 − a) EMA + a · mean exp T."""
    one = case(RecurD(**SMALL, average_rate=0.2))
    _, now, _ = expected(one, "bernoulli")
    first = one.loss().state
    state = {name: value + 0.7 for name, value in first.items()}
    after = one.method.loss(one.model, one.batch, state).state
    for name, value in after.items():
        for k, got in enumerate(value.tolist()):
            batch = math.exp(now[name][k])
            assert first[name][k].item() == pytest.approx(math.log(batch), abs=1e-12)
            assert math.exp(got) == pytest.approx(0.8 * batch * math.exp(0.7) + 0.2 * batch, rel=TIGHT)
