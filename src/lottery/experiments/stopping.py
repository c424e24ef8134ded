"""A request to stop a run."""

from __future__ import annotations

import threading


class StopRequest(threading.Event):
    """Set it to stop a run; ``under_way`` says whether the run checks it yet.

    Trainings check it, and write a checkpoint. Loading, downloading and decoding data do not: they
    can be interrupted by an exception, which leaves nothing behind.
    """

    under_way = False
    """Whether the data are loaded, and trainings come next."""
