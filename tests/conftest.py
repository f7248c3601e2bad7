"""What all tests share: the device under test, test data that is not in the repository, slow tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from unweave.sweep.worker import SINGLE

REPOSITORY = Path(__file__).resolve().parents[1]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--device", default="cpu", help="where tensors of the tests live: cpu (default), cuda, cuda:1 …")


def pytest_configure(config: pytest.Config) -> None:
    # The one place that says so: most tests work on tensors so small that a second thread only waits, and the same bits
    # are wanted in every process, also in those that tests start. Files run side by side instead.
    torch.set_num_threads(1)
    os.environ.update(SINGLE)
    device = torch.device(config.getoption("--device"))
    if device.type == "cuda" and not torch.cuda.is_available():
        raise pytest.UsageError(f"--device {device}: torch finds no CUDA device here")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "slow" not in config.getoption("-m"):
        skip = pytest.mark.skip(reason="slow; run with -m slow")
        for item in items:
            if "slow" in item.keywords:
                item.add_marker(skip)


@pytest.fixture(autouse=True)
def _no_data_root(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Tests see the same data on every machine, what they write themselves, and leave the user's caches alone."""
    monkeypatch.delenv("UNWEAVE_DATA", raising=False)
    monkeypatch.setenv("UNWEAVE_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(autouse=True)
def _cpu_unless_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that names no device means the CPU, also on a machine with a card: ``--device`` is for those that do."""
    monkeypatch.setattr("unweave.engine.place.usual", lambda: "cpu")


@pytest.fixture(scope="session")
def device(request: pytest.FixtureRequest) -> torch.device:
    """The device asked for with ``--device``."""
    return torch.device(request.config.getoption("--device"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Test data outside the repository: ``UNWEAVE_TEST_DATA``, else ``../shared/data`` beside it. Skips without."""
    folder = Path(os.environ.get("UNWEAVE_TEST_DATA") or REPOSITORY.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no test data at {folder}; name its folder in UNWEAVE_TEST_DATA")
    return folder
