"""One optimiser step, for one model alone or for a pack in lockstep."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state

from unweave.data.base import Images
from unweave.engine.adam import Group, attach
from unweave.engine.experiment import Complete
from unweave.engine.feed import DTYPES, Feed
from unweave.methods import Method
from unweave.names import known
from unweave.networks import Model, set_channels_last, set_precision
from unweave.networks.products import by_products
from unweave.types import Adam, Batch, Rate, State, UserError


class Failure(NamedTuple):
    """Where a model stopped because a number was no longer finite."""

    step: int
    term: str
    """The term of the loss; ``gradient``; ``parameters`` or a name of the memory when a snapshot found it there."""


class Learner(ABC):
    """Models of one pack at the same step, with everything they need to go on.

    ``failures`` holds a Failure for every member that stopped; it keeps the parameters it had before that step.
    """

    experiments: tuple[Complete, ...]
    models: tuple[Model, ...]
    groups: tuple[Group, ...]
    names: tuple[str, ...]
    feeds: tuple[Feed, ...]
    failures: list[Failure | None]

    @abstractmethod
    def step(self, step: int) -> dict[str, Tensor]:
        """Take one step; name -> (S,) values of every term, ``total`` among them."""

    @abstractmethod
    def learn(self, batch: Batch, alive: Tensor) -> tuple[dict[str, Tensor], State]:
        """Terms and gradients without a look at the device: what ``step`` and steps in blocks have in common.

        Args:
            batch: everything in it but ``step`` and ``rows`` with a first axis for the members, (S, N, …).
            alive: (S,) which members have not failed.

        Returns:
            name -> (S,) values of every term, ``total`` first, and the next memories, (S, …). The gradients lie in the
            groups; those of members that are not alive, or whose loss is not finite, may be anything.
        """

    @abstractmethod
    def remember(self, state: State) -> None:
        """Take these as the methods' memories, name -> (S, …), without a copy."""

    @abstractmethod
    def states(self) -> dict[str, Tensor]:
        """The methods' memories, name -> (S, …)."""

    @abstractmethod
    def restore(self, memories: Sequence[Mapping[str, Tensor]]) -> None:
        """Continue from what ``memory`` gave, one a member."""

    def step_all(self, step: int) -> dict[str, Tensor]:
        """``step`` for any number of members; those that have failed keep what they have."""
        alive = torch.tensor([failure is None for failure in self.failures], device=self.groups[0].flat.device)
        found, state = self.learn(stacked([feed.batch(step) for feed in self.feeds]), alive)
        table = self._rates(step)
        whole = self._finite(found["total"], table)
        for member, well in enumerate(whole.tolist()):
            if not well and self.failures[member] is None:
                terms_of = {name: value[member] for name, value in found.items()}
                self.failures[member] = Failure(step, _culprit(terms_of))
        if all(self.failures):
            return found
        alive = alive & whole
        for group, rates in zip(self.groups, table.values(), strict=True):
            group.update(rates, alive)
        kept = self.states()
        self.remember({n: torch.where(along(alive, v), v, kept[n]) for n, v in state.items()})
        return found

    def memory(self, member: int) -> dict[str, Tensor]:
        """All that one member needs to go on exactly: parameters, moments, counts, the method's memory."""
        found: dict[str, Tensor] = {}
        for name, group in zip(self.names, self.groups, strict=True):
            for kind, buffer in (("model", group.flat), ("adam m", group.m), ("adam v", group.v)):
                views = group.views(buffer)
                found |= {f"{kind}/{key}": value[member].contiguous().clone() for key, value in views.items()}
            found[f"adam count/{name}"] = group.count[member].clone()
        found |= {f"state/{key}": value[member].clone() for key, value in self.states().items()}
        return found

    def _restore_groups(self, memories: Sequence[Mapping[str, Tensor]]) -> None:
        for name, group in zip(self.names, self.groups, strict=True):
            for kind, buffer in (("model", group.flat), ("adam m", group.m), ("adam v", group.v)):
                for key, view in group.views(buffer).items():
                    for member, memory in enumerate(memories):
                        view[member].copy_(fitting(memory, f"{kind}/{key}", view[member].shape))
            for member, memory in enumerate(memories):
                group.count[member] = fitting(memory, f"adam count/{name}", torch.Size())

    def guard(self, step: int) -> None:
        """Fail members whose parameters, moments or memory are not finite: no checkpoint may be replaced by them."""
        kept = [("parameters", buffer) for group in self.groups for buffer in (group.flat, group.m, group.v)]
        for name, value in [*kept, *self.states().items()]:
            flat = value.reshape(len(value), -1)
            # A sum is no number if one of its parts is none (or it is too large), and far quicker than asking each.
            if bool(torch.isfinite(flat.sum(dim=1)).all()):
                continue
            for member, whole in enumerate(torch.isfinite(flat).all(dim=1).tolist()):
                if not whole and self.failures[member] is None:
                    self.failures[member] = Failure(step, name)

    def _rates(self, step: int) -> dict[str, list[Rate]]:
        tables = [one.method.rates(step) for one in self.experiments]
        for name in tables[0]:
            known(name, self.names, "parameter group in rates")
        return {name: [table.get(name, Rate()) for table in tables] for name in self.names}

    def _finite(self, total: Tensor, rates: Mapping[str, Sequence[Rate]]) -> Tensor:
        """(S,) whether the loss, and the gradient of every group that is to move, are finite."""
        found = torch.isfinite(total)
        for name, group in zip(self.names, self.groups, strict=True):
            rests = [rate.scale == 0 for rate in rates[name]]
            if not all(rests):
                well = group.finite()
                found = found & (well | torch.tensor(rests, device=well.device) if any(rests) else well)
        return found


