"""Tables, and what takes their place on a narrow terminal."""

from __future__ import annotations

import pytest

from lottery.cli.tables import print_table, wrapped

ROWS = [
    {"run": "demo-12345678", "settings": "criterion=random, levels=2", "done": 14, "note": ""},
    {"run": "demo-abcdef01", "settings": "seed=3", "done": 1000, "note": None},
]


@pytest.mark.parametrize("columns", [20, 40, 43, 60, 100])
def test_no_word_is_broken(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    print_table(ROWS, title="runs")
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= columns
    words = out.replace(",\n", ", ").split()
    for word in ("demo-12345678", "criterion=random,", "levels=2", "seed=3", "14", "1,000"):
        assert word in [*words, *(w.rstrip(",") for w in words)]


def test_where_there_is_no_room_each_row_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    print_table(ROWS)
    assert capsys.readouterr().out == (
        "run demo-12345678, settings\n"
        "  criterion=random, levels=2,\n"
        "  done 14\n"
        "run demo-abcdef01, settings\n"
        "  seed=3, done 1,000\n"
    )


def test_sentences_are_wrapped_to_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    assert wrapped("stop: iteration of lowest validation-loss") == (
        "stop: iteration of\nlowest\nvalidation-loss"
    )
