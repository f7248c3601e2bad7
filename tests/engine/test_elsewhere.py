"""Machines of other makers: a GPU without float64, several GPUs, a system without what only Linux has."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from unweave.data import Dataset, Triangle
from unweave.engine import codes, place
from unweave.engine.feed import Feed
from unweave.engine.place import check_precision, home
from unweave.engine.step import Alone, build
from unweave.engine.trace import Trace
from unweave.methods import METHODS
from unweave.networks import Conv
from unweave.testing import Dots
from unweave.types import UserError

from .tiny import every, fitted

META = torch.device("meta")
SOURCE = Path(__file__).parents[2] / "src"


class Coarse(TorchDispatchMode):
    """Stands for a GPU that has no float64: the ``meta`` device, from which tensors come back as zeros."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, name = kwargs or {}, func.overloadpacket.__name__
        given = [one for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)]
        if name == "_to_copy" and given[0].device.type == "meta" and torch.device(kwargs.get("device") or META) != META:
            return torch.zeros(given[0].shape, dtype=kwargs.get("dtype") or given[0].dtype)
        if name == "copy_" and given[0].device.type == "cpu" and given[1].device.type == "meta":
            return given[0].zero_()
        # The fused update has no kernel for tensors without numbers.
        out = None if name == "_fused_adam_" else func(*args, **kwargs)
        for one in (*given, *(t for t in tree_leaves(out) if isinstance(t, Tensor))):
            if one.device.type == "meta" and one.dtype == torch.float64:
                raise TypeError(f"{name}: there is no float64 on this device")
        if {one.device.type for one in given if one.ndim} == {"cpu", "meta"} and "copy" not in name:
            raise TypeError(f"{name} of tensors on two devices")
        return out


@pytest.fixture
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "COARSE", {"mps", "meta"})
    monkeypatch.setattr(torch, "autocast", lambda *given, **more: nullcontext())
    monkeypatch.setattr(Alone, "_finite", lambda self, total, rates: torch.ones(1, dtype=torch.bool))


@pytest.mark.usefixtures("coarse")
@pytest.mark.parametrize("name", METHODS)
def test_no_method_asks_such_a_gpu_for_float64(name: str) -> None:
    one = fitted(every(name), precision="float32")
    images = one.data.open()
    learner, trace = Alone(one, images, META), Trace(10, 1)
    with Coarse():
        for step in range(2):
            trace.add(learner.step(step))
        model = learner.models[0]
        found = codes.encode(model, one.data, images, count=None)
        model.prior(torch.zeros(2, model.latents, device=META))
        learner.memory(0)
    assert found.mean.device.type == "cpu" and trace.rows[0].dtype == torch.float64


@pytest.mark.usefixtures("coarse")
@pytest.mark.parametrize("data", [Dots(), Triangle(angle_noise=0.5)])
def test_what_it_is_shown_is_drawn_on_the_cpu(data: Dataset) -> None:
    one = fitted(METHODS["ada-gvae"](), precision="float32", data=data)
    assert home(META) == torch.device("cpu") == home(torch.device("mps")) and home(torch.device("cuda:1")).index == 1
    here, there = (Feed(one, data.open(), torch.device(where)) for where in ("cpu", "meta"))
    with Coarse():
        batch = there.batch(3)
    assert {t.device.type for t in (batch.x, batch.y, batch.labels, batch.step, *batch.noise.values())} == {"meta"}
    assert torch.equal(here._rows(3)[0], there._rows(3)[0])


def test_float64_on_it_is_refused() -> None:
    with pytest.raises(UserError, match=r"float64 on mps, which has none; allowed: float32 there, or device cpu"):
        check_precision(torch.device("mps"), "float64")
    check_precision(torch.device("mps"), "float32")


def test_mps_is_a_device_where_torch_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(UserError, match=r"no Apple GPU that torch can use; allowed: cpu"):
        place.place("mps")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert place.place("mps") == torch.device("mps") and place.place(None).type == "cpu"
    with pytest.raises(UserError, match=r"allowed: cpu, mps"):
        place.place("mps:1")


def test_convolutions_are_built_for_it_too() -> None:
    model = build(fitted(METHODS["vae"](), precision="float32", network=Conv()), META)
    assert {p.device.type for p in model.parameters()} == {"meta"}


BARE = """
import errno, importlib.abc, mmap, os, signal, sys, time
import filelock, numpy, safetensors.torch, sklearn, torch, torch.optim.adam, multiprocessing.connection

class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name in ("resource", "fcntl", "pwd", "grp", "termios"):
            raise ImportError(f"no module named {name}: this is no Linux")

for name in ("resource", "fcntl", "pwd", "grp", "termios"):
    sys.modules.pop(name, None)
sys.meta_path.insert(0, Missing())
for name in ("sched_getaffinity", "sched_setaffinity", "fork", "getuid", "geteuid", "sysconf", "posix_fadvise",
             "setsid", "killpg", "statvfs", "getloadavg", "O_DIRECTORY", "nice"):
    if hasattr(os, name):
        delattr(os, name)
for name in ("SIGKILL", "SIGHUP", "SIGUSR1", "SIGALRM", "SIGCHLD"):
    if hasattr(signal, name):
        delattr(signal, name)
for name in ("MADV_WILLNEED",):
    delattr(mmap, name)
from pathlib import Path
closed = Path.open
def opened(self, *given, **more):
    if str(self).startswith(("/proc", "/sys", "/dev")):
        raise FileNotFoundError(errno.ENOENT, "no such file", str(self))
    return closed(self, *given, **more)
Path.open = opened
exists = Path.exists
Path.exists = lambda self: not str(self).startswith(("/proc", "/sys")) and exists(self)
sys.platform, os.name = sys.argv[2], "other"

import unweave
from unweave.cli import main
from unweave.sweep.local import crew, processors
out = sys.argv[1]
run = unweave.fit("vae", "triangle", steps=5, batch=4, latents=3, network=unweave.MLP((8,)), out=out)
assert run.step == 5 and unweave.load(run.folder.path).step == 5
again = unweave.fit("factor-vae", "triangle", steps=5, batch=4, network=unweave.Conv(), precision="float32")
assert again.step == 5 and processors() >= 1 and crew("cpu", None, 3)
assert unweave.plan(run.experiment, device="cpu").memory > 0
saved = unweave.save(run, out + "/model")
assert unweave.load(saved.path).step == 5
words = ["train", "vae", "--data", "triangle", "--steps", "2", "--batch", "4", "--network", "mlp", "--hidden", "8"]
assert main([*words, "--out", out + "/more"]) == 0
assert main(["score", "last", "--out", out + "/more", "--metrics", "mig", "--images", "50"]) == 0
"""


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_unweave_imports_and_trains_without_what_only_linux_has(system: str, tmp_path: Path) -> None:
    pytest.importorskip("tyro")
    words = [sys.executable, "-c", BARE, str(tmp_path), system]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "PYTHONIOENCODING": "cp1252"}
    environment["CUDA_VISIBLE_DEVICES"] = ""
    done = subprocess.run(words, capture_output=True, cwd=tmp_path, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr.decode("cp1252", "replace")[-3000:]