class Alone(Learner):
    """One model, trained as its own module: the CPU's way, and bit for bit the same whatever else runs."""

    def __init__(self, experiment: Complete, images: Images, device: torch.device) -> None:
        self.experiments = (experiment,)
        model = build(experiment, device)
        self.models = (model,)
        self.names, self.groups = groups_of(self.models, self.experiments)
        attach(model, self.groups)
        self.feed = Feed(experiment, images, device)
        self.feeds = (self.feed,)
        self.state: State = initial(experiment, device)
        self.failures = [None]

    def step(self, step: int) -> dict[str, Tensor]:
        terms, state = self._learn(self.feed.batch(step))
        table = self._rates(step)
        # One look at the device a step: a loss that is not finite was propagated in vain, once.
        if not bool(self._finite(terms["total"][None], table)):
            self.failures[0] = Failure(step, _culprit(terms))
            return {name: value[None] for name, value in terms.items()}
        for group, rates in zip(self.groups, table.values(), strict=True):
            group.update(rates)
        self.state = state
        return {name: value[None] for name, value in terms.items()}

    def learn(self, batch: Batch, alive: Tensor) -> tuple[dict[str, Tensor], State]:
        terms, state = self._learn(member_of(batch, 0))
        return {name: value[None] for name, value in terms.items()}, {n: value[None] for n, value in state.items()}

    def _learn(self, batch: Batch) -> tuple[dict[str, Tensor], State]:
        loss = self.experiments[0].method.loss(self.models[0], batch, self.state)
        for group in self.groups:
            group.grad.zero_()
        loss.total.backward()
        terms = {"total": loss.total.detach(), **{name: value.detach() for name, value in loss.terms.items()}}
        return terms, {name: value.detach() for name, value in loss.state.items()}

    def remember(self, state: State) -> None:
        self.state = {name: value[0] for name, value in state.items()}

    def states(self) -> dict[str, Tensor]:
        return {name: value[None] for name, value in self.state.items()}

    def restore(self, memories: Sequence[Mapping[str, Tensor]]) -> None:
        self._restore_groups(memories)
        self.state = {n: fitting(memories[0], f"state/{n}", v.shape).to(v) for n, v in self.state.items()}


