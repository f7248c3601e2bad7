"""Everything in the dictionaries is documented, tested against a transcription, and says where it comes from."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from unweave.data import DATASETS
from unweave.methods import METHODS
from unweave.metrics import METRICS
from unweave.studies import STUDIES

ROOT = Path(__file__).parents[2]
TABLES: dict[str, Any] = {"methods": METHODS, "metrics": METRICS, "data": DATASETS}
ENTRIES = [(table, name) for table, entries in TABLES.items() for name in entries]
each = pytest.mark.parametrize("table, name", ENTRIES, ids=[f"{t}-{n}" for t, n in ENTRIES])


@each
def test_it_is_called_what_the_dictionary_says(table: str, name: str) -> None:
    kind = TABLES[table][name]
    assert kind.name == name
    assert name == name.lower() and set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


@each
def test_it_has_a_docs_page(table: str, name: str) -> None:
    page = ROOT / "docs" / table / f"{name}.md"
    assert page.is_file(), f"write {page.relative_to(ROOT)}"
    assert page.read_text(encoding="utf-8").startswith("# ") and len(page.read_text(encoding="utf-8")) > 300


@each
def test_it_is_in_the_list(table: str, name: str) -> None:
    page = ROOT / "docs" / table / "README.md"
    assert f"]({name}.md)" in page.read_text(encoding="utf-8"), f"add a row for {name} to {page.relative_to(ROOT)}"


@each
def test_it_has_a_reference_test(table: str, name: str) -> None:
    module = TABLES[table][name].__module__.split(".")[-1]
    folder = ROOT / "tests" / ("data" if table == "data" else f"reference/{table}")
    wanted = [folder / f"test_{word}.py" for word in dict.fromkeys([name.replace("-", "_"), module])]
    assert any(path.is_file() for path in wanted), f"write {wanted[0].relative_to(ROOT)}"


@each
def test_it_explains_itself(table: str, name: str) -> None:
    kind = TABLES[table][name]
    text = kind.__doc__ or ""
    assert text.strip().splitlines()[0].endswith((".", ")", ":")), "the docstring begins with a sentence"
    assert ">>>" in text, "the docstring has an example"
    assert kind.references, "it says where it comes from"
    for one in kind.references:
        assert one.key and one.authors and one.title and one.venue and 1900 < one.year < 2100, one
    own = {one.name for one in fields(kind)}
    missing = [field for field in own if f"{field}:" not in text]
    assert not missing, f"the docstring's Args do not explain {missing}"


@pytest.mark.parametrize("name", METHODS)
def test_published_settings_name_fields_that_exist(name: str) -> None:
    kind = METHODS[name]
    own = {one.name for one in fields(kind)}
    assert "" in kind.presets and kind.summary and len(kind.summary) < 100
    for data, preset in kind.presets.items():
        assert data == "" or data in DATASETS, f"presets name an unknown data set {data!r}"
        assert set(preset.fields) <= own and preset.note
    assert set(kind.schedules) <= own


@pytest.mark.parametrize("name", DATASETS)
def test_data_sets_say_their_licence(name: str) -> None:
    assert DATASETS[name].licence


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_is_on_its_papers_page(name: str) -> None:
    study, folder = STUDIES[name](), ROOT / "docs" / "studies"
    page = folder / f"{study.paper}.md"
    assert page.is_file(), f"write {page.relative_to(ROOT)}"
    text = page.read_text(encoding="utf-8")
    line = next((line for line in text.splitlines() if line.startswith(f"| `{name}` | {study.where} | ")), None)
    assert line is not None, f"add a row for {name} to {page.relative_to(ROOT)}"
    assert f"]({study.paper}.md)" in (folder / "README.md").read_text(encoding="utf-8")
