"""Units of work: which jobs one worker does in one go."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from unweave.data.base import Dataset, Images
from unweave.engine.pack import signature
from unweave.job import Job, Result, Told, Training, together
from unweave.store import Held, RunFolder, StoreError
from unweave.types import UserError

Unit = tuple[Job, ...]
"""Jobs that are sent to a worker together: those of one folder, or trainings in lockstep."""

PACK = 32
"""Models that train in lockstep on a GPU at most."""


def units(jobs: Sequence[Job], device: str, hands: int = 1) -> list[Unit]:
    """Jobs as units, the longest first: the jobs of one folder together, so that its model is trained once; on a GPU
    trainings that differ in seeds and numbers only, up to ``PACK`` models, or fewer where one of ``hands`` GPUs would
    have nothing to do otherwise."""
    homes: dict[str, list[Job]] = {}
    for job in jobs:
        homes.setdefault(job.home, []).append(job)
    if not device.startswith("cuda"):
        return sorted(map(tuple, homes.values()), key=seconds, reverse=True)
    packs: dict[str, list[list[Job]]] = {}
    for home, members in homes.items():
        first = members[0]
        alike = signature(first.experiment) if isinstance(first, Training) else home
        steps = [one.at if isinstance(one, Training) else () for one in members]
        packs.setdefault(json.dumps([alike, steps]), []).append(members)
    most = PACK
    if sum(-(-len(alike) // PACK) for alike in packs.values()) < hands:
        most = min(PACK, -(-len(homes) // hands))
    found = [
        tuple(job for members in alike[place : place + most] for job in members)
        for alike in packs.values()
        for place in range(0, len(alike), most)
    ]
    return sorted(found, key=seconds, reverse=True)


def trained(job: Job, out: Path) -> bool:
    """Whether only measuring is left of a job: its training was done, to its end, for another one."""
    if not isinstance(job, Training) or job.at:
        return False
    folder = RunFolder(out / job.home)
    try:
        return folder.checkpoint_path.exists() and folder.read("status").get("state") == "done"
    except StoreError:
        return False


def seconds(unit: Unit) -> float:
    """What a unit takes on one thread; jobs of one folder share their training."""
    return sum({job.home: job.cost.seconds for job in unit}.values())


def work(
    unit: Unit, out: Path, root: Path | None, device: str, told: Told, opened: dict[Dataset, Images]
) -> Iterator[Result]:
    """The results of a unit, one a job; what goes wrong with one is its result, and the others go on.

    ``opened`` is kept from unit to unit, with the data set of the last one in it.

    Raises:
        Held: another process is at one of the folders; what is left is for later.
        Lost: the card is of no more use to this process; what is left is for another.
    """
    trainings = [job for job in unit if isinstance(job, Training)]
    for data in set(opened) - {job.experiment.data for job in trainings}:
        del opened[data]
    left = {job.key: job for job in unit}
    too_large = False
    if len(trainings) == len(unit) > 1:
        try:
            for result in together(trainings, out, root=root, device=device, told=told, opened=opened):
                del left[result.key]
                yield result
        except (Held, Lost):
            raise
        except Exception as error:
            # Whose fault it was shows when they are done one by one, from where they are; or, where they were too many
            # at once, half as many.
            check(device)
            too_large = isinstance(error, torch.OutOfMemoryError)
    if too_large and len(left) > 1:
        yield from _halves(tuple(left.values()), out, root, device, told, opened)
        return
    total = seconds(unit)
    for job in list(left.values()):
        began = time.perf_counter()
        ended = tuple(one for one in unit if one.key not in left)
        before, own = seconds(ended), seconds((*ended, job)) - seconds(ended)

        tell = _part(told, before, own, total)
        del left[job.key]
        try:
            if isinstance(job, Training):
                yield next(together([job], out, root=root, device=device, told=tell, opened=opened))
            else:
                yield job.run(out, root=root, device=device, told=tell)
        except (Held, Lost):
            raise
        except Exception as error:
            check(device)
            yield broken(job, error, time.perf_counter() - began)


def _halves(
    unit: Unit, out: Path, root: Path | None, device: str, told: Told, opened: dict[Dataset, Images]
) -> Iterator[Result]:
    """What is left of a unit whose models do not fit into a card's memory together, in two parts."""
    torch.cuda.empty_cache()
    middle, total = (len(unit) + 1) // 2, seconds(unit)
    told(0.0, f"{len(unit)} models at once do not fit into the memory of {device}: {middle} at a time")
    for part, before in ((unit[:middle], 0.0), (unit[middle:], seconds(unit[:middle]))):
        yield from work(part, out, root, device, _part(told, before, seconds(part), total), opened)


def _part(told: Told, before: float, own: float, total: float) -> Told:
    """Tells of a part of a unit, ``own`` of ``total`` seconds after those ``before``, as of the whole."""

    def tell(share: float, line: str) -> None:
        told((before + share * own) / total if total else share, line)

    return tell


class Lost(UserError):
    """The card answers this process no more, whatever it is asked; a new process may use it."""


def check(device: str) -> None:
    """After an error: raises Lost where a kernel has failed in such a way that all later ones of this process will."""
    if not device.startswith("cuda"):
        return
    try:
        torch.cuda.synchronize(device)
    except RuntimeError as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise Lost(
            f"{device} no longer answers this process ({reason}); run the same command again: it goes on from the last "
            "checkpoints"
        ) from error


def broken(job: Job, error: BaseException | str, spent: float = 0.0) -> Result:
    """The result of a job that ended with an error, which is kept nowhere: the next time it is tried again."""
    text = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
    if isinstance(error, UserError):
        text = str(error)
    return Result(job.key, {}, {}, " ".join(text.split()) or "failed", spent)
