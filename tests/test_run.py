"""fit, load and Run: what most people use."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

from unweave import UserError, fit, load
from unweave.engine import Experiment, Failure, train
from unweave.kept import keep_score
from unweave.methods import BetaVAE, Method
from unweave.metrics import MIG, MIGPosterior
from unweave.networks import MLP
from unweave.run import Run
from unweave.store import RunFolder, StoreError
from unweave.types import Codes, Score

SMALL: dict[str, Any] = {"steps": 6, "batch": 4, "latents": 3, "network": MLP((4,)), "precision": "float64"}


def small(out: Path | None = None, method: Method | str = "beta-vae", **settings: Any) -> Run:
    return fit(method, "triangle", out=out, every=3, **{**SMALL, **settings})


def equal(a: Run, b: Run) -> bool:
    return all(torch.equal(p, q) for p, q in zip(a.model.parameters(), b.model.parameters(), strict=True))


def test_a_fitted_run_comes_back_as_it_was(tmp_path: Path) -> None:
    run = small(tmp_path)
    again = load(tmp_path / run.experiment.key)
    assert equal(run, again) and again.experiment == run.experiment
    assert (again.step, again.steps, again.failure) == (6, run.steps, None) == (6, [1.0, 2, 3, 4, 5, 6], None)
    assert again.terms == {name: pytest.approx(values, rel=1e-8) for name, values in run.terms.items()}
    assert torch.equal(run.codes(50).mean, again.codes(50).mean)
    assert repr(run) == repr(again) and "step 6 of 6" in repr(run)


def test_what_is_done_is_not_trained_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = small(tmp_path)
    monkeypatch.setattr(BetaVAE, "loss", None)
    assert equal(run, small(tmp_path))


def test_the_forms_of_fit_agree() -> None:
    experiment = Experiment("beta-vae", "triangle", **SMALL)
    assert equal(fit(experiment), fit(experiment.complete()))
    assert equal(fit(experiment), fit(BetaVAE(beta=4), "triangle", **SMALL))


def test_scores_are_kept_with_their_step(tmp_path: Path) -> None:
    run = small(tmp_path)
    scores = run.score([MIG(bins=5)], count=200)
    again = load(run.folder.path if run.folder else "")
    assert again.scores["mig-bins5"].value == scores["mig-bins5"].value == run.scores["mig-bins5"].value
    assert again.scores["mig-bins5"].settings["bins"] == 5
    run.score(["reconstruction"], count=100)
    assert set(load(tmp_path / run.experiment.key).scores) == {"mig-bins5", "reconstruction"}


def test_one_metric_needs_no_list() -> None:
    run = small()
    assert run.score("mig", count=100).keys() == run.score(MIG(), count=100).keys() == {"mig"}


def test_two_scores_of_one_label_are_refused(tmp_path: Path) -> None:
    run = small(tmp_path)
    with pytest.raises(UserError, match=r"MIG\(.*images=100.* are both kept as 'mig'; allowed: one of them"):
        run.score([MIG(), MIG(images=100)], count=200)
    assert list(run.score([MIG(), MIG(bins=5)], count=200)) == ["mig", "mig-bins5"]


def test_scores_before_one_that_fails_are_kept(tmp_path: Path) -> None:
    run = small(tmp_path)

    class Broken(MIG):
        name = "broken"

        def __call__(self, codes: Codes, seed: int = 0) -> Score:
            raise UserError("no")

    with pytest.raises(UserError, match="no"):
        run.score([MIG(), Broken()], count=200)
    assert set(load(tmp_path / run.experiment.key).scores) == {"mig"}


def test_limits_stand_beside_the_scores_they_belong_to(tmp_path: Path) -> None:
    run = small(tmp_path)
    run.score([MIG()], count=200)
    run.limits([MIG()], run.codes(100))
    assert run.known_limits() == {}, "of other images"
    limits = run.limits([MIG()], run.codes(200))
    assert run.known_limits() == limits != {}


def test_the_floor_of_posteriors_is_that_of_the_model_as_it_is(tmp_path: Path) -> None:
    """Noise has posteriors as wide as the codes': the floor of other codes, or of a later step, is another."""
    run, metric = small(tmp_path), MIGPosterior(samples=200)
    codes = run.codes(200)
    assert codes.logvar is not None
    before = run.limits([metric], codes)
    assert run.limits([metric], codes) == before
    run.step += 1
    narrow = codes._replace(logvar=codes.logvar - 6)
    assert run.limits([metric], narrow) != before
    plain = run.limits([MIG()], codes)
    run.step += 1
    assert run.limits([MIG()], codes, told=lambda name: pytest.fail(f"{name} was computed again")) == plain


