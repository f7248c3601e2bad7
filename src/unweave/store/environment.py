"""Where a number was made: versions, machine kind, threads, commit; and environment variables for a while."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

PACKAGES = ("unweave", "torch", "numpy", "scikit-learn", "safetensors")


def environment() -> dict[str, Any]:
    """Versions, processor, device, threads and, in a checkout, the commit."""
    return {
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
        "system": platform.system(),
        "machine": machine(),
        "threads": torch.get_num_threads(),
        "commit": commit(),
    }


@contextmanager
def variables(values: Mapping[str, str]) -> Iterator[None]:
    """The environment variables of this process, and of those it starts, are so meanwhile, and as before afterwards."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@cache
def machine() -> str:
    """The kind of machine, in words: processor and number of cores, and the GPU if there is one."""
    names = []
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text(encoding="ascii", errors="replace").splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    count = torch.get_num_threads()
    text = f"{names[0] if names else platform.processor() or platform.machine()}, {count} thread{'s'[: count != 1]}"
    return f"{text}, {torch.cuda.get_device_name()}" if torch.cuda.is_available() else text


@cache
def commit() -> str:
    """The commit of the checkout that this package runs from, ``+`` after it when files were changed; else empty."""
    here = Path(__file__).resolve().parent
    try:
        top = _git(here, "rev-parse", "--show-toplevel")
        if not (Path(top) / "src" / "unweave").exists():
            return ""
        changed = _git(here, "status", "--porcelain", "--untracked-files=no")
        return _git(here, "rev-parse", "--short=12", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.SubprocessError):
        return ""


def _git(folder: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, timeout=10, check=True)
    return done.stdout.strip()


@cache
def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
