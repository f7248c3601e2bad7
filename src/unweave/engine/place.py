"""Which device a model is on, and where everything around it is computed."""

from __future__ import annotations

import torch
from torch import Tensor

from unweave.types import UserError

CPU = torch.device("cpu")
COARSE = {"mps"}
"""Kinds of devices that have no float64."""


def usual() -> str:
    """The device that is taken where none is named: a GPU of NVIDIA's kind where there is one."""
    return "cuda" if torch.cuda.is_available() and torch.cuda.device_count() else "cpu"


def place(device: str | torch.device | None) -> torch.device:
    """The device itself, the ``usual`` one for None. Raises UserError for one that is not here.

    >>> place("cpu")
    device(type='cpu')
    """
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    apple = torch.backends.mps.is_available()
    names = ["cpu", *(["cuda"] if gpus else []), *(f"cuda:{k}" for k in range(gpus)), *(["mps"] if apple else [])]
    allowed = ", ".join(names)
    try:
        where = torch.device(device or usual())
    except RuntimeError:
        raise UserError(f"device = {str(device)!r}; allowed: {allowed}") from None
    here = {"cpu": True, "cuda": (where.index or 0) < gpus, "mps": apple and not where.index}
    if not here.get(where.type):
        missing = "this machine has no GPU that torch can use; " if where.type == "cuda" and not gpus else ""
        missing = "this machine has no Apple GPU that torch can use; " if where.type == "mps" else missing
        raise UserError(f"device = {str(device)!r}; {missing}allowed: {allowed}")
    return where


def home(device: torch.device) -> torch.device:
    """Where images are opened and random numbers drawn for a model on ``device``: there too, but for Apple's GPUs,
    which have no float64, on the CPU. What a model is shown is then the same as anywhere, and is sent to it. A card has
    its number, so that what is kept for each device is found again."""
    if device.type == "cuda" and device.index is None:
        return torch.device("cuda", torch.cuda.current_device())
    return CPU if device.type in COARSE else device


def precise(tensor: Tensor) -> Tensor:
    """The tensor in float64 on its ``home``.

    >>> precise(torch.ones(1)).dtype
    torch.float64
    """
    return tensor.to(home(tensor.device)).double()


def check_precision(device: torch.device, precision: str) -> None:
    """Raises UserError for a precision that a device does not have."""
    if device.type in COARSE and precision == "float64":
        raise UserError(f"precision = float64 on {device.type}, which has none; allowed: float32 there, or device cpu")
