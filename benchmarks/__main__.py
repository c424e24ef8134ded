"""``python -m benchmarks``: measure, print a table, write JSON."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import prepare
from benchmarks.figure import Figure
from benchmarks.machine import machine, versions
from benchmarks.processes import MeasurementError, say, take
from benchmarks.report import Result, amount, document, quietness, table
from benchmarks.rows import (
    NEED_EXAMPLES,
    NEED_MASKS,
    ROW_NAMES,
    Row,
    Settings,
    make_rows,
)

_EXAMPLES = """examples:
  python -m benchmarks --quick                      does everything work? the figures mean nothing
  python -m benchmarks --only dense-step density --data-dir data --out speed.json
  python -m benchmarks --only two-jobs --jax-python benchmarks/.venv/jax/bin/python
  python -m benchmarks --only protocol --processes 3 --data-dir data
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks; 1 when a row could not be measured."""
    options = _parser().parse_args(arguments)
    about = {
        "command": shlex.join(["python", "-m", "benchmarks", *(arguments or sys.argv[1:])]),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "quick": options.quick,
        "machine": machine(),
        "versions": versions(),
    }
    results: list[Result] = []
    # Before all that takes long, so that a path that cannot be written is known at once.
    _write(options.out, document(results, about))
    with tempfile.TemporaryDirectory() as scratch:
        rows = make_rows(_settings(options, Path(scratch)))
        for name in options.only or ROW_NAMES:
            results.append(_measure(rows[name], options.processes, options.quick))
            # After each, so that a long series that is broken off keeps what it has.
            _write(options.out, document(results, about))
    # Wide enough for a line a measurement also where there is no terminal.
    console = Console() if sys.stdout.isatty() else Console(width=150)
    console.print(table(results))
    console.print(quietness(results))
    if options.quick:
        console.print("A smoke run: the figures mean nothing.")
    return 1 if any(result.problem for result in results) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Measure what the README's speed figures come from. Every comparison is taken "
        "in turns, A B A B ..., each time in a fresh process.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--only",
        nargs="+",
        choices=ROW_NAMES,
        metavar="NAME",
        help=f"rows to measure: {', '.join(ROW_NAMES)}",
    )
    parser.add_argument(
        "--processes",
        type=_positive,
        metavar="N",
        help="processes of each measurement (default 5; 1 for protocol)",
    )
    parser.add_argument("--out", type=Path, metavar="FILE.json", help="write everything there")
    parser.add_argument("--data-dir", type=Path, help="where MNIST lies")
    parser.add_argument("--engine", default="sparse_cpu", help="our engine (default %(default)s)")
    parser.add_argument(
        "--run", type=Path, help="a run of lottery to take masks from; a short one is made without"
    )
    parser.add_argument("--jax-python", help="the interpreter of an environment with JAX")
    parser.add_argument(
        "--sparseprop-python", help="the interpreter of an environment with SparseProp"
    )
    parser.add_argument(
        "--overhead-model",
        default="resnet-20",
        help="the network of the row overhead (default %(default)s)",
    )
    parser.add_argument("--quick", action="store_true", help="hardly any work: a smoke run")
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("expected 1 or more")
    return number


def _settings(options: argparse.Namespace, scratch: Path) -> Settings:
    """The user's choices, with what the rows need beforehand made in ``scratch``."""
    chosen = set(options.only or ROW_NAMES)
    run, examples = options.run, scratch / "none.npz"
    if run is None and chosen & NEED_MASKS:
        say(f"masks: a short run of {prepare.LEVELS} levels")
        run = prepare.masks(
            scratch, engine=options.engine, data_dir=options.data_dir, quick=options.quick
        )
    if options.jax_python and chosen & NEED_EXAMPLES:
        examples = prepare.examples(scratch, data_dir=options.data_dir)
    return Settings(
        engine=options.engine,
        data_dir=options.data_dir,
        run=run or scratch,
        examples=examples,
        jax_python=options.jax_python,
        sparseprop_python=options.sparseprop_python,
        overhead_model=options.overhead_model,
        quick=options.quick,
    )


def _measure(row: Row, processes: int | None, quick: bool) -> Result:
    """Measure a row, or say why not."""
    say(f"\n{row.name}: {row.about}")
    if row.missing:
        say(f"  skipped: {row.missing}")
        return Result(row=row, problem=f"skipped: {row.missing}")
    rounds = processes or (1 if row.once else 2 if quick else 5)

    figures: dict[str, list[Figure]] = {}
    try:
        for number, one, figure in take(row.measurements, rounds):
            figures.setdefault(one.label, []).append(figure)
            say(f"  {number + 1}/{rounds} {one.label}: {amount(figure.value, figure.unit)}")
    except MeasurementError as error:
        say(f"  failed: {error}")
        return Result(row=row, figures=figures, problem=f"failed: {error}")
    return Result(row=row, figures=figures)


def _write(path: Path | None, content: dict[str, Any]) -> None:
    if path is not None:
        path.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
