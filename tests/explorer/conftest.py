"""Small trained runs that the explorer's tests look at, and a server over them on this machine."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import unweave
from unweave.explorer import App, Exhibit, Server
from unweave.run import load

SMALL = {"network": unweave.MLP((16,)), "precision": "float64", "batch": 16, "latents": 4, "steps": 120}


@pytest.fixture(scope="session")
def _trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One run with two latent spaces, and one with blocks of two latents."""
    out = tmp_path_factory.mktemp("explorer")
    for name, method in (("spaces", unweave.DeVAE(betas=(1.0, 4.0))), ("blocks", unweave.BetaSTCVAE(group_size=2))):
        run = unweave.fit(method, "triangle", out=out / name, optimiser=unweave.Adam(lr=5e-3), **SMALL)  # type: ignore[arg-type]
        assert run.folder is not None
        run.folder.path.rename(out / f"{name}-run")
    return out


@pytest.fixture
def folders(_trained: Path, tmp_path: Path) -> list[Path]:
    """The two runs' folders, to be written in."""
    return [Path(shutil.copytree(_trained / f"{name}-run", tmp_path / name)) for name in ("spaces", "blocks")]


@pytest.fixture
def exhibits(folders: list[Path]) -> list[Exhibit]:
    return [Exhibit(load(folder, device="cpu"), images=200) for folder in folders]


@pytest.fixture
def app(exhibits: list[Exhibit]) -> App:
    return App(exhibits)


@pytest.fixture
def server(app: App) -> Iterator[Server]:
    """A server on loopback, at work."""
    with Server(app) as found:
        thread = threading.Thread(target=found.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield found
        found.shutdown()
        thread.join()
