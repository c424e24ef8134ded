"""The lines that tell how a run goes on."""

from __future__ import annotations

import io

from rich.console import Console
from tiny import tiny

from lottery.cli.progress import _Lines, left_out_words
from lottery.tickets import PruneConfig

OUTPUTS, MIXED = "its outputs are the network's", "LayerNorm [mixes] channels"


def test_layers_of_one_reason_are_named_together_and_only_a_few_of_them() -> None:
    reasons = {f"blocks.{n}.fc.weight": MIXED for n in range(12)} | {"output.weight": OUTPUTS}
    assert left_out_words("channel", 1_024, reasons) == (
        "granularity 'channel': densities are shares of 1,024 units; left out: blocks.0.fc.weight, "
        "blocks.1.fc.weight, blocks.2.fc.weight and 9 more (LayerNorm [mixes] channels); "
        "output.weight (its outputs are the network's)"
    )
    three = left_out_words("channel", 2, dict.fromkeys(["a", "b", "c"], OUTPUTS))
    assert three.endswith("left out: a, b, c (its outputs are the network's)")


def test_what_is_left_out_is_one_line() -> None:
    written = io.StringIO()
    config = tiny(prune=PruneConfig(granularity="channel", scope="global"))
    lines = _Lines(config, Console(file=written, width=40))
    lines.left_out(7, {"fc.weight": MIXED, "output.weight": OUTPUTS})
    assert written.getvalue() == (
        "granularity 'channel': densities are shares of 7 units; left out: fc.weight (LayerNorm "
        "[mixes] channels); output.weight (its outputs are the network's)\n"
    )
