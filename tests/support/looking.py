"""What a process does that only looks at a flag; it imports nothing, so that it starts at once."""

from __future__ import annotations

from typing import Any


def look_until_asked(asked: Any, looking: Any) -> None:
    """Look, and look again, with no rest; ``looking`` says that it began."""
    looking.value = 1
    while not asked.value:
        pass
