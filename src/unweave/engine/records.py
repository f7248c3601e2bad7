"""What a training leaves in the folders of its models: description, trace, checkpoint, and how far it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from unweave.engine.experiment import Complete, to_json
from unweave.engine.step import Failure
from unweave.engine.trace import Trace
from unweave.engine.written import surroundings
from unweave.store import Checkpoint, RunFolder, StoreError, now
from unweave.types import State

ENDED = ("done", "failed")
"""States from which nothing goes on."""


class Records:
    """The folders of models that are trained together; of those without a folder nothing is written.

    The files of a folder are written together and moved into place one by one: first the trace, then the checkpoint,
    then the status. Whenever a process is killed, the checkpoint is whole and the status speaks of it or of the one
    before.
    """

    def __init__(self, experiments: Sequence[Complete], folders: Mapping[str, RunFolder], step: int) -> None:
        self.experiments = experiments
        self.folders = [folders.get(one.key) for one in experiments]
        self.steps: list[int | None] = [step or None for _ in experiments]
        """The step of each checkpoint, None before the first."""
        self.states = ["running" for _ in experiments]

    def begin(self, source: str, afresh: bool = False) -> None:
        """Write what is trained, and where, before the first step; of models that are trained ``afresh``, forget what
        was found out about those that were there."""
        for member, (one, folder) in enumerate(zip(self.experiments, self.folders, strict=True)):
            if folder is not None:
                if afresh:
                    folder.forget()
                folder.put(
                    experiment={"key": one.key, "source": source, **to_json(one)},
                    environment=surroundings(one, folder if self.steps[member] else None),
                    status=self._status(member, "running", {"step": self.steps[member] or 0, "since": now()}),
                )

    def fail(self, member: int, failure: Failure, trace: Trace) -> None:
        """Write, once, where a model stopped; its checkpoint stays as it is."""
        folder = self.folders[member]
        if folder is None or self.states[member] in ENDED:
            return
        self.states[member] = "failed"
        found = {"step": failure.step, "term": failure.term, "checkpoint": self.steps[member]}
        table = trace.table(member, failure.step)
        folder.put(trace=table, status=self._status(member, "failed", {**found, "at": now()}))

    def keep(self, member: int, step: int, memory: State, trace: Trace, state: str, seconds: float) -> None:
        """Replace a model's trace, checkpoint and status by those of this step."""
        folder, one = self.folders[member], self.experiments[member]
        if folder is None:
            return
        values = {"step": step, "at": now(), "seconds_per_step": round(seconds, 6)}
        folder.put(
            trace=trace.table(member, step),
            checkpoint=Checkpoint(step, memory, trace.names, one.key),
            status=self._status(member, state, values),
        )
        self.steps[member], self.states[member] = step, state

    def interrupted(self) -> None:
        """Write that models which were not at their end stopped at their last checkpoint; a disk that refuses is
        passed over, since something else is being reported already."""
        for member, folder in enumerate(self.folders):
            if folder is not None and self.states[member] == "running":
                self.states[member] = "stopped"
                with suppress(StoreError):
                    values = {"step": self.steps[member] or 0, "at": now()}
                    folder.write("status", self._status(member, "stopped", values))

    def _status(self, member: int, state: str, values: Mapping[str, Any]) -> dict[str, Any]:
        return {"state": state, "steps": self.experiments[member].steps, **values}
