"""RecurD: disentangle the features of every layer, not the code alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from unweave.data.base import DataSpec
from unweave.methods import mutual_information as mi
from unweave.methods.base import Method, Preset, at_least, one_of
from unweave.networks import Body, Conv, Judged, Model, PairCritic, PairDensity, RecursiveVAE, detached
from unweave.networks.pairs import ordered, unordered
from unweave.networks.recursive import RecursiveModule, Routing
from unweave.networks.router import ROUTERS
from unweave.types import Adam, Batch, Draw, Loss, Rate, Reference, State, UserError

ENCODERS: dict[int, tuple[int, ...]] = {0: (), 1: (4,), 2: (2, 4)}
KINDS = ("sufficient", "disentangled")
PLAIN = {"jsd": mi.jensen_shannon, "nwj": mi.nwj, "infonce": mi.infonce}
PUBLISHED = Preset(
    latents=8,
    steps=300_000,
    batch=64,
    optimiser=Adam(lr=1e-4),
    note="RecurD Appendix D: RecurD1, 8 latents, Adam 1e-4; batch and steps are not published (64 and 300,000: "
    "Locatello et al. 2019)",
)
CELEBA = PUBLISHED._replace(
    fields={"modules": 2},
    latents=16,
    note="RecurD Appendix D and Table 5: RecurD2 on CelebA, 16 latents, Adam 1e-4; batch and steps are not published "
    "(64 and 300,000: Locatello et al. 2019)",
)


class Part(NamedTuple):
    """One term of the objective: the mutual information of pairs of parts, summed over the pairs."""

    left: Tensor
    right: Tensor
    pairs: tuple[Tensor, Tensor]
    weight: Any


class Judgement(NamedTuple):
    """The mutual information of a part, summed over its pairs; its critic's loss; the next moving average."""

    penalty: Tensor
    critic: Tensor
    average: Tensor | None