class Objective(nn.Module):
    """A method's loss as a module, so that ``functional_call`` can give it other parameters."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, method: Method, batch: Batch, state: State) -> tuple[Tensor, dict[str, Tensor], State]:
        loss = method.loss(self.model, batch, state)  # type: ignore[arg-type]
        return loss.total, dict(loss.terms), dict(loss.state)


class Together(Learner):
    """A pack in lockstep: parameters stacked along a first axis, the loss under ``vmap``, one backward outside."""

    def __init__(
        self, experiments: Sequence[Complete], images: Images, device: torch.device, products: bool = False
    ) -> None:
        self.experiments = tuple(experiments)
        self.models = tuple(build(one, device, channels_last=False) for one in experiments)
        self.names, self.groups = groups_of(self.models, self.experiments)
        self.leaves: dict[str, Tensor] = {}
        self.grads: dict[str, Tensor] = {}
        for group in self.groups:
            for name, view in group.views(group.flat).items():
                self.leaves[f"model.{name}"] = view.detach().requires_grad_()
            self.grads |= {f"model.{name}": view for name, view in group.views(group.grad).items()}
        self._share()
        buffers = stack_module_state(list(self.models))[1]
        self.buffers = {f"model.{name}": value for name, value in buffers.items()}
        # One module stands for all; its layers may be computed in another way than those that are handed out.
        standing = build(experiments[0], device, channels_last=False)
        self.objective = Objective(by_products(standing) if products else self.models[0])
        self.feeds = tuple(Feed(one, images, device) for one in experiments)
        states = [initial(one, device) for one in experiments]
        self.state: State = {name: torch.stack([one[name] for one in states]) for name in states[0]}
        self.methods, self.axes = batched([one.method for one in experiments], DTYPES[experiments[0].precision], device)
        self.failures = [None] * len(experiments)

    def step(self, step: int) -> dict[str, Tensor]:
        return self.step_all(step)

    def learn(self, batch: Batch, alive: Tensor) -> tuple[dict[str, Tensor], State]:
        def one(
            parameters: dict[str, Tensor], buffers: dict[str, Tensor], values: dict[str, Any], x: Tensor, y: Tensor,
            labels: Tensor, noise: dict[str, Tensor], state: State,
        ) -> tuple[Tensor, dict[str, Tensor], State]:  # fmt: skip
            method = replace(self.methods, **values)
            seen = Batch(x, y, labels, noise, batch.step, batch.rows)
            return functional_call(self.objective, (parameters, buffers), (method, seen, state))

        total, terms, state = torch.vmap(one, randomness="error")(
            self.leaves, self.buffers, self.axes, batch.x, batch.y, batch.labels, dict(batch.noise), dict(self.state)
        )
        found = {"total": total.detach(), **{name: value.detach() for name, value in terms.items()}}
        finite = torch.isfinite(found["total"])
        summed = torch.where(alive & finite, total, torch.zeros_like(total)).sum()
        names = list(self.leaves)
        found_grads = torch.autograd.grad(summed, [self.leaves[name] for name in names], materialize_grads=True)
        for name, grad in zip(names, found_grads, strict=True):
            self.grads[name].copy_(grad)
        return found, {name: value.detach() for name, value in state.items()}

    def remember(self, state: State) -> None:
        self.state = dict(state)

    def states(self) -> dict[str, Tensor]:
        return dict(self.state)

    def restore(self, memories: Sequence[Mapping[str, Tensor]]) -> None:
        self._restore_groups(memories)
        self.state = restack(memories, self.state)

    def _share(self) -> None:
        """Let every member's own module read the stacked parameters."""
        for group in self.groups:
            for name, view in group.views(group.flat).items():
                for member, model in enumerate(self.models):
                    model.get_parameter(name).data = view[member]


def build(experiment: Complete, device: torch.device, channels_last: bool = True) -> Model:
    """The experiment's model with the weights its seed gives it; the global random state is left alone."""
    # The one generator that weights on the CPU are drawn from; torch.manual_seed would also set every GPU's.
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(experiment.seed)
        model = experiment.method.network(experiment.spec, experiment.latents, experiment.network)
    set_precision(model, experiment.precision).to(device)
    if channels_last:
        set_channels_last(model)
    return model


def batched(methods: Sequence[Method], dtype: torch.dtype, device: torch.device) -> tuple[Method, dict[str, Any]]:
    """A method for all, and its float fields (and tuples of floats) as tensors with a first axis for the members."""
    values: dict[str, Any] = {}

    def stack(numbers: Sequence[float]) -> Tensor:
        return torch.tensor(numbers, dtype=dtype, device=device)

    for one in fields(methods[0]):
        column = [getattr(method, one.name) for method in methods]
        if isinstance(column[0], float):
            values[one.name] = stack(column)
        elif isinstance(column[0], tuple) and column[0] and isinstance(column[0][0], float):
            values[one.name] = tuple(stack(place) for place in zip(*column, strict=True))
    return methods[0], values


