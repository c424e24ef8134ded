"""A request to stop, and when it is heard."""

from __future__ import annotations

import threading


class StopRequest(threading.Event):
    """Set it to stop a run; ``under_way`` says whether the run looks at it yet.

    Trainings look at it, and keep a checkpoint. Loading, downloading and decoding data do not:
    whoever wants to stop them can interrupt them by an exception, which leaves nothing behind.
    """

    under_way = False
    """Whether the data are loaded, and trainings come next."""
