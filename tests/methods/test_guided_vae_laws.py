"""Guided-VAE: what the light decoder can draw, and who learns from which term."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from unweave.data.base import DataSpec
from unweave.engine import Experiment
from unweave.methods import GuidedVAE, GuidedVAESupervised
from unweave.methods.guided_vae import overlap
from unweave.methods.guided_vae_supervised import apart, told, undecided
from unweave.networks.guided import deformed
from unweave.types import Adam

from .case import BODY, SPEC, case, gradients


def images(shape: tuple[int, ...] = (3, 2, 8, 8)) -> torch.Tensor:
    torch.manual_seed(0)
    return torch.rand(shape, dtype=torch.float64)


@pytest.mark.parametrize("shape", [(3, 2, 8, 8), (2, 1, 5, 9), (1, 3, 64, 64)])
def test_scale_1_and_angle_0_change_nothing(shape: tuple[int, ...]) -> None:
    x = images(shape)
    still = deformed(x, torch.ones(len(x), 2).double(), torch.zeros(len(x)).double())
    torch.testing.assert_close(still, x, rtol=1e-12, atol=1e-12)


def test_quarter_turns_and_mirrors_move_pixels_whole() -> None:
    x = images()
    one = torch.ones(3, 2).double()
    quarter = torch.full((3,), math.pi / 2, dtype=torch.float64)
    torch.testing.assert_close(deformed(x, one, quarter), torch.rot90(x, -1, (2, 3)), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(deformed(x, one, 2 * quarter), x.flip((2, 3)), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(deformed(x, one, 4 * quarter), x, rtol=1e-9, atol=1e-9)
    mirror = one * torch.tensor([-1.0, 1.0])
    torch.testing.assert_close(deformed(x, mirror, 0 * quarter), x.flip(3), rtol=1e-9, atol=1e-9)


def test_a_scale_of_2_shows_half_the_size_on_black() -> None:
    x = torch.ones(1, 1, 8, 8).double()
    small = deformed(x, torch.full((1, 2), 2.0).double(), torch.zeros(1).double())
    wanted = torch.zeros(8, 8).double()
    wanted[2:6, 2:6] = 1
    torch.testing.assert_close(small[0, 0], wanted)


def test_deforming_is_pytorchs_affine_grid() -> None:
    x = images((4, 1, 7, 10))
    scale, angle = torch.rand(4, 2).double() + 0.3, 3 * torch.randn(4).double()
    turn = torch.stack([torch.cos(angle), torch.sin(angle), -torch.sin(angle), torch.cos(angle)], 1).view(4, 2, 2)
    theta = torch.cat([turn @ torch.diag_embed(scale), torch.zeros(4, 2, 1)], 2)
    wanted = F.grid_sample(x, F.affine_grid(theta, list(x.shape), align_corners=False), align_corners=False)
    torch.testing.assert_close(deformed(x, scale, angle), wanted, rtol=1e-10, atol=1e-12)


def test_a_light_decoder_starts_undeformed() -> None:
    one = case(GuidedVAE(), spread=0.0)
    z = torch.randn(5, 6).double()
    z[:, :2] = 0
    flat = torch.sigmoid(one.model.basis(z[:, 2:])).view(5, 1, 8, 8)
    torch.testing.assert_close(torch.sigmoid(one.model.light(z)), flat, rtol=1e-9, atol=1e-9)


def test_without_the_transformer_it_is_linear_in_every_latent() -> None:
    net = case(GuidedVAE(transformer=False)).model
    a, b = torch.randn(2, 3, 6).double()
    zero = net.light(torch.zeros(3, 6).double())
    torch.testing.assert_close(net.light(2 * a - b) - zero, 2 * (net.light(a) - zero) - (net.light(b) - zero))
    assert net.basis.weight.shape == (64, 6)


def test_orthogonal_columns_do_not_overlap() -> None:
    torch.manual_seed(0)
    basis = torch.linalg.qr(torch.randn(64, 6).double()).Q * torch.arange(1.0, 7.0)
    assert float(overlap(basis)) == pytest.approx(0.0, abs=1e-12)
    basis = torch.randn(7, 3).double()
    loops = sum(
        abs(sum(float(basis[p, i] * basis[p, j]) for p in range(7))) for i in range(3) for j in range(3) if i != j
    )
    assert float(overlap(basis)) == pytest.approx(loops, rel=1e-12)
    assert float(overlap(-basis)) == float(overlap(basis))


@pytest.mark.parametrize("transformer", [True, False])
def test_without_its_weights_it_is_a_vae(transformer: bool) -> None:
    one = case(GuidedVAE(0.0, 0.0, transformer))
    loss = one.loss()
    assert torch.equal(loss.total, loss.terms["recon"] + loss.terms["kl"])
    loss.total.backward()
    for name, value in gradients(one.model).items():
        assert bool(value.any()) == name.startswith(("encoder", "decoder")), name


def test_the_light_decoder_teaches_the_encoder_and_never_the_decoder() -> None:
    one = case(GuidedVAE())
    one.loss().terms["light"].backward()
    reached = {name.split(".")[0] for name, value in gradients(one.model).items() if bool(value.any())}
    assert reached == {"encoder", "basis", "size", "angle"}


def test_presets_follow_what_each_data_set_is_read_as() -> None:
    assert GuidedVAE().transformer and not GuidedVAE(**GuidedVAE.presets["dsprites"].fields).transformer
    assert GuidedVAE.presets["dsprites"].latents == 8 and GuidedVAE.presets[""].latents == 10
    assert GuidedVAESupervised.presets[""].latents == 16


def test_faces_are_guided_by_the_attributes_that_are_compared() -> None:
    """BHiVAE's Fig. 6 shows gender and black hair of Guided-VAE."""
    one = Experiment("guided-vae-supervised", "celeba").complete()
    assert one.method == GuidedVAESupervised(labels=("Black_Hair", "Male"), excitation=200.0, inhibition=200.0)
    assert (one.latents, one.steps, one.batch) == (16, 200_704, 128)
    assert one.optimiser == Adam(lr=1e-4, weight_decay=1e-5)
    assert GuidedVAESupervised.presets[""].fields == {}


