"""Shared models on the Hugging Face Hub: a model's few files there and back, and nothing else."""

from __future__ import annotations

import os
import re
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from unweave import __version__
from unweave.run import Run, load
from unweave.shared import CARD, CONFIG, FILES, WEIGHTS, SharedFolder, is_shared
from unweave.shared.folder import EXTRAS
from unweave.types import UserError
from unweave.use.card import check_licence, licensed
from unweave.use.save import save

NAME = re.compile(r"^[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}$", re.ASCII)
COMMIT = re.compile(r"^[0-9a-f]{40}$")
ENDPOINT = "HF_ENDPOINT"
"""Environment variable with the address of another Hub than the public one."""


class Pushed(NamedTuple):
    """What was sent."""

    address: str
    commit: str
    files: tuple[str, ...]


class Pulled(NamedTuple):
    """What was fetched: a shared model's folder, and the commit that it is of."""

    folder: Path
    commit: str


def push(
    model: Run | Path | str,
    name: str,
    *,
    private: bool = False,
    revision: str | None = None,
    licence: str | None = None,
    message: str = "",
    token: str | None = None,
) -> Pushed:
    """Send a model to the Hub; needs ``pip install unweave[hub]``, and who you are (``hf auth login``, or HF_TOKEN).

    A model card that is there is left as it is: what people wrote into it is theirs.

    Args:
        model: a run, or the folder of a run or of a shared model.
        name: ``user/name``; made if it is not there.
        private: make it for you alone, if it is made.
        revision: the branch; the main one when None.
        licence: as for ``save``; put into the card of a shared model too, though not into one that the Hub has already.
        message: of the commit.
        token: of the Hub; the one that is kept on this machine when None.

    Raises:
        UserError: no such extra, a name of another form, a Hub that refuses or cannot be reached.
    """
    _check_name(name)
    check_licence(licence)
    api, hub = _client(token)
    with tempfile.TemporaryDirectory(prefix="unweave-") as room, _told(name, revision):
        run = model if isinstance(model, Run) else load(model, device="cpu")
        if isinstance(model, Run) or not is_shared(model):
            folder = save(run, Path(room) / name.split("/")[1], licence=licence)
        else:
            folder = SharedFolder(model)
        api.create_repo(name, private=private, exist_ok=True)
        there = {one.rfilename for one in api.model_info(name, revision=revision).siblings or []}
        sent = [one for one in FILES if folder.has(one) and not (one == CARD and CARD in there)]
        content: dict[str, Any] = {one: str(folder.path / one) for one in sent}
        if licence is not None and CARD in sent:
            content[CARD] = licensed(folder.content(CARD).decode(errors="replace"), licence).encode()
        operations: list[Any] = [hub.CommitOperationAdd(one, what) for one, what in content.items()]
        operations += [hub.CommitOperationDelete(one) for one in EXTRAS if one in there and not folder.has(one)]
        text = message or f"Add a model of unweave {__version__}"
        with _quietly():
            done = api.create_commit(name, operations, commit_message=text, revision=revision)
    return Pushed(f"{api.endpoint}/{name}", str(done.oid), tuple(sent))


def pull(
    name: str, folder: Path | str | None = None, *, revision: str | None = None, token: str | None = None
) -> Pulled:
    """Fetch a shared model from the Hub into a folder that ``unweave.load`` reads; needs ``pip install unweave[hub]``.

    Only the files of a shared model are fetched, each of a bounded size, all of one commit. They are read once, with
    the same doubts as ``load`` has, before they are put in place: a model that is refused leaves nothing behind.

    Args:
        name: ``user/name``.
        folder: new, empty, or that of a shared model, which is replaced; ``name`` in this folder when None.
        revision: a commit, a tag or a branch. A commit is the same for ever; a branch may move.
        token: of the Hub; the one that is kept on this machine when None.

    Raises:
        UserError: no such extra, model or revision, files that are no shared model or too large, a Hub that refuses.
    """
    _check_name(name)
    target = SharedFolder(folder if folder is not None else name.split("/")[1])
    target.check_free()
    api, hub = _client(token)
    with _told(name, revision):
        info = api.model_info(name, revision=revision, files_metadata=True)
    commit = str(info.sha)
    if not COMMIT.match(commit):
        raise UserError(f"{name}: the Hub names no commit ({commit[:50]!r})")
    sizes = {one.rfilename: one.size for one in info.siblings or []}
    lacks = [one for one in (CONFIG, WEIGHTS) if one not in sizes]
    if lacks:
        raise UserError(f"{name} has no {' and no '.join(lacks)}: it is no shared model of unweave")
    wanted = [one for one in FILES if one in sizes]
    for one in wanted:
        if not isinstance(sizes[one], int) or sizes[one] > FILES[one]:
            raise UserError(f"{name}: {one} has {sizes[one] or 'an unknown number of'} bytes; allowed: {FILES[one]:,}")
    with tempfile.TemporaryDirectory(prefix="unweave-") as room:
        with _told(name, commit), _quietly():
            for one in wanted:
                hub.hf_hub_download(name, one, revision=commit, local_dir=room, token=token, endpoint=api.endpoint)
        found = SharedFolder(room)
        contents = {one: found.content(one) for one in wanted}
        load(room, device="cpu")
    target.put(contents)
    return Pulled(target.path, commit)


def _check_name(name: str) -> None:
    if not NAME.match(name):
        raise UserError(f"{name!r} is no name of a model; allowed: user/name, in letters, digits, dots and dashes")


def _client(token: str | None) -> tuple[Any, Any]:
    """Who speaks with the Hub, and its library."""
    try:
        import huggingface_hub as hub
    except ImportError:
        raise UserError("the Hub needs huggingface_hub; run: pip install huggingface_hub") from None
    # Asked for now, not when that library was loaded: whoever sets it later means it too.
    endpoint = os.environ.get(ENDPOINT) or None
    return hub.HfApi(endpoint=endpoint, token=token, library_name="unweave", library_version=__version__), hub


@contextmanager
def _quietly() -> Iterator[None]:
    """Without that library's own progress bars."""
    import huggingface_hub.utils

    utils: Any = huggingface_hub.utils
    silent = utils.are_progress_bars_disabled()
    utils.disable_progress_bars()
    try:
        yield
    finally:
        if not silent:
            utils.enable_progress_bars()


@contextmanager
def _told(name: str, revision: str | None) -> Iterator[None]:
    """Whatever the Hub's library raises as one line; what it warns of is for its own authors."""
    from huggingface_hub import errors

    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    except UserError:
        raise
    except errors.GatedRepoError:
        raise UserError(f"{name}: its owner lets nobody in who did not ask on the model's page") from None
    except errors.RevisionNotFoundError:
        raise UserError(f"{name} has no revision {revision!r}; allowed: a commit, a tag or a branch of it") from None
    except errors.RepositoryNotFoundError:
        raise UserError(f"the Hub has no model {name}, or you may not see it; who you are: hf auth login") from None
    except Exception as error:  # that library raises whatever its own libraries do
        reason = error.__cause__ or error
        status = getattr(getattr(reason, "response", None), "status_code", None)
        if status in (401, 403):
            raise UserError(
                f"{name}: the Hub does not let you do this ({status}); who you are: hf auth login"
            ) from None
        lines = str(reason).strip().splitlines() or [""]
        told = f"answers {status}" if status else f"cannot be reached ({type(reason).__name__}: {lines[0][:120]})"
        raise UserError(f"{name}: the Hub {told}") from None
