"""BHiVAE without labels: blocks of the code, split off layer by layer, held to a block prior by critics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
from torch import Tensor

from unweave.data.base import DataSpec
from unweave.methods.base import Method, Preset, at_least, need_company, one_of
from unweave.methods.blocks import check_blocks, default_body, hsic, permuted_parts, verdict
from unweave.methods.mmd import mmd
from unweave.networks import BlocksVAE, Body, Critic, Judged, Model
from unweave.networks.blocks import Layer, block_root, kl_to_block, rest_sizes
from unweave.references import LIU_2021
from unweave.types import Adam, Batch, Draw, Loss, State, UserError

GENERAL = Preset(
    latents=12,
    steps=100_000,
    batch=128,
    note="BHiVAE Table 1: β = 10, γ = 3, blocks of 2, ρ = 0.5; ours: 12 latents, and, as the paper gives no optimiser, "
    "batch or steps, Adam 1e-4, batch 128, 100,000 steps",
)
MNIST = GENERAL._replace(
    latents=14,
    note="BHiVAE §4.2, MNIST: 14 latents, of which c has 8, blocks of 2, ρ = 0.5; β = 10, γ = 3 (Table 2); optimiser, "
    "batch and steps are ours, the paper gives none, and its digits are of 64×64 above and below one half",
)
DSPRITES = GENERAL._replace(
    latents=10,
    note="BHiVAE Fig. 5 and Table 1, dSprites: β = 10, γ = 3, 10 latents (14 in its Fig. 3), blocks of 2, ρ = 0.5; "
    "optimiser, batch and steps are ours, the paper gives none",
)


@dataclass(frozen=True)
class BHiVAE(Method):
    """Each layer splits a block s^i off the code and hands the rest h^i up; both are held to a prior, and apart.

        loss = β · E[−log p(x | s^1 … s^L, c)] + Σ_i [ KL(q(z^i) ‖ N(0, Σ_i)) + γ · I(h^i; s^i) ]
        h^0 = x,   z^i = (s^i, h^i) = Enc_i(h^{i−1}),   c = h^L,   Σ_i = blockdiag((1 − ρ) I + ρ 1 1ᵀ, I)

    Liu et al. (2021), eq. 15 to 19, with the sign of eq. 19 put right and one reconstruction from all parts. The
    encoder is deterministic, so q(z^i) is the distribution of the codes of all images; critics estimate KL and I from
    samples. **β multiplies the reconstruction**: a large one is a low pressure, the opposite of β-VAE.

    Args:
        recon_weight: β ≥ 0 of the reconstruction.
        gamma: γ ≥ 0 of the mutual information between s^i and h^i.
        rho: correlation ρ of the prior within a block, −1/(d − 1) < ρ < 1.
        blocks: d(s^1) … d(s^L), the sizes of the blocks, one a layer; what is left of the latents is c.
        encoder: ``deterministic``, or ``stochastic``: every z^i is a Gaussian given h^{i−1}.
        matching: how q(z^i) is held to its prior: ``adversarial``, ``mmd`` (``kernel_weight`` times the squared maximum
            mean discrepancy), or ``kl``, the closed form for each image, with a stochastic encoder only.
        separation: how s^i and h^i are kept apart: ``adversarial``, ``hsic`` (γ times ``kernel_weight`` times the
            Hilbert-Schmidt independence criterion, which is an MMD from the product of the marginals) or ``none``.
        single_discriminator: one critic a layer tells codes from prior samples and permuted codes alike (§4.2 of the
            paper); only with ``adversarial`` for both.
        disc_weight: weight of that critic's estimate; γ when None.
        kernel_weight: what a squared MMD and HSIC are multiplied by, to be of the size of nats.
        reconstruction: ``joint``, from all parts, or ``layers``: also −β log p(x|s^i) from each block alone (eq. 15).
        width: d(h^1); each further h^i but the last is half as wide.
        part_width: outputs of each part's decoder.
        critic_hidden: width of the critics' layers.
        critic_layers: number of their hidden layers.
        critic_lr: their learning rate; Adam's decay rates are (0.5, 0.9).
        stabiliser: what keeps critics of a large z^i from winning: ``none``, ``noise`` (Gaussian noise on all that they
            see) or ``spectral`` (their layers divided by their largest singular value).
        instance_noise: standard deviation of that noise, in units of the prior's.

    Terms: ``recon``; ``kl`` and ``separation``, the sums over layers of ``kl.i`` and ``separation.i``, in nats; with
    ``mmd`` there are ``mmd`` and ``mmd.i`` in place of ``kl``, and with ``hsic`` that is the separation, both
    unweighted; ``critic``, the critics' mean cross-entropy (0.693 when they cannot tell); ``recon.i`` with ``layers``.

    Raises:
        UserError: a negative weight, a ρ without a density, blocks that leave nothing for c, words that do not go
            together, a batch too small to compare codes in.

    >>> import unweave
    >>> method = unweave.BHiVAE(blocks=(2, 2), width=8, part_width=8, critic_hidden=8)
    >>> run = unweave.fit(method, "triangle", steps=2, batch=8, latents=6, network=unweave.MLP((16,)))
    >>> sorted(run.terms)
    ['critic', 'kl', 'kl.1', 'kl.2', 'recon', 'separation', 'separation.1', 'separation.2', 'total']
    """

    recon_weight: float = 10.0
    gamma: float = 3.0
    rho: float = 0.5
    blocks: tuple[int, ...] = (2, 2, 2)
    encoder: str = "deterministic"
    matching: str = "adversarial"
    separation: str = "adversarial"
    single_discriminator: bool = False
    disc_weight: float | None = None
    kernel_weight: float = 1000.0
    reconstruction: str = "joint"
    width: int = 128
    part_width: int = 256
    critic_hidden: int = 512
    critic_layers: int = 3
    critic_lr: float = 1e-4
    stabiliser: str = "none"
    instance_noise: float = 0.1

    name: ClassVar[str] = "bhivae"
    summary: ClassVar[str] = "blocks split off layer by layer, held to a block prior by critics"
    presets: ClassVar[Mapping[str, Preset]] = {"": GENERAL, "dsprites": DSPRITES, "mnist": MNIST}
    references = (LIU_2021,)

    def check(self, data: DataSpec, latents: int) -> None:
        at_least(self, 0, "recon_weight", "gamma", "kernel_weight", "critic_lr", "instance_noise")
        at_least(self, 1, "critic_hidden", "critic_layers")
        one_of(self, "encoder", ("deterministic", "stochastic"))
        one_of(self, "matching", ("adversarial", "mmd", "kl"))
        one_of(self, "separation", ("adversarial", "hsic", "none"))
        one_of(self, "reconstruction", ("joint", "layers"))
        one_of(self, "stabiliser", ("none", "noise", "spectral"))
        check_blocks(self, latents)
        if self.stabiliser != "none" and not self.critics:
            raise UserError(
                f"bhivae: stabiliser = {self.stabiliser!r} where there are no critics; allowed there: 'none' (or "
                "'adversarial' for matching or separation)"
            )
        if self.matching == "kl" and self.encoder != "stochastic":
            raise UserError(
                "bhivae: matching = 'kl' with a deterministic encoder, which has no density; allowed there: "
                "adversarial, mmd (or encoder = 'stochastic')"
            )
        if self.single_discriminator and (self.matching, self.separation) != ("adversarial", "adversarial"):
            raise UserError(
                f"bhivae: single_discriminator with matching = {self.matching!r}, separation = {self.separation!r}; "
                "allowed: 'adversarial' for both"
            )
        if self.disc_weight is not None:
            at_least(self, 0, "disc_weight")
            if not self.single_discriminator:
                raise UserError(
                    f"bhivae: disc_weight = {self.disc_weight} without single_discriminator; allowed: None there"
                )

    def network(self, data: DataSpec, latents: int, body: Body | None = None) -> Model:
        net = BlocksVAE(
            body or default_body(data),
            data.shape,
            latents,
            data.likelihood,
            self.blocks,
            self.rho,
            self.width,
            self.part_width,
            "all" if self.encoder == "stochastic" else "none",
        )
        critics = {
            f"{role}_{i}": Critic(s + h, 1, self.critic_hidden, self.critic_layers, self.stabiliser == "spectral")
            for i, (s, h) in enumerate(zip(net.sizes, net.rests, strict=True), 1)
            for role in self.critics
        }
        return Judged(net, **critics) if critics else net

    @property
    def critics(self) -> tuple[str, ...]:
        """The critics of each layer."""
        if self.single_discriminator:
            return ("both",)
        roles = {"prior": self.matching, "separation": self.separation}
        return tuple(role for role, how in roles.items() if how == "adversarial")

    def noise(self, data: DataSpec, latents: int, rows: int) -> Mapping[str, Draw]:
        alone = self.matching == "kl" and self.separation == "none"
        need_company(self, rows, 4 if self.separation == "hsic" else 1 if alone else 2)
        draws = {}
        for i, (s, h) in enumerate(zip(self.blocks, rest_sizes(self.blocks, latents, self.width), strict=True), 1):
            if self.encoder == "stochastic":
                draws[f"z.{i}"] = Draw((rows, s + h))
            if self.matching != "kl":
                draws[f"prior.{i}"] = Draw((rows, s + h))
            if self.separation == "adversarial":
                draws[f"permute.{i}"] = Draw((2, rows), "permutation")
            if self.stabiliser == "noise":
                draws |= {f"blur.{role}_{i}": Draw((2 + (role == "both"), rows, s + h)) for role in self.critics}
        return draws

    def optimisers(self) -> Mapping[str, Adam]:
        return {"critic": Adam(lr=self.critic_lr, betas=(0.5, 0.9))} if self.critics else {}

    def loss(self, model: Model, batch: Batch, state: State) -> Loss:
        net = cast(BlocksVAE, model.model if isinstance(model, Judged) else model)
        count = len(self.blocks)
        noise = [batch.noise[f"z.{i}"] for i in range(1, count + 1)] if self.encoder == "stochastic" else None
        layers = net.layers(batch.x, noise)
        code = torch.cat([*(layer.s for layer in layers), layers[-1].h], -1)
        recon = net.distortion(net.decode(code), batch.x).mean()
        terms: dict[str, Tensor] = {"recon": recon}
        total = self.recon_weight * recon
        if self.reconstruction == "layers":
            for i, layer in enumerate(layers):
                terms[f"recon.{i + 1}"] = net.distortion(net.decode_part(layer.s, i), batch.x).mean()
                total = total + self.recon_weight * terms[f"recon.{i + 1}"]
        told: list[Tensor] = []
        for i, layer in enumerate(layers, 1):
            penalty, found = self._hold(model, batch, layer, i, told)
            total = total + penalty
            terms |= {f"{name}.{i}": value for name, value in found.items()}
        for name in dict.fromkeys(n.split(".")[0] for n in terms if "." in n and not n.startswith("recon")):
            terms[name] = cast(Tensor, sum(terms[f"{name}.{i}"] for i in range(1, count + 1)))
        if told:
            terms["critic"] = cast(Tensor, sum(told)) / len(told)
            total = total + terms["critic"]
        return Loss(total, terms)

    def _hold(
        self, model: Model, batch: Batch, layer: Layer, i: int, told: list[Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """What layer i adds to the loss, and its terms; its critics' cross-entropies are added to ``told``."""
        size, z = layer.s.shape[-1], layer.z
        root = block_root(size, self.rho, z)

        def judged(role: str, *others: Tensor) -> Tensor:
            seen = [z, *others]
            if self.stabiliser == "noise":
                blurs = batch.noise[f"blur.{role}_{i}"]
                seen = [one + self.instance_noise * blur for one, blur in zip(seen, blurs.unbind(0), strict=True)]
            ratio, entropy = verdict(cast(Judged, model).critics[f"{role}_{i}"], seen[0], seen[1:])
            told.append(entropy)
            return ratio

        permuted = drawn = z
        if self.separation == "adversarial":
            permuted = permuted_parts(layer.s, layer.h, batch.noise[f"permute.{i}"])
        if self.matching != "kl":
            for_s, for_h = batch.noise[f"prior.{i}"].split([size, z.shape[-1] - size], -1)
            drawn = torch.cat([for_s @ root.mT, for_h], -1)
        if self.single_discriminator:
            kl = judged("both", drawn, permuted)
            return (self.gamma if self.disc_weight is None else self.disc_weight) * kl, {"kl": kl}
        found = {}
        if self.matching == "mmd":
            found["mmd"] = mmd(z, drawn, "imq")
            penalty = self.kernel_weight * found["mmd"]
        else:
            # Adversarial or, of a stochastic encoder, the closed form given the layer below.
            closed = self.matching == "kl"
            found["kl"] = (
                (kl_to_block(layer.q_s, root) + layer.q_h.kl().sum(-1)).mean() if closed else judged("prior", drawn)
            )
            penalty = found["kl"]
        if self.separation == "hsic":
            found["separation"] = hsic(layer.s, layer.h)
            penalty = penalty + self.gamma * self.kernel_weight * found["separation"]
        elif self.separation == "adversarial":
            found["separation"] = judged("separation", permuted)
            penalty = penalty + self.gamma * found["separation"]
        return penalty, found
