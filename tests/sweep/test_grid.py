"""Grids: counted without being listed, complete like any experiment, refused in one line."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from unweave.data import dataset
from unweave.engine import Experiment
from unweave.job import HeldOutELBO, Scores, Terms
from unweave.methods import BetaVAE, DeVAE
from unweave.metrics import DCI, MIG
from unweave.networks import MLP, Conv
from unweave.sweep import chain, experiments, fixed, product, read, zipped
from unweave.sweep.grid import complete
from unweave.sweep.toml import parse
from unweave.types import Adam, UserError

BASE: dict[str, Any] = {"method": "beta-vae", "data": "triangle"}


def test_a_product_is_every_combination() -> None:
    grid = product(fixed(**BASE), method__beta=[1, 4.0, 16], latents=[4, 6], seed=range(2))
    wanted = [
        Experiment(BetaVAE(beta=beta), "triangle", latents=latents, seed=seed).complete()
        for beta, latents, seed in itertools.product([1.0, 4.0, 16.0], [4, 6], range(2))
    ]
    assert grid.size == 12 and experiments(grid) == wanted
    assert [one.key for one in experiments(grid)] == [Experiment(*_parts(one)).key for one in wanted]


def _parts(one: Any) -> tuple[Any, ...]:
    return (one.method, one.data, one.network, one.likelihood, one.latents, one.steps, one.batch, one.optimiser,
            one.precision, one.seed)  # fmt: skip


def test_zips_go_in_step_and_chains_one_after_the_other() -> None:
    grid = chain(
        product(zipped(data=["triangle", "dsprites"], latents=[4, 10]), method=["vae"], seed=range(2)),
        product(fixed(method="deft", data="triangle"), seed=[7]),
    )
    found = experiments(grid)
    assert grid.size == len(found) == 5
    assert [(one.data.name, one.latents, one.seed) for one in found[:4]] == [
        ("triangle", 4, 0), ("triangle", 4, 1), ("dsprites", 10, 0), ("dsprites", 10, 1)
    ]  # fmt: skip
    assert found[4] == Experiment("deft", "triangle", seed=7).complete(), "published settings of its own data set"


def test_every_part_can_be_set_in_words_tables_and_objects() -> None:
    wanted = Experiment(
        DeVAE(betas=(1.0, 10.0)), "triangle", network=MLP((8, 4), "tanh"), optimiser=Adam(lr=1e-3, clip=2.0)
    ).complete()
    tables = {
        "method": {"name": "devae", "betas": [1, 10]},
        "data": {"name": "triangle"},
        "network": {"name": "mlp", "hidden": [8, 4], "activation": "tanh"},
        "optimiser": {"lr": 1e-3, "clip": 2},
    }
    words = {
        "method": "devae", "method__betas": [1, 10], "data": "triangle", "network": "mlp", "network__hidden": [8, 4],
        "network__activation": "tanh", "optimiser__lr": 1e-3, "optimiser__clip": 2,
    }  # fmt: skip
    objects = {"method": wanted.method, "data": wanted.data, "network": wanted.network, "optimiser": wanted.optimiser}
    assert complete(tables).key == complete(words).key == complete(objects).key == wanted.key
    assert complete({**BASE, "network": "burgess"}).network == Conv("burgess")
    assert complete({**BASE, "data": "triangle:train=0.5", "data__seed": 3}).data.seed == 3  # type: ignore[attr-defined]
    noisy = complete({"method": "vae", "data": {"name": "triangle", "angle_noise": 1}})
    assert noisy.key == complete({"method": "vae", "data": "triangle", "data__angle_noise": 1.0}).key


def test_parts_are_set_before_the_whole_is_checked() -> None:
    one = complete({"method": "deft", "data": "triangle", "latents": 6, "method__betas": [30, 10, 2]})
    assert one.latents == 6 and one.method.betas == (30.0, 10.0, 2.0)  # type: ignore[attr-defined]
    with pytest.raises(UserError, match="network__hidden: network is None here, which has no fields to set"):
        complete({**BASE, "network__hidden": [3]})
    with pytest.raises(UserError, match=r"likelihood__x: likelihood is None here"):
        complete({**BASE, "likelihood__x": 3})


def test_repeated_experiments_stand_once_and_seeds_are_no_short_cut() -> None:
    assert len(experiments(product(fixed(**BASE), seed=[0, 1, 0]))) == 2
    assert len(experiments(product(fixed(**BASE), method__beta=[4, 4.0]))) == 1
    with pytest.raises(UserError, match="steps = True; allowed: a whole number"):
        experiments(product(fixed(**BASE), steps=[1, True]))
    assert [one.method.beta for one in experiments(product(fixed(**BASE), method__beta=[1, 1.5]))] == [1, 1.5]  # type: ignore[attr-defined]


def test_huge_grids_are_counted_only() -> None:
    huge = product(fixed(**BASE), seed=range(10**9), method__beta=range(10**12))
    assert huge.size == 10**21
    with pytest.raises(UserError, match=r"has 1,000,000,000,000,000,000,000 experiments; allowed: at most 1,000,000"):
        experiments(huge)
    first = next(iter(huge))
    assert first == {**BASE, "seed": 0, "method__beta": 0}


FILE = """
[experiment]
method = "beta-vae"
data = "triangle:train"
steps = 50
network = { name = "mlp", hidden = [8] }

