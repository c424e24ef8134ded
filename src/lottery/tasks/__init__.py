"""What is trained and how it is measured: built in, or of the user's own code."""

from lottery.tasks.own import OwnTask
from lottery.tasks.own_code import OwnCode
from lottery.tasks.protocol import Gradual, How, Steps, Task, Work
from lottery.tasks.session import LoopSession
from lottery.tasks.supervised import Supervised

__all__ = [
    "Gradual",
    "How",
    "LoopSession",
    "OwnCode",
    "OwnTask",
    "Steps",
    "Supervised",
    "Task",
    "Work",
]
