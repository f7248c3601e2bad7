"""BHiVAE with labels: each layer's block learns one factor, and the rest that goes up forgets it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unweave.data.base import DataSpec
from unweave.methods.base import Method, Preset, at_least, one_of
from unweave.methods.blocks import check_blocks, default_body
from unweave.names import hint
from unweave.networks import BlocksVAE, Body, Critic, Judged, Model, detached
from unweave.networks.blocks import Classifier, block_root, code_of, kl_to_block
from unweave.references import LIU_2021
from unweave.types import Adam, Batch, Loss, State, UserError

GENERAL = Preset(
    latents=12,
    steps=100_000,
    batch=128,
    note="BHiVAE §4.3: 12 latents, three blocks of 2; the paper gives no weights, optimiser, batch or steps for the "
    "supervised case: ours",
)
CELEBA = GENERAL._replace(
    fields={"labels": ("Black_Hair", "Bald", "Male")},
    note="BHiVAE §4.3 and Fig. 7, CelebA: black hair, bald and gender, 12 latents, three blocks of 2; weights, "
    "optimiser, batch and steps are ours, the paper gives none",
)


@dataclass(frozen=True)
class BHiVAESupervised(Method):
    """Block s^i is taught the label y^i of its layer; the rest h^i is made to say nothing of it.

        loss = w · E[−log p(x|z)] + KL(q(c|h) ‖ N(0, I))
               + Σ_i [ KL(q(s^i|h^{i−1}) ‖ N(0, Σ)) + β · CE(y^i, C_i(s^i)) − γ · H(C_i(h^i)) ]

    Liu et al. (2021), eq. 7 to 10, with the autoencoder that eq. 10 leaves out and a KL for c. The s^i and c are
    Gaussian, the h^i between the layers are not. C_i is one head behind a projection of s^i and a projection of h^i.
    The entropy teaches the encoder only: would it teach C_i, that would forget the label itself.

    Args:
        recon_weight: w ≥ 0 of the reconstruction.
        beta: β ≥ 0 of the cross-entropy of the labels.
        gamma: γ ≥ 0 of the entropy of what is read off h^i.
        labels: names of the factors taught to layers 1, 2, …, at most as many as ``blocks``; when empty, the data
            set's first ones with more than one level. There are as many layers as labels.
        balanced: weigh every image in CE by the inverse frequency of its level in the batch, for rare attributes.
        inhibition: who reads y^i off h^i: ``shared``, C_i through its projection of h^i, which alone is trained to do
            so, or ``adversary``, a classifier of its own, all of which is.
        rho: correlation ρ of the prior within a block, −1/(d − 1) < ρ < 1.
        blocks: d(s^1), d(s^2), …, sizes of the blocks; what is left of the latents is c.
        width: d(h^1); each further h^i but the last is half as wide.
        part_width: outputs of each part's decoder.
        classifier_hidden: width of projections, heads and adversaries.
        critic_lr: learning rate of what reads h^i; Adam's decay rates are (0.5, 0.9).

    Terms: ``recon``, ``kl`` (``kl.i`` of block i, ``kl.c``), ``class`` and ``class.i`` (CE of s^i), ``entropy`` and
    ``entropy.i`` (of what is read off h^i; ln n_i at best), ``critic`` (CE of that reading, which trains the readers),
    all in nats; ``accuracy.i`` of C_i(s^i), a share.

    Raises:
        UserError: data without factors, unknown or too many labels, a negative weight, a ρ without a density, blocks
            that leave nothing for c.

    >>> import unweave
    >>> method = unweave.BHiVAESupervised(labels=("pos_x",), width=8, part_width=8)
    >>> run = unweave.fit(method, "triangle", steps=2, batch=8, latents=4, network=unweave.MLP((16,)))
    >>> sorted(run.terms)[:5]
    ['accuracy.1', 'class', 'class.1', 'critic', 'entropy']
    """

    recon_weight: float = 1.0
    beta: float = 100.0
    gamma: float = 10.0
    labels: tuple[str, ...] = ()
    balanced: bool = True
    inhibition: str = "shared"
    rho: float = 0.5
    blocks: tuple[int, ...] = (2, 2, 2)
    width: int = 128
    part_width: int = 256
    classifier_hidden: int = 64
    critic_lr: float = 1e-3

    name: ClassVar[str] = "bhivae-supervised"
    summary: ClassVar[str] = "each layer's block is taught a label, and the rest made to forget it"
    presets: ClassVar[Mapping[str, Preset]] = {"": GENERAL, "celeba": CELEBA}
    references = (LIU_2021,)

    def check(self, data: DataSpec, latents: int) -> None:
        at_least(self, 0, "recon_weight", "beta", "gamma", "critic_lr")
        at_least(self, 1, "classifier_hidden")
        one_of(self, "inhibition", ("shared", "adversary"))
        if data.factors is None or not any(size > 1 for size in data.factors.sizes):
            raise UserError(
                "bhivae-supervised: it learns from labels, and this data set has none; allowed: a data set with "
                "factors (or the method bhivae)"
            )
        known = data.factors.names
        if not isinstance(self.labels, tuple):
            raise UserError(f"bhivae-supervised: labels = {self.labels!r}; allowed: a tuple of factor names")
        check_blocks(self, latents, len(self.labels) or sum(size > 1 for size in data.factors.sizes))
        for label in self.labels:
            if label not in known:
                raise UserError(
                    f"bhivae-supervised: labels name {label!r}{hint(label, known)} (allowed: {', '.join(known)})"
                )
            if data.factors.sizes[known.index(label)] < 2:
                raise UserError(f"bhivae-supervised: label {label!r} has one level; allowed: factors that vary")
        if len(set(self.labels)) < len(self.labels) or len(self.labels) > len(self.blocks):
            raise UserError(
                f"bhivae-supervised: labels = {self.labels}; allowed: different ones, at most {len(self.blocks)}, the "
                f"number of blocks {self.blocks}"
            )

    def columns(self, data: DataSpec) -> tuple[int, ...]:
        """Which column of the labels each layer is taught."""
        assert data.factors is not None
        if self.labels:
            return tuple(data.factors.position(label) for label in self.labels)
        return tuple(c for c, size in enumerate(data.factors.sizes) if size > 1)[: len(self.blocks)]

    def network(self, data: DataSpec, latents: int, body: Body | None = None) -> Model:
        assert data.factors is not None
        columns = self.columns(data)
        levels = [data.factors.sizes[column] for column in columns]
        net = BlocksVAE(
            body or default_body(data),
            data.shape,
            latents,
            data.likelihood,
            self.blocks[: len(columns)],
            self.rho,
            self.width,
            self.part_width,
            "code",
            columns,
            levels,
            self.classifier_hidden,
        )
        hidden = self.classifier_hidden
        readers = {
            f"reader_{i}": nn.Linear(rest, hidden) if self.inhibition == "shared" else Critic(rest, count, hidden, 2)
            for i, (rest, count) in enumerate(zip(net.rests, levels, strict=True), 1)
        }
        return Judged(net, **readers)

    def optimisers(self) -> Mapping[str, Adam]:
        return {"critic": Adam(lr=self.critic_lr, betas=(0.5, 0.9))}

    def loss(self, model: Model, batch: Batch, state: State) -> Loss:
        judged = cast(Judged, model)
        net = cast(BlocksVAE, judged.model)
        layers = net.layers(batch.x)
        q = code_of(layers)
        z = q.sample(batch.noise["z"])
        *blocks, c = z.split(list(net.parts), -1)
        rests = [*(layer.h for layer in layers[:-1]), c]
        recon = net.distortion(net.decode(z), batch.x).mean()
        rest = layers[-1].q_h.kl().sum(-1).mean()
        terms = {"recon": recon, "kl": rest, "kl.c": rest}
        sums = {name: torch.zeros_like(recon) for name in ("class", "entropy", "critic")}
        for i, (layer, s, h) in enumerate(zip(layers, blocks, rests, strict=True), 1):
            y = batch.labels[:, net.columns[i - 1]]
            classifier = cast(Classifier, net.classifiers[i - 1])
            told = classifier(s)
            read, reader = self._read(classifier, judged.critics[f"reader_{i}"], h)
            weights = inverse_frequency(y, told) if self.balanced else torch.full_like(told[:, 0], 1 / len(told))
            found = {
                "kl": kl_to_block(layer.q_s, block_root(s.shape[-1], self.rho, s)).mean(),
                "class": cross_entropy(told, y, weights),
                "entropy": entropy(read).mean(),
                "critic": cross_entropy(reader, y, weights),
            }
            for name in sums:
                sums[name] = sums[name] + found[name]
            terms["kl"] = terms["kl"] + found["kl"]
            terms |= {f"{name}.{i}": value for name, value in found.items() if name != "critic"}
            terms[f"accuracy.{i}"] = (told.argmax(-1) == y).to(recon.dtype).mean()
        supervised = self.beta * sums["class"] - self.gamma * sums["entropy"] + sums["critic"]
        return Loss(self.recon_weight * recon + terms["kl"] + supervised, terms | sums)

    def _read(self, classifier: Classifier, reader: nn.Module, h: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of y^i read off h^i, twice: to teach the encoder alone, and to teach the reader alone."""
        if self.inhibition == "adversary":
            return detached(reader, h), reader(h.detach())
        return detached(classifier.head, detached(reader, h)), detached(classifier.head, reader(h.detach()))


def one_hot(y: Tensor, like: Tensor) -> Tensor:
    """(N, n) ones at the levels y, in the precision of (N, n) logits."""
    return (y[:, None] == torch.arange(like.shape[-1], device=y.device)).to(like.dtype)


def inverse_frequency(y: Tensor, like: Tensor) -> Tensor:
    """(N,) weights that sum to 1, the same sum for every level that occurs among y (N,)."""
    of = one_hot(y, like)
    counts = of.sum(0)
    present = (counts > 0).to(like.dtype).sum()
    return 1 / ((of @ counts) * present)


def cross_entropy(logits: Tensor, y: Tensor, weights: Tensor) -> Tensor:
    """−Σ_n w_n log p(y_n) in nats, for (N, n) logits."""
    return -(weights * (one_hot(y, logits) * F.log_softmax(logits, -1)).sum(-1)).sum()


def entropy(logits: Tensor) -> Tensor:
    """(N,) entropy of the softmax in nats; ln n where all logits are equal."""
    logp = F.log_softmax(logits, -1)
    return -(torch.exp(logp) * logp).sum(-1)
