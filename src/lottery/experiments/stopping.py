"""A request to stop, and when it is heard."""

from __future__ import annotations

import threading


class StopRequest(threading.Event):
    """Set it to stop a run; ``under_way`` says whether the run looks at it yet.

    Trainings look at it, and keep a checkpoint. Loading, downloading and decoding data, and all
    else that comes before them, do not: whoever wants to stop then can interrupt them by an
    exception, which leaves nothing behind.
    """

    under_way = False
    """Whether trainings are about to be run, or have been."""