[product]
seed = { from = 3, count = 2 }
optimiser__lr = { from = 1e-4, to = 1e-2, count = 3, scale = "log" }

[[chain]]
product.method__beta = [1, 4]

[[chain]]
zip.method__beta = [2, 8]
zip.latents = [3, 5]

[measure]
metrics = ["mig", { name = "dci", estimator = "fast" }]
images = 500
at = [50, 10]
terms = true
elbo = { images = 100 }
"""


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "grid.toml"
    path.write_text(FILE)
    sweep = read(path)
    jobs = sweep.jobs()
    assert sweep.grid.size == len(jobs) == 24
    assert jobs[0].measures == (Scores((MIG(), DCI(estimator="fast"))), Terms(), HeldOutELBO(images=100))
    assert jobs[0].at == (10, 50) and jobs[0].count == 500
    wanted = Experiment(
        BetaVAE(beta=8.0), "triangle:train", MLP((8,)), None, 5, 50, optimiser=Adam(lr=1e-3), seed=4
    ).complete()
    assert wanted in [job.experiment for job in jobs]
    assert {job.experiment.optimiser.lr for job in jobs} == {1e-4, 1e-3, 1e-2}
    assert parse({"experiment": BASE}).jobs()[0].measures == (Scores(),)
    held_out = parse({"experiment": BASE, "measure": {"metrics": [], "elbo": {"data": "triangle:test"}}})
    assert held_out.jobs()[0].measures == (HeldOutELBO(dataset("triangle:test")),)


MISTAKES = [
    ("[product]\nseeds = [1]", "unknown field 'seeds' of an experiment — did you mean 'seed'"),
    ("[product]\nbeta = [1]", "unknown field 'beta' of an experiment — did you mean 'method__beta'"),
    ("[product]\nlr = [1]", "unknown field 'lr' of an experiment — did you mean 'optimiser__lr'"),
    ("[product]\nmethod__bta = [1]", "unknown field 'method__bta' of beta-vae — did you mean 'method__beta'"),
    ("[product]\nmethod__gamma = [1]", "unknown field 'method__gamma' of beta-vae"),
    ("[product]\ndata__noise = [1]", "unknown field|unknown field of Triangle|field of Triangle"),
    ('[product]\nmethod__beta = ["x"]', "beta = 'x'; allowed: a finite number"),
    ('[product]\nsteps = ["many"]', "steps = 'many'; allowed: a whole number"),
    ("[product]\nsteps = [1.5]", "steps = 1.5; allowed: a whole number"),
    ("[product]\nsteps = [0]", "steps = 0; allowed: a whole number from 1"),
    ("[product]\nseed = [true]", "seed = True; allowed: 0 to"),
    ("[product]\nseed = [-1]", "seed = -1; allowed: 0 to"),
    ("[product]\nseed = []", "seed has no values, so the grid is empty; allowed: one or more"),
    ("[product]\nseed = 3", r"product.seed = 3; allowed: a list of values, or \{from = 0, count = 5\}"),
    ("[product]\nseed = {count = 0}", "product.seed: count = 0; allowed: a whole number from 1"),
    ("[product]\nseed = {cuont = 3}", "unknown key of product.seed 'cuont' — did you mean 'count'"),
    (
        "[product]\nseed = {count = 1_000_000_000}",
        "this grid has 1,000,000,000 experiments; allowed: at most 1,000,000",
    ),
    ("[product]\nlatents = {from = 0, to = 1, count = 3, scale = 'log'}", "allowed with scale = 'log': above 0"),
    ("[product]\nlatents = {from = 0, to = 1, count = 1_000_000_000}", "allowed between two ends: at most 1,000,000"),
    ("[zip]\nseed = [1, 2]\nlatents = [3]", "equally many values of each field; given seed: 2, latents: 1"),
    ("[product]\nmethod = ['vae']", "method is set twice; allowed: once"),
    ("[prodct]\nseed = [1]", "unknown section 'prodct' — did you mean 'product'"),
    ("[[chain]]\nseed = [1]", "unknown section of chain 1 'seed'"),
    ("[[chain]]", "nothing is asked for of chain 1"),
    ("[chain]", "chain is a dict; allowed: several tables"),
    ("[measure]\nmetric = ['mig']", "unknown key of measure 'metric' — did you mean 'metrics'"),
    ("[measure]\nmetrics = ['mgi']", "unknown metric 'mgi' — did you mean 'mig'"),
    ("[measure]\nmetrics = [{name = 'mig', bnis = 3}]", "unknown setting of mig 'bnis' — did you mean 'bins'"),
    ("[measure]\nmetrics = 'mig'", "measure.metrics = 'mig'; allowed: a list"),
    ("[measure]\nmetrics = []", "nothing is measured; allowed: metrics"),
    ("[measure]\nat = [400]", r"at = \[400\]; allowed: steps from 0 to 50"),
    ("[measure]\nat = 4", "measure.at = 4; allowed: a list of steps"),
    ("[measure]\nimages = 3", "measure.images = 3; allowed: a whole number from 10, or 'all'"),
    ("[measure]\nelbo = true", "held-out ELBO: triangle was trained on whole; allowed: training on a part"),
    ("[measure]\nelbo = {images = -5}", "held-out ELBO: images = -5; allowed: a whole number from 1"),
    ("[measure]\nmetrics = [{name = 'mig', bins = 0}]", "MIG: bins = 0; allowed is 2 or more"),
    ("[measure]\nmetrics = [{name = 'dci', train = 1}]", "DCI: train = 1; allowed is 5 or more"),
    ("[measure]\nelbo = {data = 'triangel:test'}", "unknown data set 'triangel' — did you mean 'triangle'"),
    ("[measure]\nterms = {data = 'triangle'}", "unknown field of Terms 'data'"),
    ("[measure]\nterms = 3", "measure.terms = 3; allowed: true, false"),
    ("[product]\nmethod__ = [1]", "unknown field 'method__' of an experiment"),
    ("[product]\nsteps__ = [1]", "unknown field 'steps__' of an experiment — did you mean 'steps'"),
    (f"[product]\nmethod__beta = [1{'0' * 400}]", "beta = 10{199}…; allowed: a finite number"),
    (f"[product]\nmethod__beta = [1{'0' * 5000}]", "is no TOML: Exceeds the limit"),
    (f"[product]\nmethod__beta = {{to = 1{'0' * 400}, count = 2}}", "method__beta: from or to is not finite, or too"),
    ("[product]\nmethod__beta = {to = inf, count = 2}", "method__beta: from or to is not finite"),
    (f"[product]\nlatents = [1{'0' * 30}]", r"latents = 1.000e\+30; allowed: a whole number up to 2,147,483,647"),
    (f"[product]\nbatch = [1{'0' * 400}]", r"allowed: a whole number up to 2,147,483,647"),
    ("product = 3", r"product = 3; allowed: a table, headed \[product\]"),
    ("[product", "is no TOML"),
]


@pytest.mark.parametrize("text, message", MISTAKES)
def test_mistakes_are_one_line(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "grid.toml"
    path.write_text(
        '[experiment]\nmethod = "beta-vae"\ndata = "triangle"\n' + ("" if "steps" in text else "steps = 50\n") + text
        if not text.startswith("product")
        else text + '\n[experiment]\nmethod = "beta-vae"\n'
    )
    with pytest.raises(UserError, match=message) as caught:
        read(path).jobs()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "nothing is asked for; allowed: experiment, product, zip, chain"),
        ("[experiment]\ndata = 'triangle'", "no method given; allowed: one for all"),
        ("[experiment]\nmethod = 'vae'", "no data given"),
        ("[experiment]\nmethod = 'vea'\ndata = 'triangle'", "unknown method 'vea' — did you mean 'vae'"),
        ("[experiment]\nmethod = 'vae'\ndata = 'triangel'", "unknown data set 'triangel' — did you mean 'triangle'"),
        ("[experiment]\nmethod = 'vae'\ndata = 3", "data = 3; allowed: a name"),
        ("[experiment]\nmethod = {}\ndata = 'triangle'", "unknown method None"),
        ("[experiment]\nmethod = 'vae'\ndata = 'triangle'\nnetwork = 'mpl'", "unknown network 'mpl' — did you mean"),
        ("[experiment]\nmethod = {name = 'vae', beta = 3}\ndata = 'triangle'", "unknown field 'method__beta' of vae"),
        ("[[chain]]\nproduct.data = ['triangle']\n[[chain]]\nproduct.method = ['vae']", "no method given"),
    ],
)
def test_files_that_say_too_little(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "grid.toml"
    path.write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        read(path).jobs()
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot read .*nowhere\.toml: No such file"):
        read(tmp_path / "nowhere.toml")


def test_which_experiment_it_was_is_said() -> None:
    with pytest.raises(UserError, match=r"\(experiment 3 of 4: method beta-vae, data triangle, seed 0\)"):
        experiments(product(fixed(**BASE), method__beta=[1, -1], seed=range(2)))


def test_the_optimiser_by_name() -> None:
    given = {"method": "vae", "data": "triangle"}
    assert complete({**given, "optimiser": {"name": "adam", "lr": 1e-3}}).optimiser.lr == 1e-3
    assert complete({**given, "optimiser": "adam", "optimiser__lr": 2e-3}).optimiser.lr == 2e-3
    for wrong in ({"optimiser": {"name": "sgd"}}, {"optimiser": ""}, {"likelihood": ""}, {"precision": ""}):
        with pytest.raises(UserError, match="allowed: "):
            complete({**given, **wrong})
