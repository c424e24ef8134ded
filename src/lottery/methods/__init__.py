"""How tickets are made, and the controls that show why they work: one record each."""

from lottery.methods.base import Bound, Inputs, Method
from lottery.methods.changing import plain_how
from lottery.methods.controls import (
    CONTROL_KINDS,
    CONTROLS,
    Branch,
    Breaking,
    Control,
    source_replicate,
)
from lottery.methods.early_bird import EarlyBird
from lottery.methods.of_config import method_of

__all__ = [
    "CONTROLS",
    "CONTROL_KINDS",
    "Bound",
    "Branch",
    "Breaking",
    "Control",
    "EarlyBird",
    "Inputs",
    "Method",
    "method_of",
    "plain_how",
    "source_replicate",
]
