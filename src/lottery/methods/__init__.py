"""How tickets are made, and the controls that show why they work: one record each."""

from lottery.methods.at_step import AtStep, FromStep
from lottery.methods.base import Bound, Inputs, Method
from lottery.methods.changing import Changing, searching
from lottery.methods.control import Branch, Breaking, Control, source_replicate
from lottery.methods.controls import CONTROL_KINDS, CONTROLS
from lottery.methods.controls_config import ControlsConfig, asked_for, control_problems
from lottery.methods.dynamic import Dynamic
from lottery.methods.early_bird import EarlyBird
from lottery.methods.given import Given
from lottery.methods.gradual import GradualPruning
from lottery.methods.identity import plain_how
from lottery.methods.iterative import Iterative
from lottery.methods.kinds import METHODS, AnyMethod
from lottery.methods.rewinding import DrawnRewindConfig, FoundRewindConfig, RewindConfig

__all__ = [
    "CONTROLS",
    "CONTROL_KINDS",
    "METHODS",
    "AnyMethod",
    "AtStep",
    "Bound",
    "Branch",
    "Breaking",
    "Changing",
    "Control",
    "ControlsConfig",
    "DrawnRewindConfig",
    "Dynamic",
    "EarlyBird",
    "FoundRewindConfig",
    "FromStep",
    "Given",
    "GradualPruning",
    "Inputs",
    "Iterative",
    "Method",
    "RewindConfig",
    "asked_for",
    "control_problems",
    "plain_how",
    "searching",
    "source_replicate",
]
