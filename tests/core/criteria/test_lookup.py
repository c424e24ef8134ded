"""From names to criteria."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lottery.core import CRITERIA, check_criterion, find_criterion
from lottery.errors import UsageError
from lottery.testing import tiny_context

PLUGIN = """
from lottery.core import CriterionEntry

def mine(context):
    return {name: context.weights[name].abs() + 1 for name in context.mask}

entry = CriterionEntry(score=mine, looks_at="weights", about="mine", source="me")
number = 3
"""


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module that can be imported, and whose import leaves a file."""
    (tmp_path / "made_up_criteria.py").write_text(
        f"{PLUGIN}\nopen({str(tmp_path / 'imported')!r}, 'w').close()\n"
    )
    (tmp_path / "made_up_broken.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("made_up_criteria", "made_up_broken"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    return "made_up_criteria"


@pytest.mark.parametrize("name", CRITERIA)
def test_every_name_is_found(name: str) -> None:
    assert check_criterion(name) is None
    assert find_criterion(name) is CRITERIA[name]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("magnitud", "did you mean 'magnitude'\\? Choices: apoz, bn-scale"),
        ("magnitud", "or your own as package.module:name"),
        ("large-final", "it is called 'magnitude' here"),
        ("", "unknown criterion ''"),
        ("module", "unknown criterion"),
        ("a.b:", "unknown criterion"),
        (":b", "unknown criterion"),
        ("a..b:c", "unknown criterion"),
        ("a/b:c", "unknown criterion"),
        ("a:b:c", "unknown criterion"),
        ("a:b()", "unknown criterion"),
        ("1a:b", "unknown criterion"),
        ("a:b\n", "unknown criterion"),
    ],
)
def test_names_that_are_none(name: str, message: str) -> None:
    problem = check_criterion(name)
    assert problem is not None
    with pytest.raises(UsageError, match=message):
        find_criterion(name)


def test_checking_a_path_imports_nothing(plugin: str, tmp_path: Path) -> None:
    assert check_criterion(f"{plugin}:mine") is None
    assert check_criterion("no.such.package:mine") is None
    assert not (tmp_path / "imported").exists()

    find_criterion(f"{plugin}:mine")
    assert (tmp_path / "imported").exists()


def test_a_function_of_one_s_own(plugin: str) -> None:
    entry = find_criterion(f"{plugin}:mine")
    context = tiny_context()

    scores = entry.score(context)

    assert entry.needs_probe
    assert entry.source == f"{plugin}:mine"
    for name, weight in context.weights.items():
        assert (scores[name] == weight.abs() + 1).all()


def test_an_entry_of_one_s_own(plugin: str) -> None:
    entry = find_criterion(f"{plugin}:entry")

    assert (entry.about, entry.looks_at, entry.needs_probe) == ("mine", "weights", False)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("made_up_nowhere:mine", "made_up_nowhere cannot be imported: ModuleNotFoundError"),
        ("made_up_broken:mine", "made_up_broken cannot be imported: ZeroDivisionError"),
        ("made_up_criteria:mien", "has no 'mien'; did you mean 'mine'"),
        ("made_up_criteria:number", "is a int; expected a function of a ScoreContext"),
    ],
)
def test_what_cannot_be_used(plugin: str, path: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        find_criterion(path)
