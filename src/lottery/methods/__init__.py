"""How tickets are made, and the controls that show why they work: one record each."""

from lottery.methods.at_step import AtStep, FromStep
from lottery.methods.base import Method, MethodContext, ReplicateInputs
from lottery.methods.changing import ChangingMask, mask_search
from lottery.methods.control import Branch, Control, ControlContext, source_replicate
from lottery.methods.controls import CONTROL_KINDS, CONTROLS
from lottery.methods.controls_config import ControlsConfig, control_problems, requested_controls
from lottery.methods.dynamic import Dynamic
from lottery.methods.early_bird import EarlyBird
from lottery.methods.given import Given
from lottery.methods.gradual import GradualPruning
from lottery.methods.identity import plain_variant
from lottery.methods.iterative import Iterative
from lottery.methods.kinds import METHODS, AnyMethod
from lottery.methods.rewinding import DrawnRewindConfig, FoundRewindConfig, RewindConfig

__all__ = [
    "CONTROLS",
    "CONTROL_KINDS",
    "METHODS",
    "AnyMethod",
    "AtStep",
    "Branch",
    "ChangingMask",
    "Control",
    "ControlContext",
    "ControlsConfig",
    "DrawnRewindConfig",
    "Dynamic",
    "EarlyBird",
    "FoundRewindConfig",
    "FromStep",
    "Given",
    "GradualPruning",
    "Iterative",
    "Method",
    "MethodContext",
    "ReplicateInputs",
    "RewindConfig",
    "control_problems",
    "mask_search",
    "plain_variant",
    "requested_controls",
    "source_replicate",
]
