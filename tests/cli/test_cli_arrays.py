"""``unweave score --codes``: representations of any framework, and every mistake in one line."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import unweave
from unweave.data.tables import read_codes
from unweave.types import UserError

from .conftest import Call

RANDOM = np.random.default_rng(0)
LEVELS = RANDOM.integers(0, [3, 4], (200, 2))
MEAN = LEVELS + 0.1 * RANDOM.standard_normal((200, 2))
SCORE = ("score", "--codes", "codes.npz", "--factors", "factors.npz", "--metrics", "mig")


def write(folder: Path, codes: dict[str, Any] | None = None, factors: dict[str, Any] | None = None) -> None:
    np.savez(folder / "codes.npz", **({"mean": MEAN} if codes is None else codes))
    np.savez(folder / "factors.npz", **({"levels": LEVELS} if factors is None else factors))


def test_it_scores_as_python_does_and_writes_nothing(call: Call, tmp_path: Path) -> None:
    write(tmp_path)
    done = call(*SCORE, "--json")
    assert (done.code, done.err) == (0, "")
    (found,) = json.loads(done.out)["runs"]
    assert found["scores"]["mig"]["value"] == unweave.MIG()(unweave.Codes.of(MEAN, LEVELS)).value
    assert {"codes": "codes.npz", "factors": "factors.npz", "images": 200, "latents": 2}.items() <= found.items()
    assert found["scores"]["mig"]["floor"] < found["scores"]["mig"]["ceiling"]
    told = call(*SCORE)
    assert "codes.npz: 2 latents, 2 factors, 200 images" in told.out
    assert next(line for line in told.out.splitlines() if line.startswith("metric")).split()[:2] == ["metric", "value"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["codes.npz", "factors.npz"]


@pytest.mark.parametrize("kind", ["float16", "float32", ">f8", "int64", "fortran", "compressed"])
def test_kinds_of_arrays(kind: str, tmp_path: Path) -> None:
    mean = np.asfortranarray(MEAN) if kind == "fortran" else MEAN if kind == "compressed" else MEAN.astype(kind)
    (np.savez_compressed if kind == "compressed" else np.savez)(tmp_path / "codes.npz", mean=mean)
    found = read_codes(tmp_path / "codes.npz").mean
    assert np.array_equal(found.numpy(), np.asarray(mean, dtype=np.float64).astype(found.numpy().dtype))


def test_everything_that_files_may_hold(tmp_path: Path) -> None:
    errors = {"bce": np.arange(200.0), "squared_error": np.ones(200, np.float32), "pixels": np.array(4096)}
    names = np.array(["shape", "scale"])
    write(tmp_path, {"mean": MEAN, "logvar": -MEAN, **errors}, {"levels": LEVELS, "names": names, "sizes": [3, 9]})
    found = read_codes(tmp_path / "codes.npz", tmp_path / "factors.npz")
    assert found.logvar is not None and np.array_equal(found.logvar.numpy(), -MEAN)
    assert (found.names, found.sizes, found.pixels) == (("shape", "scale"), (3, 9), 4096)
    assert unweave.Reconstruction()(found).value == pytest.approx(99.5)


def test_a_sample_and_codes_without_factors(call: Call, tmp_path: Path) -> None:
    write(tmp_path, {"mean": MEAN, "bce": np.ones(200)})
    assert json.loads(call(*SCORE, "--images", "50", "--json").out)["runs"][0]["images"] == 50
    alone = json.loads(call("score", "--codes", "codes.npz", "--json").out)["runs"][0]
    assert alone["factors"] is None and "reconstruction" in alone["scores"] and "mig" not in alone["scores"]


def test_blocks_of_any_program_and_of_the_command_line(call: Call, tmp_path: Path) -> None:
    spread = np.concatenate([MEAN, RANDOM.standard_normal((200, 3))], 1)
    write(tmp_path, {"mean": spread, "blocks": np.array([4, -1, 4, 0, 0])})
    assert read_codes(tmp_path / "codes.npz").blocks == ((0, 2), (3, 4))
    codes = unweave.Codes.of(spread, LEVELS, blocks=((0, 2), (3, 4)))
    (found,) = json.loads(call(*SCORE, "explicitness", "--blocks", "joint", "--json").out)["runs"]
    assert list(found["scores"]) == ["mig-blocks", "explicitness"]
    assert found["scores"]["mig-blocks"]["value"] == unweave.MIG(blocks="joint")(codes).value
    assert found["scores"]["mig-blocks"]["settings"]["units"] == [[0, 2], [3, 4], [1]]
    (found,) = json.loads(call(*SCORE, "--json").out)["runs"]
    assert found["scores"]["mig"]["settings"]["blocks_ignored"]
    for wrong in (np.array([0, 0]), np.array([-2, 0, 0, 1, 1]), np.array([0.5] * 5)):
        write(tmp_path, {"mean": spread, "blocks": wrong})
        told = call(*SCORE)
        assert told.code == 2 and "'blocks' is" in told.err and len(told.err.strip().splitlines()) == 1
    assert call(*SCORE, "--blocks", "both").code == 2


def bomb(path: Path) -> None:
    header = io.BytesIO()
    shape = (1 << 20, 1 << 12)
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mean.npy", header.getvalue() + bytes(1 << 20))


def without_zip(path: Path) -> None:
    path.write_bytes(b"PK\x03\x04 and no more")


def cut(path: Path) -> None:
    np.savez(path, mean=MEAN)
    path.write_bytes(path.read_bytes()[:-300])


NAN = np.where(np.arange(400).reshape(200, 2) == 7, np.nan, MEAN)
CODES: dict[str, tuple[Any, str]] = {
    "typo": ({"means": MEAN}, "did you mean 'mean'?"),
    "no mean": ({"logvar": MEAN}, "no array 'mean'"),
    "one axis": ({"mean": MEAN[:, 0]}, "shape (200,)"),
    "nan": ({"mean": NAN}, "not finite"),
    "pickled": ({"mean": np.array([{}] * 4, dtype=object)}, "pickled objects, which are never loaded"),
    "complex": ({"mean": MEAN + 1j}, "number type complex128"),
    "text": ({"mean": np.array([["a"]])}, "allowed: numbers"),
    "logvar": ({"mean": MEAN, "logvar": MEAN[:9]}, "logvar has shape (9, 2)"),
    "bce": ({"mean": MEAN, "bce": np.ones(3)}, "allowed: (200,) finite numbers"),
    "pixels": ({"mean": MEAN, "pixels": np.ones(2)}, "'pixels' is float64 of shape (2,)"),
    "empty": ({"mean": np.zeros((0, 2))}, "has (0, 2)"),
    "not an archive": (without_zip, "no zip archive"),
    "cut": (cut, "codes.npz"),
    "bomb": (bomb, "at most 2,147,483,648"),
}


@pytest.mark.parametrize("case", CODES)
def test_bad_codes_are_one_line(case: str, call: Call, tmp_path: Path) -> None:
    given, told = CODES[case]
    write(tmp_path, given if isinstance(given, dict) else None)
    if not isinstance(given, dict):
        given(tmp_path / "codes.npz")
    done = call(*SCORE)
    assert (done.code, done.out) == (2, "")
    assert told in done.line and "codes.npz" in done.line and "Traceback" not in done.err


FACTORS: dict[str, tuple[dict[str, Any], str]] = {
    "typo": ({"level": LEVELS}, "did you mean 'levels'?"),
    "rows": ({"levels": LEVELS[:5]}, "allowed: (images, factors) and (images, latents) of the same images"),
    "fractions": ({"levels": LEVELS + 0.5}, "whole numbers from 0"),
    "negative": ({"levels": LEVELS - 1}, "levels holds -1; allowed are whole level numbers"),
    "sizes": ({"levels": LEVELS, "sizes": [2, 2]}, "do not fit sizes (2, 2)"),
    "sizes as fractions": ({"levels": LEVELS, "sizes": [3.0, 4.0]}, "'sizes' is float64"),
    "names": ({"levels": LEVELS, "names": np.array(["one"])}, "1 names for 2 factors"),
    "names as numbers": ({"levels": LEVELS, "names": [1, 2]}, "as text"),
}


@pytest.mark.parametrize("case", FACTORS)
def test_bad_factors_are_one_line(case: str, call: Call, tmp_path: Path) -> None:
    given, told = FACTORS[case]
    write(tmp_path, None, given)
    done = call(*SCORE)
    assert (done.code, done.out) == (2, "")
    assert told in done.line and "factors.npz" in done.line


WORDS = {
    "factors alone": ("score --factors factors.npz", "--factors without --codes"),
    "runs beside": ("score last --codes codes.npz", "--codes beside runs"),
    "space": ("score --codes codes.npz --space 1", "space = 1"),
    "no such file": ("score --codes code.npz", "code.npz: no such file"),
    "kind": ("score --codes codes.csv", "allowed: an .npz file"),
    "metric": ("score --codes codes.npz --metrics mig", "mig reads factors (--factors)"),
    "distortion": ("score --codes codes.npz --metrics reconstruction", "bce or squared_error beside mean"),
    "few": ("score --codes codes.npz --images 3", "images = 3"),
}


@pytest.mark.parametrize("case", WORDS)
def test_bad_words_are_one_line(case: str, call: Call, tmp_path: Path) -> None:
    words, told = WORDS[case]
    write(tmp_path)
    done = call(*words.split())
    assert (done.code, done.out) == (2, "")
    assert told in done.line


def test_too_many_arrays_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "codes.npz", **{f"a{k}": np.zeros(1) for k in range(40)})
    with pytest.raises(UserError, match="40 arrays"):
        read_codes(tmp_path / "codes.npz")