def test_processes_that_score_one_run_lose_nothing(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    names = [f"m{n}" for n in range(24)]

    def keep(name: str) -> None:
        keep_score(folder, 3, name, Score(1.0), {"seed": 0}, 10)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(keep, names))
    assert set(folder.read("scores")["scores"]) == set(names)


def test_scores_of_an_earlier_step_are_dropped(tmp_path: Path) -> None:
    run = small(tmp_path)
    run.score(["mig"], count=100)
    path = tmp_path / run.experiment.key / "scores.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "step": 3}))
    assert load(path.parent).scores == {}


def test_views_and_traversals() -> None:
    run = small()
    rows = torch.tensor([5, 900])
    x, made = run.reconstruct(rows)
    assert x.shape == made.shape == (2, 1, 64, 64) and bool(((made >= 0) & (made <= 1)).all())
    assert torch.equal(run.view(rows), x) and torch.equal(run.view(rows.flip(0)), x.flip(0))
    images = run.traverse(2, torch.linspace(-2, 2, 5), torch.zeros(3, dtype=torch.float64))
    assert images.shape == (5, 1, 64, 64) and not torch.equal(images[0], images[4])
    with pytest.raises(UserError, match="latent 3; this model has 0 to 2"):
        run.traverse(3, torch.zeros(1), torch.zeros(3))


def test_latents_of_a_block_move_together() -> None:
    run = small()
    base, values = torch.randn(3, dtype=torch.float64), torch.linspace(-3, 3, 4)
    both = base.repeat(4, 1)
    both[:, 0] = both[:, 2] = values
    with torch.no_grad():
        wanted = torch.sigmoid(run.model.decode(both))
    assert torch.equal(run.traverse((0, 2), values, base), wanted)
    assert torch.equal(run.traverse([0, 2], values[:, None].repeat(1, 2), base), wanted)
    assert torch.equal(run.traverse((1,), values, base), run.traverse(1, values, base))
    for latents, given in (((0, 3), values), ((), values), ((0, 1), torch.zeros(4, 3)), (0, torch.zeros(4, 2))):
        with pytest.raises(UserError, match=r"allowed: one latent or more|this model has 0 to 2"):
            run.traverse(latents, given, base)


def test_a_trace_ahead_of_its_checkpoint_is_cut(tmp_path: Path) -> None:
    """As a process leaves it that was killed between the two."""
    run = small(tmp_path)
    folder = RunFolder(tmp_path / run.experiment.key)
    table = {"step": [float(s) for s in range(1, 10)], **{n: [*v, 0.0, 0.0, 0.0] for n, v in run.terms.items()}}
    folder.write_trace(table)
    assert load(folder.path).steps == run.steps


def damage(folder: Path, change: str) -> None:
    if change == "empty":
        for file in folder.iterdir():
            file.unlink()
    elif change == "checkpoint":
        (folder / "checkpoint.safetensors").unlink()
    elif change == "key":
        path = folder / "experiment.json"
        path.write_text(path.read_text().replace('"key": "', '"key": "x'))
    elif change == "method":
        path = folder / "experiment.json"
        path.write_text(path.read_text().replace("beta-vae", "gamma-vae"))
    elif change == "latents":
        path = folder / "experiment.json"
        path.write_text(path.read_text().replace('"latents": 3', '"latents": 5'))
    elif change == "status":
        (folder / "status.json").write_text('{"state": "failed"}')
    elif change == "scores":
        (folder / "scores.json").write_text('{"step": 6, "scores": {"mig": 3}}')
    elif change == "json":
        (folder / "experiment.json").write_text("{")
    elif change == "trace":
        (folder / "trace.csv").write_text("step,total\n1\n")
    elif change == "failed":
        (folder / "checkpoint.safetensors").unlink()
        (folder / "status.json").write_text('{"state": "failed", "step": 2, "term": "kl"}')


