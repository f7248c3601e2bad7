"""What makes training fast on a CPU: memory that is kept, not faulted in again, and bfloat16 where it is native."""

from __future__ import annotations

import ctypes
import functools
import sys
from pathlib import Path

import torch

from unweave.networks.rounding import multiplies_bf16

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3


@functools.cache
def keep_memory() -> bool:
    """Tell glibc to keep freed memory of this process; True where that was possible (Linux, glibc), once a process.

    A training step allocates and frees activations of some 16 MB each; by default every one is mapped afresh and its
    pages faulted in, which costs more than the arithmetic. Called when a training or an encoding starts, never
    on import.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    settings = ((M_MMAP_THRESHOLD, 1 << 30), (M_TRIM_THRESHOLD, (1 << 31) - 1), (M_TOP_PAD, 1 << 27))
    answers = [mallopt(ctypes.c_int(name), ctypes.c_int(value)) for name, value in settings]
    return answers == [1] * len(settings)


@functools.cache
def default_precision() -> str:
    """``bf16`` where hardware multiplies in bfloat16 (a GPU from Ampere on, or a CPU with AVX-512 BF16 or AMX), else
    ``float32``."""
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    return "bf16" if multiplies_bf16() and _flags() & {"avx512_bf16", "amx_bf16"} else "float32"


@functools.cache
def quick_bytes() -> bool:
    """Whether this processor multiplies 8-bit numbers in one instruction (AVX-512 VNNI or AMX); without, PyTorch's
    products of them take tens of times as long as those of float32."""
    return bool(_flags() & {"avx512_vnni", "amx_int8"})


def _flags() -> set[str]:
    try:
        with Path("/proc/cpuinfo").open(encoding="ascii", errors="replace") as lines:
            return next((set(line.split()) for line in lines if line.startswith("flags")), set())
    except OSError:
        return set()
