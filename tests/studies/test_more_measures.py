"""What BHiVAE's, RecurD's and β-STCVAE's studies measure, and what they make of it."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import unweave
from unweave.analysis import layer_codes
from unweave.data import MNIST, DSprites, HeldOut, Split, Triangle
from unweave.job import Result, Scores
from unweave.methods import DIPVAE1, VAE, BetaTCVAE, BHiVAE, RecurD
from unweave.metrics import MIG
from unweave.networks import MLP, Conv
from unweave.run import Run
from unweave.studies import STUDIES
from unweave.studies.blocks import BlockTraversals, PriorScatter
from unweave.studies.inside import Bound, Effort, LayerMIG, Minibatches, Pairs, Properties
from unweave.studies.recurd.effort import beside_target
from unweave.studies.recurd.pictures import apart, centre, frame, turned, widened
from unweave.studies.recurd.weights import ROWS, Identity, claimed
from unweave.studies.sets import digits, faces, turned_digits
from unweave.studies.stcvae.capacity import omniscient_region
from unweave.studies.stcvae.grid import divisors, multiplied
from unweave.studies.unseen import Accuracy, OnTest, PixelError, accuracies, unseen
from unweave.types import Codes, UserError


@pytest.fixture(scope="module")
def run() -> Run:
    return unweave.fit(VAE(), Split(Triangle()), steps=30, batch=16, latents=3, network=MLP((16,)), precision="float64")


def test_unseen_images_are_the_other_part_and_opened_once(run: Run) -> None:
    there = unseen(run)
    assert (run.images.rows, there.images.rows) == (922, 102)
    seen = {tuple(level) for level in run.images.levels(torch.arange(922)).tolist()}
    assert not seen & {tuple(level) for level in there.images.levels(torch.arange(102)).tolist()}
    assert there.images.whole is run.images.whole  # type: ignore[attr-defined]
    again = Split(Triangle(), "test").open().batch(torch.arange(102), {})
    assert torch.equal(there.images.batch(torch.arange(102), {}), again)


def test_on_test_measures_the_test_part(run: Run) -> None:
    values, _ = OnTest((Scores((MIG(),)), PixelError()), 60)(run, run.codes(50))
    codes = unseen(run).codes(60)
    assert values["mig"] == MIG()(codes).value
    assert values["recon.pixel"] == pytest.approx(float(codes.distortion["bce"].mean()) / 4096, rel=1e-12)


def test_a_set_without_parts_has_nothing_unseen() -> None:
    whole = unweave.fit(VAE(), Triangle(), steps=1, batch=4, network=MLP((4,)))
    with pytest.raises(UserError, match="no part to train on"):
        OnTest((PixelError(),))(whole, whole.codes(20))


def test_accuracies_learn_from_shares_and_are_judged_on_other_rows() -> None:
    random = np.random.default_rng(0)
    told = random.integers(3, size=400)
    z = np.eye(3)[told] + 0.05 * random.standard_normal((400, 3))
    found = accuracies(z[:200], told[:200], z[200:], told[200:], (0.1, 1.0))
    assert found["accuracy.100"] == found["accuracy"] == 100.0 and found["accuracy.10"] > 90
    noise = accuracies(random.standard_normal((200, 3)), told[:200], z[200:], told[200:], (1.0,))
    assert noise["accuracy"] < 75


def test_accuracy_names_the_number_of_latents(run: Run) -> None:
    values, _ = Accuracy((0.5, 1.0), "pos_x", 100, 50)(run, run.codes(20))
    assert set(values) == {"accuracy.50", "accuracy.100", "accuracy", "accuracy@3"}
    assert values["accuracy@3"] == values["accuracy.100"]


def test_mini_batches_and_properties_agree_with_all_codes(run: Run) -> None:
    codes = run.codes(200)
    _, arrays = Minibatches(50, 4)(run, codes)
    assert {len(array) for array in arrays.values()} == {4}
    assert float(arrays["batch.recon"].mean()) == pytest.approx(float(codes.distortion["bce"].mean()) / 4096, rel=1e-6)
    values, _ = Properties(200)(run, codes)
    assert values["sufficiency"] == pytest.approx(float(arrays["batch.recon"].mean()), rel=1e-6)
    assert values["minimality"] == pytest.approx(float(arrays["batch.mi"].mean()), rel=1e-6)


def test_the_bound_is_error_and_kl(run: Run) -> None:
    codes = run.codes(150)
    values, arrays = Bound(200)(run, codes)
    assert codes.logvar is not None
    kl = 0.5 * (codes.mean**2 + codes.logvar.exp() - codes.logvar - 1).sum(1).mean()
    assert values["elbo"] == pytest.approx(-float(codes.distortion["bce"].mean() + kl), rel=1e-9)
    assert values["entropy.least"] == arrays["entropies"].min()


def test_pairs_of_channels_are_of_the_last_convolution() -> None:
    model = unweave.fit(VAE(), Triangle(), steps=1, batch=4, latents=3, network=Conv("lite"))
    values, arrays = Pairs(60)(model, model.codes(60))
    assert arrays["pairs.z"].shape == (3, 3) and arrays["pairs.m"].shape == (16, 16)
    off = arrays["pairs.m"][~np.eye(16, dtype=bool)]
    assert values["pairs.m"] == pytest.approx(off.mean())


def test_mig_of_layers_of_recurd() -> None:
    model = unweave.fit(RecurD(critic_hidden=8), Triangle(), steps=1, batch=8, latents=4, network=Conv())
    values, _ = LayerMIG(80)(model, model.codes(20))
    assert set(values) == {"mig.m1", "mig.m2", "mig.routed 2"}
    rows = torch.arange(1024)
    levels = model.images.levels(rows)
    with torch.no_grad():
        x = model.view(rows)
        first = torch.cat([torch.relu(one.layers[0](x)).mean((2, 3)) for one in model.model.model.first], 1)
    assert first.shape == (1024, 4 * 32)
    whole, _ = LayerMIG(1024)(model, model.codes(20))
    assert whole["mig.m1"] == pytest.approx(MIG()(Codes.of(first, levels)).value, rel=1e-6)
    measured = layer_codes(model.model, model.data, model.images, ["m2"], count=80)["m2"]
    assert values["mig.m2"] == MIG()(measured).value


def test_effort_counts_critics_apart() -> None:
    model = unweave.fit(RecurD(critic_hidden=8), Triangle(), steps=4, batch=8, latents=4, network=MLP((8,)))
    values, arrays = Effort(20)(model, model.codes(20))
    judged = sum(p.numel() for name, p in model.model.named_parameters() if "critic" in name)
    assert values["parameters.critics"] == judged > 0
    assert values["parameters"] == sum(p.numel() for p in model.model.parameters())
    assert 0 < values["macs.critics"] < values["macs"]
    assert arrays["progress"].shape[0] == 2 and arrays["progress"][1].tolist() == model.terms["recon"]


def result(values: dict[str, float], **arrays: np.ndarray) -> Result:
    return Result("", values, arrays)


def test_convergence_is_timed_to_the_target_row() -> None:
    def one(row: str, errors: list[float], seconds: float) -> tuple[dict[str, str], Result]:
        values = {
            "macs": 3e9,
            "macs.critics": 1e9,
            "parameters": 5.0,
            "parameters.critics": 2.0,
            "step.seconds": seconds,
        }
        steps = [10.0 * (k + 1) for k in range(len(errors))]
        return {"data": "celeba", "row": row}, result(values, progress=np.array([steps, errors]))

    found = beside_target(
        [
            one("RecurD 2", [9, 4, 3, 3, 3], 0.5),
            one("β-VAE", [9, 8, 7, 6, 5], 0.1),
            one("RecurD 1", [9, 8, 7, 6, 6], 1.0),
        ]
    )
    by_row = {str(labels["row"]): r.values for labels, r in found}
    assert by_row["RecurD 2"]["reach.seconds"] == 10.0 and "reach.seconds" not in by_row["RecurD 1"]
    assert by_row["RecurD 2"]["macs.ratio"] == 1.0
    assert by_row["RecurD 2 without critics"] == {"macs": 2e9, "parameters": 3.0, "macs.ratio": pytest.approx(2 / 3)}


@pytest.mark.parametrize("row", ROWS)
def test_losses_are_the_sums_of_their_parts(row: str, tmp_path: Path) -> None:
    values = Identity(ROWS[row], batches=3).run(tmp_path).values
    assert values["residual"] < 1e-12


def test_a_wrong_weight_is_no_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from unweave.studies.recurd import weights

    def as_printed(method: BetaTCVAE) -> tuple[weights.Weights, dict[str, float]]:
        return weights.Weights(1.0, method.beta), {"kl": 1.0, "tc": method.beta}

    monkeypatch.setattr(weights, "claimed", as_printed)
    assert Identity(ROWS["β-TCVAE"], batches=2).run(tmp_path).values["residual"] > 1e-6


def test_weights_of_the_table() -> None:
    assert claimed(BetaTCVAE(beta=4.0))[0] == (1.0, 3.0, 0.0)
    assert claimed(DIPVAE1(lambda_od=10.0, lambda_d=10.0))[0] == (1.0, 10.0, 10.0)


def test_blocks_move_along_their_diagonal_and_are_scored_as_one() -> None:
    method = BHiVAE(blocks=(2, 2, 2), width=8, part_width=8, critic_hidden=8)
    model = unweave.fit(method, "dsprites", steps=2, batch=8, latents=8, network=MLP((16,)))
    codes = model.codes(100)
    _, arrays = BlockTraversals(bases=2)(model, codes)
    assert arrays["blocks"].shape == (2, 4, 9, 64, 64, 1) and arrays["told"].shape == (4, 5)
    base = model.model.encode(model.view(torch.as_tensor(np.random.default_rng(0).choice(737_280, 2, replace=False))))
    strip = model.traverse(model.model.blocks[1], torch.tensor([-3.0, 3.0]), base.mean[0])
    ends = (strip.permute(0, 2, 3, 1) * 255).round().byte().numpy()
    assert np.array_equal(arrays["blocks"][0, 1][[0, -1]], ends)
    values, scatter = PriorScatter(50)(model, codes)
    assert scatter["scatter.2"].shape == (50, 2) and scatter["scatter.0.contours"].shape[:1] == (3,)
    assert all(0 <= values[f"inside.{i}.{r}"] <= 1 for i in range(3) for r in (1, 2, 3))


def test_what_moves_in_a_face_is_told_apart() -> None:
    still = np.full((9, 64, 64, 3), 100, dtype=np.uint8)
    background, face, side = still.copy(), still.copy(), still.copy()
    background[-1, :8] = background[-1, -8:] = 200
    face[-1, 24:40, 24:40] = 200
    side[-1, :, :32] = 200
    assert apart(frame(background)) > 5 * apart(frame(face)) and apart(centre(face)) > apart(centre(background))
    assert turned(side) > 0 == turned(face) and apart(frame(still)) == 0
    wide = still.copy()
    wide[-1, 16:48, 8:16] = wide[-1, 16:48, -16:-8] = 200
    assert widened(wide) > 0 > widened(background)


def test_omniscient_region_and_trajectory() -> None:
    grid = []
    for c in (50, 100, 200):
        for i in divisors(8):
            best = {50: 4, 100: 1, 200: 4}[c]
            values = {"elbo": -float(i != best), "entropy.least": -1.0 if (c, i) == (200, 4) else 1.4}
            grid.append(({"data": "dsprites", "c": c, "n": 8, "i": i, "beta": 4.0, "seed": 0}, result(values)))
    region = omniscient_region("dsprites", grid, (50, 100, 200)).matrices["β = 4"]
    assert region.tolist() == [[0, 0, 1], [0, 0, 0], [0, 0, 0]]
    # A cell without models is empty, and not one without such a latent.
    (_, part) = STUDIES["stcvae-fig2"]().figures(grid[:-1])
    assert np.isnan(part.matrices["β = 4"]).tolist() == [[False, False, True], [False] * 3, [False] * 3]  # type: ignore[union-attr]
    curves, _ = STUDIES["stcvae-fig2"]().figures(grid)
    (_, best_of) = curves.lines["β = 4"][0]  # type: ignore[union-attr]
    assert list(best_of) == [1.0, 0.25, 1.0]
    (_, line) = curves.lines["β-TCVAE"][0]  # type: ignore[union-attr]
    assert list(line) == [0.25] * 3
    # Where a pressure lacks some capacities, its line has no point there.
    more = [({**own, "c": c, "beta": 1.0}, r) for own, r in grid if own["c"] == 50 for c in (50, 200, 400)]
    curves, _ = STUDIES["stcvae-fig2"]().figures([*grid, *more])
    assert list(curves.lines["β = 1"][0][0]) == [0.0, 2.0, 3.0]  # type: ignore[union-attr]
    assert list(curves.lines["β = 4"][0][0]) == [0.0, 1.0, 2.0]  # type: ignore[union-attr]


def test_both_readings_of_the_average_over_sizes_of_groups() -> None:
    grid = [
        ({"data": "dsprites", "c": 50, "n": 8, "i": i, "beta": 4.0, "seed": 0}, result({"mig-posterior": mig}))
        for i, mig in ((1, 0.1), (2, 0.3), (4, 0.9))
    ]
    (one,) = STUDIES["stcvae-fig3"]().figures(grid)
    found = {name: list(each[0][1]) for name, each in one.lines.items()}  # type: ignore[union-attr]
    assert found == {"β-STCVAE, i > 1": [0.3], "β-STCVAE": [pytest.approx(0.2)], "β-TCVAE": [0.1]}


def test_multiplications_of_a_capacity_are_those_of_its_network() -> None:
    from unweave.analysis import complexity
    from unweave.networks import VAE as Network

    for body, shape in ((MLP((24, 24)), (1, 64, 64)), (Conv(hidden=40), (3, 64, 64))):
        assert multiplied(shape, body, 6) == complexity(Network(body, shape, 6, "bernoulli"), shape).macs


def test_stand_ins_are_drawn_and_published_sets_are_read(tmp_path: Path) -> None:
    assert digits(tmp_path, 32) == Split(DSprites()) and faces(tmp_path).name == "color-dsprites"
    without = turned_digits(tmp_path, 32, 5)
    assert isinstance(without, HeldOut) and without.combinations == ((("scale", (5,)),),)
    assert replace(without, part="test").rows == 737_280 // 6
    (tmp_path / "mnist").mkdir()
    for name in ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"):
        (tmp_path / "mnist" / name).write_bytes(b"")
    assert digits(tmp_path, 32, binary=True) == MNIST(size=32, binary=True)


def test_no_step_of_a_curve_is_lost() -> None:
    """Figure 4 is measured at as many steps as there are, the last one among them."""
    for scale in ("smoke", "small", "paper"):
        for _, job in STUDIES["recurd-fig4"]().jobs(scale):
            assert job.at[-1] == job.experiment.steps and len(job.at) >= 2  # type: ignore[attr-defined]
            assert all(math.isfinite(step) and step >= 1 for step in job.at)  # type: ignore[attr-defined]
