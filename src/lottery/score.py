"""What a trained network is judged by: a number with a name, a direction and a unit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Score:
    """The number that tells a good network from a bad one, measured on the test examples.

    Args:
        name: what it is called: ``accuracy``, ``perplexity``, ``F1``.
        higher: whether more is better.
        unit: what it is printed with; ``%`` is for fractions in [0, 1], printed times 100.
        margin: by how much, in the score's own unit, a ticket may be worse than the dense network
            and still match it, above 0 or 0. None: there is none, and nothing is tested. Accuracy
            alone has a usual one.
    """

    name: str = "accuracy"
    higher: bool = True
    unit: str = ""
    margin: float | None = None

    def better(self, one: float, other: float) -> bool:
        """Whether the first is the better score."""
        return self.oriented(one) > self.oriented(other)

    def oriented(self, value: float) -> float:
        """A number that is the larger, the better the value is; it is its own inverse."""
        return value if self.higher else -value

    def problems(self) -> list[str]:
        """What is wrong, one sentence each."""
        found = []
        if not self.name or len(self.name) > 60 or not self.name.isprintable():
            found.append("name: must be 1 to 60 printable characters")
        if len(self.unit) > 20 or (not self.unit.isprintable() and self.unit):
            found.append("unit: must be at most 20 printable characters")
        if self.margin is not None and not 0 <= self.margin < float("inf"):
            found.append(f"margin: must be 0 or more, got {self.margin}")
        elif self.unit == "%" and self.margin is not None and self.margin >= 1:
            found.append(
                f"margin: must be below 1, got {self.margin}; 0.01 is one percentage point"
            )
        return found


ACCURACY = Score(name="accuracy", higher=True, unit="%", margin=0.002)
"""The share classified right, with the margin of a fifth of a percentage point."""