def groups_of(models: Sequence[Model], experiments: Sequence[Complete]) -> tuple[tuple[str, ...], tuple[Group, ...]]:
    """Names of the parameter groups, and of each the parameters of all models, stacked.

    Raises:
        UserError: groups that are no partition of the parameters, or optimiser settings for a group that is none.
    """
    partition = models[0].groups()
    named, listed = [n for n, _ in models[0].named_parameters()], [n for names in partition.values() for n in names]
    if sorted(named) != sorted(listed):
        wrong = sorted(set(named) ^ set(listed)) or sorted({n for n in listed if listed.count(n) > 1})
        raise UserError(f"{type(models[0]).__name__}.groups() must name each parameter once; wrong: {', '.join(wrong)}")
    for name in experiments[0].method.optimisers():
        known(name, partition, "parameter group in optimisers")
    settings: list[Mapping[str, Adam]] = [one.method.optimisers() for one in experiments]
    parameters = [{name: p.detach() for name, p in model.named_parameters()} for model in models]
    groups = []
    for name, members in partition.items():
        adams = [own.get(name, one.optimiser) for own, one in zip(settings, experiments, strict=True)]
        groups.append(Group(members, parameters, adams))
    return tuple(partition), tuple(groups)


def initial(experiment: Complete, device: torch.device) -> State:
    """The method's memory before the first step."""
    dtype = DTYPES[experiment.precision]
    state = experiment.method.init(experiment.spec, experiment.latents)
    return {n: v.to(dtype if v.is_floating_point() else v.dtype).to(device) for n, v in state.items()}


def restack(memories: Sequence[Mapping[str, Tensor]], like: State) -> State:
    """The methods' memories of several checkpoints as those of a pack, (S, …), each as it is in ``like``."""
    return {
        name: torch.stack([fitting(one, f"state/{name}", value.shape[1:]) for one in memories]).to(value)
        for name, value in like.items()
    }


def fitting(memory: Mapping[str, Tensor], name: str, shape: torch.Size) -> Tensor:
    """A checkpoint's tensor of that name and shape. Raises UserError when it has none."""
    if name not in memory or memory[name].shape != shape:
        given = "nothing" if name not in memory else f"shape {tuple(memory[name].shape)}"
        raise UserError(f"this checkpoint belongs to another experiment: {name} has {given}, needed is {tuple(shape)}")
    return memory[name]


def _culprit(terms: Mapping[str, Tensor]) -> str:
    """The first term that is not finite, else the total, else the gradient."""
    order = [name for name in terms if name != "total"] + ["total"]
    return next((name for name in order if not bool(torch.isfinite(terms[name]))), "gradient")


def stacked(batches: Sequence[Batch]) -> Batch:
    """The members' batches as one, with a first axis for them; the step, and y where it is x, are common to all."""
    first = batches[0]
    if len(batches) == 1:
        y = first.x[None] if first.y is first.x else first.y[None]
        noise = {name: value[None] for name, value in first.noise.items()}
        return Batch(first.x[None], y, first.labels[None], noise, first.step, first.rows)
    noise = {name: torch.stack([one.noise[name] for one in batches]) for name in first.noise}
    x = torch.stack([one.x for one in batches])
    y = x if first.y is first.x else torch.stack([one.y for one in batches])
    return Batch(x, y, torch.stack([one.labels for one in batches]), noise, first.step, first.rows)


def member_of(batch: Batch, member: int) -> Batch:
    """One member's part of a stacked batch."""
    x = batch.x[member]
    y = x if batch.y is batch.x else batch.y[member]
    noise = {name: value[member] for name, value in batch.noise.items()}
    return Batch(x, y, batch.labels[member], noise, batch.step, batch.rows)


def along(mask: Tensor, value: Tensor) -> Tensor:
    """A mask (S,) that broadcasts against (S, …)."""
    return mask.view(-1, *[1] * (value.ndim - 1))
