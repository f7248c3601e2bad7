"""The first, the middle and the last image of every drawn set, by their bytes, with nuisance noise held at zero."""

from __future__ import annotations

import hashlib

import pytest
import torch

from unweave.data import DATASETS
from unweave.data.base import still

RECORDED: dict[str, tuple[str, str, str]] = {
    "dsprites": ("6ef6f95b0882dea9", "6a41d2f682eb6c9b", "8babc5be15d100e0"),
    "triangle": ("823b35fd6f9c89a7", "b168373bb253b760", "780b5e9ccc87c409"),
    "shapes3d": ("98fb75221bc270c4", "748dcccc3a7bb5fe", "d6a04d0383e59498"),
    "color-dsprites": ("03dbb7298e605b04", "93826057d792675e", "5e898bcb95e16412"),
    "noisy-dsprites": ("ae85efc6f3e0a58a", "43b44325b6e8653d", "c371258e7d66e2bf"),
    "scream-dsprites": ("6f08ebd68cc98905", "e70ecdb99e294244", "5ee422e6ee10427f"),
    "turntable": ("f337ffe6d45c2f7b", "d02985e8c965ccdc", "2662fc00d19f3477"),
    "sprites": ("6ef6f95b0882dea9", "6a41d2f682eb6c9b", "6cfe43919265c3da"),
}


def digests(name: str) -> tuple[str, ...]:
    images = DATASETS[name]().open()
    rows = torch.tensor([0, images.rows // 2, images.rows - 1])
    pixels = (images.batch(rows, still(images.noise(3))) * 255).round().to(torch.uint8)
    return tuple(hashlib.sha256(one.numpy().tobytes()).hexdigest()[:16] for one in pixels)


@pytest.mark.parametrize("name", [name for name, kind in DATASETS.items() if not kind.needs_files])
def test_images_are_those_on_record(name: str) -> None:
    found = digests(name)
    assert found == RECORDED[name]
    assert len(set(found)) == 3