@pytest.mark.parametrize("labels", [(), ("place", "shape")])
def test_each_term_of_the_supervised_one_teaches_its_own_part(labels: tuple[str, ...]) -> None:
    wanted = {
        "recon": {"model.encoder", "model.decoder"},
        "kl": {"model.encoder"},
        "excitation": {"model.encoder", "model.tellers"},
        "inhibition": {"model.encoder"},
        "critic": {f"critics.{place}" for place in range(len(labels) or 1)},
    }
    for term, parts in wanted.items():
        one = case(GuidedVAESupervised(labels, critic_hidden=8))
        one.loss().terms[term].backward()
        reached = {".".join(n.split(".")[:2]) for n, value in gradients(one.model).items() if bool(value.any())}
        assert reached == parts, term


def test_strengths_do_not_reach_the_classifiers_of_the_rest() -> None:
    found = []
    for inhibition in (0.0, 70.0):
        one = case(GuidedVAESupervised(inhibition=inhibition, critic_hidden=8))
        one.loss().total.backward()
        found.append(gradients(one.model))
    for name, value in found[0].items():
        assert torch.allclose(value, found[1][name], rtol=1e-12, atol=1e-14) == (not name.startswith("model.encoder"))


def test_entropies_where_they_are_known() -> None:
    even = torch.zeros(4, 3).double()
    levels = torch.tensor([0, 1, 2, 1])
    assert float(told(even, levels)) == pytest.approx(math.log(3))
    assert float(undecided(even)) == pytest.approx(math.log(3))
    sure = 50 * F.one_hot(levels, 3).double()
    assert float(told(sure, levels)) == pytest.approx(0.0, abs=1e-12)
    assert float(undecided(sure)) > 30
    p = torch.rand(6, 1).double()
    logits = torch.cat([torch.log(p), torch.log(1 - p)], 1)
    binary = F.binary_cross_entropy(p, torch.full((6, 1), 0.5).double())
    torch.testing.assert_close(undecided(logits), binary)


def test_one_latent_and_the_others() -> None:
    z = torch.arange(12.0).view(3, 4)
    one, rest = apart(z, 2)
    assert one.tolist() == [[2.0], [6.0], [10.0]] and rest[0].tolist() == [0.0, 1.0, 3.0]


def test_without_names_the_first_factor_is_guided() -> None:
    empty, named = (case(GuidedVAESupervised(labels, critic_hidden=8)) for labels in ((), ("shape",)))
    assert torch.equal(empty.loss().total, named.loss().total)


def test_classifiers_as_published_but_for_batch_norm() -> None:
    spec = DataSpec((1, 8, 8), "squared", 100, SPEC.factors)
    net = GuidedVAESupervised(("size",)).network(spec, 16, BODY)
    for critic, inputs in ((net.model.tellers[0], 1), (net.critics["0"], 15)):
        dense = [layer for layer in critic.modules() if isinstance(layer, torch.nn.Linear)]
        assert [(layer.in_features, layer.out_features) for layer in dense] == [(inputs, 32), (32, 32), (32, 2)]
    assert set(net.groups()) == {"model", "critic"}
    assert all(name.startswith("critics.0") for name in net.groups()["critic"])
