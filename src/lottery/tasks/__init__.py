"""What is trained and how it is measured: built in, or of the user's own code."""

from lottery.tasks.own import OwnTask
from lottery.tasks.own_code import OwnCode
from lottery.tasks.protocol import GradualTarget, Steps, Task, TrainingRequest, TrainingVariant
from lottery.tasks.session import LoopSession
from lottery.tasks.supervised import Supervised

__all__ = [
    "GradualTarget",
    "LoopSession",
    "OwnCode",
    "OwnTask",
    "Steps",
    "Supervised",
    "Task",
    "TrainingRequest",
    "TrainingVariant",
]