@pytest.mark.parametrize(
    "change, message",
    [
        ("empty", "holds no run; allowed: a folder that"),
        ("checkpoint", "has no checkpoint yet"),
        ("key", "holds a checkpoint of experiment"),
        ("method", "the method 'gamma-vae', which is no part of unweave — did you mean"),
        ("latents", "belongs to another experiment"),
        ("status", "status.json is damaged"),
        ("scores", "scores.json is damaged"),
        ("json", "cannot read .*experiment.json: damaged"),
        ("trace", "cannot read .*trace.csv: damaged"),
        ("failed", r"failed at step 2 \(kl\) before its first checkpoint"),
    ],
)
def test_folders_that_cannot_be_loaded(change: str, message: str, tmp_path: Path) -> None:
    run = small(tmp_path)
    damage(tmp_path / run.experiment.key, change)
    with pytest.raises(UserError, match=message) as caught:
        load(tmp_path / run.experiment.key)
    assert "\n" not in str(caught.value)


def test_a_damaged_checkpoint_is_a_user_error() -> None:
    assert issubclass(StoreError, UserError)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: fit("beta-vae"), "no data given; allowed: fit"),
        (lambda: fit("beta-vae", "triangle", stps=3), "unknown setting 'stps' — did you mean 'steps'"),
        (lambda: fit("beta-vae", "triangle", beta=4.0), r"beta is a setting of the method: BetaVAE\(beta=4.0\)"),
        (lambda: fit("beta-vae", "triangle", lr=1e-3), r"lr is a setting of Adam: optimiser=Adam\(lr=0.001\)"),
        (lambda: fit("beta-vae", "triangle", network="mlp"), r"allowed: a network, such as MLP\(\(256, 256\)\)"),
        (lambda: fit(Experiment("vae", "triangle"), "triangle"), "an experiment is complete in itself"),
        (lambda: fit(Experiment("vae", "triangle"), steps=3), "an experiment is complete in itself"),
        (lambda: load("nowhere"), "nowhere holds no run"),
        (lambda: fit("vae", "triangle", device="tpu", **SMALL), "device = 'tpu'"),
        (lambda: small().score(["mgi"]), "unknown metric 'mgi' — did you mean 'mig'"),
        (lambda: small().codes(0), "count = 0; allowed"),
        (lambda: small().codes(space=1), "latent space 1; this model has 0 to 0"),
    ],
)
def test_what_is_asked_wrongly(call: Any, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_progress_sees_every_snapshot(tmp_path: Path) -> None:
    seen: list[int] = []
    fit("vae", "triangle", progress=lambda snapshot: seen.append(snapshot.step), every=2, **SMALL)
    assert seen == [2, 4, 6]


def test_another_model_of_the_same_description_takes_no_scores_over(tmp_path: Path) -> None:
    run = fit("vae", "triangle", steps=2, batch=4, network=MLP((8,)))
    written = load(run.write(tmp_path / "model"))
    written.score(["mig"], count=50)
    assert load(run.write(tmp_path / "model")).scores, "the same model keeps them"
    trained = fit("vae", "triangle", steps=2, batch=4, network=MLP((8,)), out=tmp_path / "runs")
    trained.score(["mig"], count=50)
    assert trained.folder is not None and load(trained.write(trained.folder.path)).scores, "its own folder has it all"
    with torch.no_grad():
        next(run.model.parameters()).add_(1.0)
    assert not load(run.write(tmp_path / "model")).scores


def test_what_is_written_says_how_far_it_is(tmp_path: Path) -> None:
    one = Experiment("vae", "triangle", steps=6, batch=4, network=MLP((8,)))
    (first, *_) = train(one, every=2, out=tmp_path / "runs", stop=lambda: True)
    half = load(tmp_path / "runs" / one.key)
    half.write(tmp_path / "half")
    assert RunFolder(tmp_path / "half").read("status")["state"] == "stopped"
    half.failure = Failure(3, "kl")
    failed = load(half.write(tmp_path / "failed"))
    assert failed.failure == Failure(3, "kl") and failed.step == first.step
