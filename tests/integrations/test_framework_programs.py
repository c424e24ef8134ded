"""Scripts of training frameworks, and the lines that lottery adds to them.

What stands between ``# lottery: begin`` and ``# lottery: end`` is counted, without blank lines. The
rest is the script as it was, but for the line that started its training.
"""

from __future__ import annotations

import importlib
import logging
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

PROGRAMS: Final = Path(__file__).parents[1] / "programs"
LINES: Final = {"hugging_face": 8, "lightning_module": 8, "timm_finetuning": 8}
NEEDS: Final = {
    "hugging_face": "transformers",
    "lightning_module": "lightning",
    # Imports torchvision, which does not work with every build of torch.
    "timm_finetuning": "timm",
}


def added(text: str) -> list[str]:
    """The lines of a program that are there for lottery."""
    _, _, rest = text.partition("# lottery: begin\n")
    part, _, _ = rest.partition("# lottery: end\n")
    return [line for line in part.splitlines() if line.strip()]


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in ("transformers", "lightning")]
    before = [one.level for one in loggers]
    for one in loggers:
        one.setLevel(logging.ERROR)
    yield
    for one, level in zip(loggers, before, strict=True):
        one.setLevel(level)


@pytest.mark.parametrize("name", LINES)
def test_a_program_takes_few_lines_more(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And gives a verdict, the same when it finds everything done."""
    path = PROGRAMS / f"{name}.py"
    lines = added(path.read_text(encoding="utf-8"))
    assert 0 < len(lines) <= LINES[name]
    try:
        importlib.import_module(NEEDS[name])
    except (ImportError, RuntimeError) as error:
        pytest.skip(f"{NEEDS[name]} cannot be imported: {error}")
    monkeypatch.chdir(tmp_path)
    verdicts: list[Any] = []
    for _ in range(2):
        made = runpy.run_path(str(path))
        verdicts.append(made["run"].verdict.paragraph)
        assert verdicts[-1] in capsys.readouterr().out
    assert verdicts[0] == verdicts[1]
