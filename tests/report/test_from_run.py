"""From a run to its report: every part is read off this run, and the command makes the same run again."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import unweave
from unweave.cli import train
from unweave.cli.train import _experiments
from unweave.data import DATASETS, dataset
from unweave.engine import Experiment
from unweave.methods import METHODS
from unweave.metrics import nmi
from unweave.report import tell
from unweave.report.from_run import limits_of, middle, stages
from unweave.report.page import page
from unweave.report.settings import again, changes, words
from unweave.run import Run, fit, load
from unweave.store import RunFolder
from unweave.types import Codes, Gaussian

TINY = {"batch": 8, "network": unweave.MLP((8,)), "precision": "float64"}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("reported")
    method = unweave.DEFT(betas=(20.0, 2.0), stage_steps=15)
    made = fit(method, "triangle", steps=40, latents=4, every=20, out=out, **TINY)
    made.score(["mig", "reconstruction"], count=200)
    limits_of(made, [unweave.MIG(), unweave.Reconstruction()], made.codes(200))
    return load(made.folder.path)  # type: ignore[union-attr]


def test_every_part_is_told_and_becomes_a_page(run: Run, read: Callable[[str], Any]) -> None:
    story = tell(run)
    assert story.title == "deft on triangle"
    assert (story.status, story.failure, story.key) == ("finished", None, run.experiment.key)
    assert list(story.summary)[:6] == ["Method", "Data", "Pixels from", "Latents", "Steps", "Seed"]
    assert story.summary["Pixels from"] == "drawn"
    assert {one.key for one in story.references} >= {"wu2022deft", "chen2018isolating"}
    assert set(story.curves) == set(run.terms)
    assert "torch" in story.environment
    text = read(page(story)).text
    assert run.experiment.key in text
    assert "Ceilings are the scores of a code that equals the factors" in text


def test_scores_stand_beside_the_limits_that_were_kept(run: Run) -> None:
    rows = {row.name: row for row in tell(run).scores}
    low, high = run.known_limits()["mig"]
    assert (rows["mig"].floor, rows["mig"].ceiling, rows["mig"].value) == (low, high, run.scores["mig"].value)
    assert (rows["reconstruction"].better, rows["reconstruction"].ceiling) == ("lower", None)
    assert rows["mig"].parts == run.scores["mig"].parts


def test_information_and_traversals_are_those_of_the_codes(run: Run) -> None:
    codes = run.codes()
    story = tell(run, codes=codes)
    kl = Gaussian(codes.mean, codes.logvar).kl().mean(0).numpy()
    assert story.information is not None
    np.testing.assert_allclose(story.information.kl, kl)
    np.testing.assert_array_equal(story.information.nmi, nmi(codes))
    assert [strip.latent for strip in story.traversals] == np.argsort(-kl, kind="stable").tolist()
    strip = story.traversals[0]
    low, high = np.quantile(codes.mean[:, strip.latent].numpy(), (0.025, 0.975))
    if high - low >= 0.1:
        assert (strip.values[0], strip.values[-1]) == pytest.approx((low, high))
    base = codes.mean[middle(codes)].clone()
    base[strip.latent] = strip.values[3]
    with torch.no_grad():
        drawn = torch.sigmoid(run.model.decode(base[None]))[0]
    np.testing.assert_allclose(strip.images[3] / 255, drawn.permute(1, 2, 0).numpy(), atol=0.5 / 255 + 1e-6)


def test_originals_are_images_of_the_data_and_the_same_for_every_run(run: Run) -> None:
    first, second = tell(run), tell(run)
    assert first.originals is not None
    assert first.originals.shape == (10, 64, 64, 1)
    np.testing.assert_array_equal(first.originals, second.originals)
    whole = run.images.batch(torch.arange(1024), {}).permute(0, 2, 3, 1).numpy()
    whole = np.round(whole * 255).astype(np.uint8)
    assert all((whole == image).all(axis=(1, 2, 3)).any() for image in first.originals)
    assert not np.array_equal(first.originals, tell(run, seed=1).originals)


def test_stages_are_read_off_the_rates(run: Run) -> None:
    first, second = stages(run)
    assert first == "Steps 1 to 15: encoder 0, decoder at full rate; encoder 1 at rest; beta = 20; stage = 0; kl.1 = 0."
    assert (
        second == "Steps 16 to 40: encoder 1, decoder at full rate; encoder 0 at 0.1 of the rate; beta = 2; stage = 1."
    )


def test_a_method_without_stages_has_none() -> None:
    assert list(stages(fit("vae", "triangle", steps=3, **TINY))) == []


def test_notes_say_what_differs_from_the_publication_and_from_independent_factors(run: Run) -> None:
    notes = " ".join(tell(run).notes)
    assert "steps 40 (published: 10,000)" in notes
    assert "stage_steps 15 (published: 3,000)" in notes
    assert "1,024 of 32,768 combinations" in notes
    assert {name for name, _, _ in changes(run.experiment)} == {"stage_steps", "steps", "batch"}


def test_the_kl_of_a_model_with_a_prior_of_its_own_is_explained() -> None:
    for method, own in ((unweave.VampPrior(pseudo_inputs=4), True), (unweave.BetaVAE(), False)):
        run = unweave.fit(method, "triangle", steps=1, batch=8, network=unweave.MLP((4,)))
        notes = tell(run, codes=run.codes(20)).notes
        assert any("prior is another one" in note for note in notes) is own


def test_several_latent_spaces_are_named() -> None:
    story = tell(fit("devae", "triangle", steps=2, **TINY))
    assert any("2 latent spaces" in note and "space 0" in note for note in story.notes)
    assert "scores" in story.missing


EXPERIMENTS = {
    "presets": Experiment("deft", "triangle", steps=7),
    "fields": Experiment(unweave.DEFT((3.0, 2.5), 0.25, 11, "grad", "zero_grad", True, True), "triangle", latents=6),
    "none": Experiment(unweave.BetaVAE(1e-3, 4.0, "linear", 10), "dsprites", seed=3, likelihood="squared"),
    "negative": Experiment(unweave.ControlVAE(ki=-0.0123456789), "triangle", precision="float32"),
    "mlp": Experiment("vae", "triangle", network=unweave.MLP((8, 4)), optimiser=unweave.Adam(lr=3e-4)),
    "conv": Experiment("factor-vae", "triangle", network=unweave.Conv("burgess", 32)),
    "data set": Experiment("vae", unweave.Triangle(angle_noise=2.0)),
    "adam": Experiment("vae", "triangle", optimiser=unweave.Adam(eps=1e-4, clip=1.0)),
    "activation": Experiment("vae", "triangle", network=unweave.MLP((8,), "tanh")),
    "a switch that is published": Experiment(unweave.GuidedVAE(transformer=True), "dsprites"),
}
EXPERIMENTS |= {
    f"{name} on {data}": Experiment(name, data)
    for name, kind in METHODS.items()
    for data in kind.presets
    if data in DATASETS
}


@pytest.mark.parametrize("case", EXPERIMENTS)
def test_the_command_makes_the_same_experiment_again(case: str) -> None:
    experiment = EXPERIMENTS[case].complete()
    typed = again(experiment)
    if typed.startswith("from"):
        assert case in ("data set", "adam", "activation")
        names: dict[str, Any] = {}
        exec(typed.replace("fit(", "found = dict(what=").replace("out='runs')", ")"), names)
        assert names["found"]["what"].key == experiment.key
    else:
        command = shlex.split(typed.splitlines()[0])
        assert command[:2] == ["unweave", "train"]
        method, options = train.read(command[2:])
        made = _experiments(method, options, dataset(options.data))
        assert [one.key for one in made] == [experiment.key]


def test_a_run_on_ones_own_pictures_is_made_again_in_python(tmp_path: Path) -> None:
    place = tmp_path / "photos"
    place.mkdir()
    for name in "ab":
        Image.new("L", (8, 8)).save(place / f"{name}.png")
    text = again(Experiment("beta-vae", unweave.Folder(place), steps=2).complete())
    assert "Folder(" in text and str(place) in text
    # It is what was trained, when it is run.
    known: dict[str, Any] = {}
    exec(text.replace("\nfit(", "\nmade = (lambda experiment, out: experiment)("), known)
    assert known["made"].complete().key == Experiment("beta-vae", unweave.Folder(place), steps=2).complete().key


def test_a_failed_run_says_where_and_describes_its_checkpoint(run: Run, tmp_path: Path) -> None:
    assert run.folder is not None
    folder = RunFolder(tmp_path / "failed")
    folder.path.mkdir()
    for file in run.folder.path.iterdir():
        if file.is_file():
            (folder.path / file.name).write_bytes(file.read_bytes())
    folder.write("status", {"state": "failed", "step": 44, "term": "kl", "checkpoint": 40})
    story = tell(load(folder.path))
    assert story.status == "failed"
    assert story.failure is not None
    assert (story.failure.step, story.failure.term, story.failure.kept) == (44, "kl", 40)


def test_the_middle_image_has_levels_in_the_middle() -> None:
    levels = torch.cartesian_prod(torch.arange(3), torch.arange(5))
    codes = Codes.of(torch.zeros(15, 2), levels, sizes=(3, 5))
    assert levels[middle(codes)].tolist() == [1, 2]
    plain = Codes.of(torch.tensor([[0.0], [10.0], [4.0]]))
    assert middle(plain) == 2


def test_settings_in_words() -> None:
    given = ((1.0, 40.0), False, None, 300_000, 0.1, "grad")
    assert [words(value) for value in given] == ["1 40", "no", "none", "300,000", "0.1", "grad"]
