"""How numbers and names are written: the same in tables, captions, cards and figures."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Mapping
from typing import Any

from lottery.analysis.types import Answer, Comparison, Estimate
from lottery.tickets import RewindMethod

NONE = "\N{EN DASH}"

KINDS = {
    "main": "Tickets",
    "reinit": "New initialization",
    "random-mask": "Random mask",
    "continued": "Not rewound",
    "shuffled-global": "Mask shuffled globally",
    "signs-random-magnitudes": "Signs, random magnitudes",
    "signs-constant": "Signs, one magnitude",
    "random-signs": "Random signs",
    "scratch-epochs": "From scratch, same epochs",
    "scratch-flops": "From scratch, same FLOPs",
    "edge-popup": "Mask learned, same counts",
    "supermask": "Mask learned, free density",
}
"""Kind of branch -> its name for readers."""

_TICKETS: Mapping[RewindMethod, str] = {
    "weights": "pruned, rewound to their own weights, trained again",
    "learning-rate": "pruned, and with their trained weights trained again",
    "fine-tune": "pruned, and trained on from their trained weights at the last learning rate",
    "drawn": "pruned while the dense network trains, and trained on from the weights of then",
}

KIND_NOTES = {
    "main": _TICKETS["weights"],
    "reinit": "the ticket's mask, but freshly drawn initial weights",
    "random-mask": "as many weights in each layer, but others, drawn at random, from their own "
    "values at the ticket's start",
    "continued": "the ticket's mask, but training goes on from the trained weights",
    "shuffled-global": "the ticket's mask shuffled over all layers that are pruned, weights from "
    "their own values at the ticket's start",
    "signs-random-magnitudes": "the ticket's mask and signs, but magnitudes drawn afresh",
    "signs-constant": "the ticket's mask and signs, but one magnitude in each layer",
    "random-signs": "the ticket's mask and magnitudes, but signs drawn at random",
    "scratch-epochs": "the ticket's mask, trained from fresh weights and the very beginning",
    "scratch-flops": "the ticket's mask, trained from fresh weights for as many multiplications as "
    "the dense network, at most twice as long",
    "edge-popup": "initial weights, never trained; the mask is learned, as many in each layer",
    "supermask": "initial weights, never trained; the mask is learned, with a density of its own",
}
"""Kind of branch -> what it is; of tickets, where they are rewound to weights: see `kind_note`."""

ANSWERS: Mapping[Answer, str] = {
    "yes": "✓ yes",
    "no": "✕ no",
    "unsure": "~ unsure",
    "untested": "· untested",
}
"""What a test says -> how it is written."""


def kind(name: str, level: int) -> str:
    """A kind of branch for readers; the main line begins with the dense network.

    >>> kind("main", 0), kind("main", 1)
    ('Dense', 'Tickets')
    """
    return "Dense" if name == "main" and level == 0 else KINDS[name]


def kind_note(name: str, rewind: RewindMethod) -> str:
    """What a kind of branch is, in a run whose tickets go back to what ``rewind`` says.

    >>> kind_note("main", "drawn")
    'pruned while the dense network trains, and trained on from the weights of then'
    """
    return _TICKETS[rewind] if name == "main" else KIND_NOTES[name]


def density(fraction: float) -> str:
    """A density in percent, to three digits.

    >>> density(0.8), density(0.13421), density(1.0)
    ('80%', '13.4%', '100%')
    """
    return f"{100 * fraction:.3g}%"


def percent(fraction: float) -> str:
    """An accuracy in percent, without the sign.

    >>> percent(0.98131)
    '98.13'
    """
    return f"{100 * fraction:.2f}"


def counted_points(fraction: float) -> str:
    """A size in percentage points, with its unit.

    >>> counted_points(0.01), counted_points(0.005)
    ('1 point', '0.5 points')
    """
    number = f"{100 * fraction:.3g}"
    return f"{number} point{'s'[: number != '1']}"


def points(fraction: float) -> str:
    """A difference of accuracies in percentage points, with its sign.

    >>> points(0.0123), points(0.00001)
    ('+1.23', '0.00')
    """
    return _signed(f"{100 * fraction:+.2f}")


def count(value: float) -> str:
    """A whole number with separators.

    >>> count(266200.4)
    '266,200'
    """
    return f"{value:,.0f}"


def signed_count(value: float) -> str:
    """A difference of counts, with its sign.

    >>> signed_count(1200)
    '+1,200'
    """
    return _signed(f"{value:+,.0f}")


def probability(p: float | None) -> str:
    """A p-value.

    >>> probability(0.00001), probability(0.0312)
    ('< 0.001', '0.031')
    """
    if p is None:
        return NONE
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def estimate(value: Estimate | None, form: Any) -> str:
    """A mean and, where there is one, its interval."""
    if value is None:
        return NONE
    text = str(form(value.mean))
    if value.low is not None and value.high is not None:
        text += f" [{form(value.low)}, {form(value.high)}]"
    return text


def difference(value: Comparison | None, form: Any) -> str:
    """The mean difference and its interval."""
    return NONE if value is None else estimate(value.difference, form)


def plural(number: int, noun: str) -> str:
    """A number with its noun.

    >>> plural(1, "job"), plural(2, "job")
    ('1 job', '2 jobs')
    """
    return f"{number:,} {noun}{'s'[: number != 1]}"


def short(name: str, longest: int = 40) -> str:
    """A name with its middle left out where it is too long for a figure."""
    half = (longest - 1) // 2
    return name if len(name) <= longest else f"{name[:half]}…{name[-half:]}"


def figure_text(name: str) -> str:
    """A name made safe for Plotly, which reads a few tags and entities in every text.

    >>> figure_text("<b>fc</b>")
    '&lt;b&gt;fc&lt;/b&gt;'
    """
    return html.escape(short(name), quote=False)


def flat(nested: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested values as lines of dotted key and JSON value, as ``--set`` takes them.

    >>> list(flat({"training": {"epochs": 10}, "name": "lenet"}))
    [('training.epochs', '10'), ('name', '"lenet"')]
    """
    for key, value in nested.items():
        if isinstance(value, Mapping) and value:
            yield from flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", json.dumps(value, ensure_ascii=False, default=str)


def _signed(text: str) -> str:
    if not any(digit in "123456789" for digit in text):
        return text.lstrip("+-")
    return text.replace("-", "\N{MINUS SIGN}")
