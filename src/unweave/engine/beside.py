"""Models of a pack beside each other, each as its own module: on a card, as branches that run at the same time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from unweave.data.base import Images
from unweave.engine.adam import attach
from unweave.engine.experiment import Complete
from unweave.engine.feed import Feed
from unweave.engine.step import Learner, build, groups_of, initial, member_of, restack
from unweave.types import Batch, State

BRANCHES = 16
"""Streams that the models of a pack are spread over; what runs on one stream runs one after the other."""


class Beside(Learner):
    """A pack whose models keep their own modules and losses, as ``Alone``; parameters, moments and updates are stacked.

    Small kernels of one model leave most of a card idle, and those of another can run there meanwhile. Recorded as a
    graph, the models are branches between two common points: the batch, and the update.
    """

    def __init__(self, experiments: Sequence[Complete], images: Images, device: torch.device) -> None:
        self.experiments = tuple(experiments)
        self.models = tuple(build(one, device) for one in experiments)
        self.names, self.groups = groups_of(self.models, self.experiments)
        for member, model in enumerate(self.models):
            attach(model, self.groups, member)
        self.feeds = tuple(Feed(one, images, device) for one in experiments)
        states = [initial(one, device) for one in experiments]
        self.state: State = {name: torch.stack([one[name] for one in states]) for name in states[0]}
        self.failures = [None] * len(experiments)
        count = min(BRANCHES, len(experiments)) if device.type == "cuda" else 0
        self.streams = [torch.cuda.Stream(device) for _ in range(count)]

    def step(self, step: int) -> dict[str, Tensor]:
        return self.step_all(step)

    def learn(self, batch: Batch, alive: Tensor) -> tuple[dict[str, Tensor], State]:
        for group in self.groups:
            group.grad.zero_()
        if not self.streams:
            found = [self._one(batch, member) for member in range(len(self.models))]
            return _joined(found)
        common = torch.cuda.current_stream(self.groups[0].flat.device)
        for stream in self.streams:
            stream.wait_stream(common)
        found = []
        try:
            for member in range(len(self.models)):
                with torch.cuda.stream(self.streams[member % len(self.streams)]):
                    found.append(self._one(batch, member))
        finally:
            # Also where a member raises: a step that is repeated begins by clearing what the others still write, and a
            # recording whose branches are not joined ends with an error in place of the true one.
            for stream in self.streams:
                common.wait_stream(stream)
        return _joined(found)

    def _one(self, batch: Batch, member: int) -> tuple[dict[str, Tensor], State]:
        state = {name: value[member] for name, value in self.state.items()}
        method = self.experiments[member].method
        loss = method.loss(self.models[member], member_of(batch, member), state)
        loss.total.backward()
        terms = {"total": loss.total.detach(), **{name: value.detach() for name, value in loss.terms.items()}}
        return terms, {name: value.detach() for name, value in loss.state.items()}

    def remember(self, state: State) -> None:
        self.state = dict(state)

    def states(self) -> dict[str, Tensor]:
        return dict(self.state)

    def restore(self, memories: Sequence[Mapping[str, Tensor]]) -> None:
        self._restore_groups(memories)
        self.state = restack(memories, self.state)


def _joined(found: Sequence[tuple[dict[str, Tensor], State]]) -> tuple[dict[str, Tensor], State]:
    """What each member learned, with a first axis for the members."""
    terms, states = [one for one, _ in found], [one for _, one in found]
    return (
        {name: torch.stack([one[name] for one in terms]) for name in terms[0]},
        {name: torch.stack([one[name] for one in states]) for name in states[0]},
    )
