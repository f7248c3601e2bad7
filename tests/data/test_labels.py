"""Tables of factors."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from unweave.data.factors import Factors
from unweave.data.labels import ranked, read_labels
from unweave.types import UserError

NAMES = ("a.png", "b/c.png", "d.png")
GOOD = "file,size,kind\na.png,10,x\nb/c.png,9,y\nd.png,9.0,x\n"


def write(path: Path, text: str | bytes) -> Path:
    place = path / "factors.csv"
    place.write_bytes(text if isinstance(text, bytes) else text.encode())
    return place


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        "\ufeff" + GOOD.replace("\n", "\r\n"),
        GOOD.replace(",", ";"),
        GOOD.replace(",", "\t"),
        'size , file,kind\n10, a.png ,x\n\n9,b\\c.png,y\n9,./d.png,"x"\n',
    ],
)
def test_tables_as_people_write_them(tmp_path: Path, text: str) -> None:
    factors, levels = read_labels(write(tmp_path, text), NAMES)
    assert factors.names == ("size", "kind") and factors.sizes == (2, 2)
    assert levels.tolist() == [[1, 0], [0, 1], [0, 0]]


def test_levels_are_in_the_order_of_numbers_or_of_texts(tmp_path: Path) -> None:
    text = "file,n,t\na.png,10,b10\nb/c.png,-2.5,b9\nd.png,1e2,A\n"
    assert read_labels(write(tmp_path, text), NAMES)[1].T.tolist() == [[1, 0, 2], [1, 2, 0]]


def test_pictures_left_out_may_stand_in_it(tmp_path: Path) -> None:
    text = GOOD + "broken.png,7,z\n"
    assert read_labels(write(tmp_path, text), NAMES, ["broken.png"])[0].sizes == (2, 2)


@pytest.mark.parametrize(
    "text, why",
    [
        ("", "no table of factors"),
        ("name,size\na.png,1\n", "allowed: 'file' and 1 to 64 factors"),
        ("file\na.png\n", "allowed: 'file'"),
        ("file,a,a\na.png,1,1\n", "each once"),
        ("file,a,\na.png,1,1\n", "each once"),
        ("file," + ",".join(f"f{k}" for k in range(65)) + "\n", "1 to 64 factors"),
        (GOOD.replace("d.png", "e.png"), "line 4: no picture 'e.png' here"),
        (GOOD.replace("d.png", "a.png"), "line 4: picture 'a.png' a second time"),
        (GOOD.replace("d.png,9.0,x\n", ""), "no line for 1 pictures, 'd.png' among them"),
        (GOOD.replace("9.0,x", "9.0"), "line 4 has 2 columns; expected 3"),
        (GOOD.replace("9.0", ""), "factor 'size' is empty"),
        (GOOD.replace("10", "9"), "factor 'size' is the same for all"),
        (GOOD.replace("9.0", '"9.0'), "no table"),
        (b"\xff\xfe" + GOOD.encode("utf-16-le"), "no text in UTF-8"),
        (b"\x89PNG\r\n\x1a\n\0\0", "UTF-8"),
    ],
)
def test_tables_that_cannot_be_used(tmp_path: Path, text: str | bytes, why: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(UserError, match=why) as caught:
        read_labels(path, NAMES)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)


def test_no_table(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_labels(tmp_path / "gone.csv", NAMES)


def test_a_number_that_is_new_for_every_picture_is_no_factor(tmp_path: Path) -> None:
    """Up to half as many levels as pictures, and never fewer than 20 are allowed."""
    names = [f"{n}.png" for n in range(60)]

    def labels(levels: int) -> Path:
        rows = "".join(f"{name},{(n % levels) * 0.37:.2f},{n % 2}\n" for n, name in enumerate(names))
        return write(tmp_path, f"file,age,shape\n{rows}")

    assert read_labels(labels(30), names)[0].sizes == (30, 2)
    with pytest.raises(UserError, match=r"factor 'age' has 31 different values for 60 pictures.*allowed: 30 or fewer"):
        read_labels(labels(31), names)
    assert ranked("a small column", [str(n) for n in range(20)])[0] == 20


def test_words_that_python_reads_as_numbers_stay_words() -> None:
    assert ranked("x", ["0_1", "1", "1_0", "10", "2"])[0] == 5


def test_names_of_factors_can_be_shown(tmp_path: Path) -> None:
    rows = "".join(f"{name},{n % 2},{n % 2}\n" for n, name in enumerate(NAMES))
    path = write(tmp_path, f'file,cell\u00a0size,"two\nlines"\n{rows}')
    assert read_labels(path, NAMES)[0].names == ("cell size", "two lines")
    for wrong in ("x" * 201, "bell\x07"):
        with pytest.raises(UserError, match=r"column '.*' has \d+ letters; allowed: up to 200, all that can be shown"):
            read_labels(write(tmp_path, f"file,{wrong},b\n{rows}"), NAMES)


def test_more_combinations_than_can_be_numbered_are_not_numbered_wrongly() -> None:
    many = Factors(tuple(map(str, range(18))), (4, *[16] * 17))
    with pytest.raises(UserError, match="18 factors have too many combinations to number"):
        many.index(torch.zeros(1, 18, dtype=torch.int64))
