"""bfloat16 on processors that cannot multiply in it: products of rounded numbers in float32, rounded again."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

PRODUCTS: frozenset[Any] = frozenset(
    (
        *(F.linear, torch.bmm, torch.baddbmm, torch.mm, torch.addmm, torch.matmul, torch.einsum),
        *(torch.conv1d, torch.conv2d, torch.conv3d),
        *(torch.conv_transpose1d, torch.conv_transpose2d, torch.conv_transpose3d),
        *(Tensor.bmm, Tensor.baddbmm, Tensor.mm, Tensor.addmm, Tensor.matmul, Tensor.__matmul__, Tensor.__rmatmul__),
        F.scaled_dot_product_attention,
    )
)
"""What ``torch.autocast`` computes in bfloat16 on a CPU, as layers call it."""


@functools.cache
def multiplies_bf16() -> bool:
    """Whether PyTorch has quick products in bfloat16 on this processor (AVX-512, AMX, Arm with BF16); without them they
    take some ten times as long as in float32 for convolutions and a hundred times for matrices."""
    has = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    return has is not None and bool(has())


def multiplied_in(dtype: torch.dtype) -> torch.dtype:
    """The numbers in which a CPU multiplies those of ``dtype``: float32 for bfloat16 that it is slow at."""
    return torch.float32 if dtype == torch.bfloat16 and not multiplies_bf16() else dtype


def in_bf16(device: torch.device, enabled: bool) -> AbstractContextManager[Any]:
    """``torch.autocast`` to bfloat16; where a CPU is slow at that, products in float32 of numbers rounded to bfloat16.

    Products of two such numbers are exact in float32, so both differ only by the order of sums.
    """
    if enabled and device.type == "cpu" and not multiplies_bf16():
        return Rounded()
    # Tensors of shapes alone have no autocast of their own.
    kind = "cpu" if device.type == "meta" else device.type
    return torch.autocast(kind, torch.bfloat16, enabled=enabled)


class Rounded(TorchFunctionMode):
    """``torch.autocast`` on a CPU whose products are computed in float32, of inputs and to outputs in bfloat16."""

    def __enter__(self) -> Self:
        self.casts = torch.autocast("cpu", torch.bfloat16)
        self.casts.__enter__()
        return super().__enter__()

    def __exit__(self, *problem: Any) -> None:
        super().__exit__(*problem)
        self.casts.__exit__(*problem)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func not in PRODUCTS:
            return func(*args, **kwargs)
        args, kwargs = [rounded(one) for one in args], {name: rounded(one) for name, one in kwargs.items()}
        with torch.autocast("cpu", enabled=False):
            return func(*args, **kwargs).to(torch.bfloat16)


def rounded(value: Any) -> Any:
    """A tensor of numbers rounded to bfloat16, in float32; anything else as it is."""
    if isinstance(value, Tensor) and value.is_floating_point():
        return value.to(torch.bfloat16).to(torch.float32)
    return [rounded(one) for one in value] if isinstance(value, list | tuple) else value