@dataclass(frozen=True)
class RecurD(Method):
    """The evidence lower bound with penalties on the dependence of features, layer by layer.

        loss = E[−log p(x|z)] + w · KL + λ_1 Σ_l Σ_{i≠j} I(a_i^l; m_j^{l+1})
               + λ_2 [ Σ_l Σ_{i<j} I(a_i^l; a_j^l) + Σ_{i<j} I(z_i; z_j) ],     m^{l+1}_j = Encoder_j(a_j^l)

    Chen et al. (2022), eq. 4. The encoder is made of recursive modules: a router mixes the groups of features m^l for
    each encoder of the next module, a_j^l = Σ_i w_ij^l m_i^l, and z is what the last ones put out. Critics estimate the
    mutual information from features averaged over each map; they learn in the same backward pass and step as the
    model, on features held fixed.

    Args:
        modules: 0, 1 or 2 modules with a router: RecurD0 (a plain VAE), RecurD1, RecurD2.
        encoders: how many encoders each module but the last has; the paper's (4,) and (2, 4) when not given.
        size: latents that each encoder of the last module makes, and that form one part of z.
        k: how many groups an encoder reads.
        router: ``matmul`` (ours, for the paper's shapes), ``hadamard`` (the paper to the letter, for modules of one
            size), or the paper's ablations ``linear``, ``fix`` and ``attention``.
        scaled: divide similarities by the root of the number of features.
        combine: an encoder reads the ``sum`` of its weighted groups, or their ``concat``.
        l1: λ_1 ≥ 0, weight of the minimal-sufficiency terms.
        l2: λ_2 ≥ 0, weight of the disentanglement terms.
        kl_weight: w ≥ 0, weight of the KL; λ_1 when None, for the KL is what bounds eq. 1's λ_1 I(x; z). 0 is eq. 4 to
            the letter.
        estimator: ``dv`` (MINE with a moving average), ``jsd``, ``nwj``, ``infonce``, ``smile`` (lower bounds and
            their like), or ``club`` (an upper bound, with Gaussian densities for critics).
        shared: one critic for all pairs of a term, else one for each pair.
        critic_hidden: width of the critics' hidden layers.
        critic_layers: their number.
        critic_lr: the critics' learning rate.
        critic_clip: largest norm of their gradient.
        n_critic: the critics move in every step, the model in every ``n_critic``-th.
        bound: τ > 0 in T = τ · tanh(T / τ), the largest score.
        average_rate: weight of the newest batch in the moving average of ``dv``.
        negatives: how often each batch is shifted by one more row to make independent pairs.
        smile_clip: largest score of independent pairs with ``smile``.

    Terms: ``recon`` and ``kl`` in nats an image; ``sufficient`` and ``disentangled``, the sums of mutual information,
    and ``sufficient.l``, ``disentangled.l``, ``disentangled.z`` their parts in nats, each shown as 0 where it is below;
    ``critic``, what the critics minimise.

    Raises:
        UserError: a number out of range, k above the number of groups, words without meaning or that do not go
            together, latents that ``size`` does not divide, batches without independent pairs.

    >>> import unweave
    >>> method = unweave.RecurD(critic_hidden=8)
    >>> run = unweave.fit(method, "triangle", latents=4, steps=2, batch=8, network=unweave.MLP((16,)))
    >>> sorted(run.terms)[:6]
    ['critic', 'disentangled', 'disentangled.2', 'disentangled.z', 'kl', 'recon']
    """

    modules: int = 1
    encoders: tuple[int, ...] | None = None
    size: int = 1
    k: int = 2
    router: str = "matmul"
    scaled: bool = True
    combine: str = "sum"
    l1: float = 1.0
    l2: float = 2.0
    kl_weight: float | None = None
    estimator: str = "dv"
    shared: bool = True
    critic_hidden: int = 256
    critic_layers: int = 3
    critic_lr: float = 1e-4
    critic_clip: float = 1.0
    n_critic: int = 1
    bound: float = 10.0
    average_rate: float = 0.01
    negatives: int = 1
    smile_clip: float = 5.0

    name: ClassVar[str] = "recurd"
    summary: ClassVar[str] = "routed groups of encoders, whose features are kept independent layer by layer"
    presets: ClassVar[Mapping[str, Preset]] = {"": PUBLISHED, "celeba": CELEBA}
    references = (
        Reference(
            "chen2022recursive",
            "Chen, Yixuan and Shi, Yubin and Li, Dongsheng and Wang, Yujiang and Dong, Mingzhi and Zhao, Yingying and "
            "Dick, Robert and Lv, Qin and Yang, Fan and Shang, Li",
            "Recursive Disentanglement Network",
            "International Conference on Learning Representations",
            2022,
        ),
        Reference(
            "belghazi2018mine",
            "Belghazi, Mohamed Ishmael and Baratin, Aristide and Rajeswar, Sai and Ozair, Sherjil and "
            "Bengio, Yoshua and Courville, Aaron and Hjelm, R Devon",
            "Mutual Information Neural Estimation",
            "International Conference on Machine Learning",
            2018,
            "https://arxiv.org/abs/1801.04062",
        ),
    )

    @property
    def groups(self) -> tuple[int, ...]:
        """How many encoders each module but the last has."""
        return ENCODERS[self.modules] if self.encoders is None else self.encoders

    def check(self, data: DataSpec, latents: int) -> None:
        at_least(self, 0, "l1", "l2", "critic_lr")
        if self.kl_weight is not None:
            at_least(self, 0, "kl_weight")
        at_least(self, 1, "size", "k", "critic_hidden", "critic_layers", "n_critic", "negatives")
        if self.encoders is not None:
            at_least(self, 1, "encoders")
        one_of(self, "router", ROUTERS)
        one_of(self, "combine", ("sum", "concat"))
        one_of(self, "estimator", mi.ESTIMATORS)
        for name in ("critic_clip", "bound", "smile_clip"):
            if not 0 < getattr(self, name) < math.inf:
                raise UserError(f"recurd: {name} = {getattr(self, name)}; allowed: numbers above 0")
        if not 0 < self.average_rate <= 1:
            raise UserError(f"recurd: average_rate = {self.average_rate}; allowed: above 0, at most 1")
        if self.modules not in ENCODERS:
            raise UserError(f"recurd: modules = {self.modules}; allowed: 0, 1, 2")
        if self.encoders is not None and len(self.encoders) != self.modules:
            raise UserError(f"recurd: encoders = {self.encoders} with modules = {self.modules}; allowed: one a module")
        if min(self.groups[1:], default=2) < 2:
            raise UserError(
                f"recurd: encoders = {self.groups}; allowed: 2 or more from the second module on, whose outputs are to "
                "be independent of each other"
            )
        if latents % self.size or latents // self.size < 2:
            raise UserError(
                f"recurd: {latents} latents in parts of {self.size}; allowed: two or more parts, none of them smaller"
            )
        if self.router == "fix" and self.combine == "concat":
            raise UserError(
                "recurd: router = 'fix' hands on slices, so combine = 'concat' has no meaning; allowed: 'sum'"
            )
        if self.router in ("matmul", "hadamard") and self.k > min(self.groups, default=self.k):
            raise UserError(f"recurd: k = {self.k} of {min(self.groups)} groups; allowed: 1 to {min(self.groups)}")
        counts = {*self.groups, latents // self.size}
        if self.router == "hadamard" and self.modules and len(counts) > 1:
            raise UserError(
                f"recurd: router = 'hadamard' with modules of {sorted(counts)} encoders; allowed: all alike, as "
                f"encoders = {(latents // self.size,) * self.modules}"
            )

    def network(self, data: DataSpec, latents: int, body: Body | None = None) -> Model:
        # Table 3: the baseline's encoder has 128 units for grey images and 256 for colour, every decoder 128.
        vae = RecursiveVAE(
            body or Conv(hidden=128 if data.shape[0] == 1 else 256),
            body or Conv(hidden=128),
            data.shape,
            latents,
            data.likelihood,
            self.groups,
            self.router,
            self.k,
            self.scaled,
            self.combine,
            self.size,
        )
        following = [cast(RecursiveModule, one) for one in vae.following]
        outputs = [*(one.width for one in following[:-1]), self.size]
        sizes = {"disentangled_z": (self.size, self.size, _count(latents // self.size, False))}
        for place, (module, output) in enumerate(zip(following, outputs, strict=False), 2):
            sizes[f"sufficient_{place}"] = (module.routed, output, _count(module.count, True))
            sizes[f"disentangled_{place}"] = (module.routed, module.routed, _count(module.count, False))
        kind = PairDensity if self.estimator == "club" else PairCritic
        hidden, layers = self.critic_hidden, self.critic_layers
        critics = {
            name: kind(left, right, hidden, layers, 0 if self.shared else pairs, self.negatives)
            for name, (left, right, pairs) in sizes.items()
        }
        return Judged(vae, **critics)

    def noise(self, data: DataSpec, latents: int, rows: int) -> Mapping[str, Draw]:
        if rows <= self.negatives:
            raise UserError(
                f"recurd: batches of {rows} with negatives = {self.negatives}; allowed: batches of at least "
                f"{self.negatives + 1}, so that no image is paired with itself"
            )
        return {"z": Draw((rows, latents))}

    def init(self, data: DataSpec, latents: int) -> State:
        if self.estimator != "dv":
            return {}
        counts = {"disentangled.z": _count(latents // self.size, False)}
        for place, count in enumerate((*self.groups[1:], latents // self.size)[: self.modules], 2):
            counts |= {f"sufficient.{place}": _count(count, True), f"disentangled.{place}": _count(count, False)}
        return {name: torch.full((pairs,), mi.UNSET) for name, pairs in counts.items()}

    def optimisers(self) -> Mapping[str, Adam]:
        return {"critic": Adam(lr=self.critic_lr, clip=self.critic_clip)}

    def rates(self, step: int) -> Mapping[str, Rate]:
        return {"model": Rate(float((step + 1) % self.n_critic == 0))}

    def loss(self, model: Model, batch: Batch, state: State) -> Loss:
        judged = cast(Judged, model)
        net = cast(RecursiveVAE, judged.model)
        q, seen = net.passes(batch.x)
        z = q.sample(batch.noise["z"])
        recon = model.distortion(model.decode(z), batch.x).mean()
        kl = q.kl().sum(-1).mean()
        weight = self.l1 if self.kl_weight is None else self.kl_weight
        total, critic = recon + weight * kl, torch.zeros_like(recon)
        found, after = {}, {}
        for name, part in self.parts(seen, z.unflatten(-1, (-1, self.size))).items():
            one = self.judged(judged.critics[name.replace(".", "_")], part, state.get(name))
            total, critic = total + part.weight * one.penalty, critic + one.critic
            found[name] = torch.clamp(one.penalty.detach(), min=0)
            if one.average is not None:
                after[name] = one.average
        sums = {kind: [v for name, v in found.items() if name.startswith(kind)] for kind in KINDS}
        whole = {kind: torch.stack(values).sum() for kind, values in sums.items() if values}
        return Loss(total + critic, {"recon": recon, "kl": kl, **whole, **found, "critic": critic}, after)

    def judged(self, critic: torch.nn.Module, part: Part, average: Tensor | None) -> Judgement:
        """What the critic of one part says of it, and what the critic learns from it."""
        left, right, pairs = part.left, part.right, part.pairs
        scores = self.scores(detached(critic, left, right, *pairs))
        told = self.scores(critic(left.detach(), right.detach(), *pairs))
        if average is not None:
            average = mi.moving_average(average, scores[1:], self.average_rate)
        learned = told[0].mean() if self.estimator == "club" else self.estimate(told, average).mean()
        return Judgement(self.estimate(scores, average).sum(), -learned, average)

    def scores(self, raw: Tensor) -> Tensor:
        """A critic's scores, bounded where they are no densities."""
        return raw if self.estimator == "club" else mi.bounded(raw, self.bound)

    def estimate(self, scores: Tensor, log_average: Tensor | None) -> Tensor:
        """I of every pair in nats, (P,), from (1 + R, N, P) scores, those of the joint sample first."""
        joint, marginal = scores[0], scores[1:]
        if log_average is not None:
            return mi.donsker_varadhan(joint, marginal, log_average)
        if self.estimator == "club":
            # Log-densities have no lower bound: below 0 the model would only drive features out of their reach.
            return F.relu(mi.club(joint, marginal))
        if self.estimator == "smile":
            return mi.smile(joint, marginal, self.smile_clip)
        return PLAIN[self.estimator](joint, marginal)

    def parts(self, seen: list[Routing], codes: Tensor) -> dict[str, Part]:
        """The terms of eq. 4 by name, from what the modules read and the (N, parts, size) codes."""
        outputs = [*(one.inputs for one in seen[1:]), codes]
        found = {}
        for place, (one, made) in enumerate(zip(seen, outputs, strict=False), 2):
            count = one.routed.shape[1]
            found[f"sufficient.{place}"] = Part(one.routed, made, ordered(count, codes.device), self.l1)
            found[f"disentangled.{place}"] = Part(one.routed, one.routed, unordered(count, codes.device), self.l2)
        found["disentangled.z"] = Part(codes, codes, unordered(codes.shape[1], codes.device), self.l2)
        return found


def _count(parts: int, both_ways: bool) -> int:
    """How many pairs there are."""
    return parts * (parts - 1) // (1 if both_ways else 2)
