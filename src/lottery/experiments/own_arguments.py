"""Turning the short arguments of `lottery.find_tickets` into configs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, Final

from lottery.errors import UsageError, unknown_name
from lottery.methods import AnyMethod, ControlsConfig, Iterative, RewindConfig
from lottery.score import ACCURACY, Score
from lottery.tickets import PruneConfig
from lottery.training import Length

_HIGHER: Final = "f1 auc auroc map bleu rouge r2 iou miou dice psnr ssim recall precision reward"
_LOWER: Final = "loss perplexity error mse mae rmse nll bpc wer cer fid"


def read_score(
    score: Score | str | None, lower_is_better: bool | None, margin: float | None
) -> Score:
    """The score that networks are judged by: from a name, a `Score` or None (accuracy)."""
    if score is None or score == "accuracy":
        found = ACCURACY
    elif isinstance(score, str):
        higher = _direction(score) if lower_is_better is None else not lower_is_better
        if higher is None:
            raise UsageError(
                f"score: whether more of '{score}' is better is not known; pass lower_is_better="
            )
        found = Score(name=score, higher=higher)
    elif isinstance(score, Score):
        found = score
    else:
        raise UsageError(f"score: expected a name or a Score, got {type(score).__name__}")
    if lower_is_better is not None and lower_is_better == found.higher:
        raise UsageError(
            f"lower_is_better: of {found.name} {'more' if found.higher else 'less'} is better; "
            "give a score of another kind its own name with score="
        )
    return found if margin is None else replace(found, margin=margin)


def _direction(name: str) -> bool | None:
    """Whether more of it is better; None where its name says nothing."""
    words = "".join(c if c.isalnum() else " " for c in name.lower()).split()
    if any(word in _LOWER.split() for word in words):
        return False
    return True if any(word in _HIGHER.split() for word in [*words, "".join(words)]) else None


def read_controls(controls: ControlsConfig | Mapping[str, int] | None) -> ControlsConfig:
    """The numbers of controls: from a config, a dict, or None (one reinitialized copy)."""
    if controls is None or isinstance(controls, ControlsConfig):
        return controls or ControlsConfig()
    known = [field.name for field in fields(ControlsConfig)]
    if not isinstance(controls, Mapping):
        raise UsageError(f"controls: expected a dict of kinds and numbers, got {controls!r}")
    for name in controls:
        if name not in known:
            raise UsageError(f"controls: {unknown_name('control', str(name), known)}")
    # What is not among those asked for is not wanted.
    return ControlsConfig(**{"reinit": 0, **controls})


def read_pruning(prune: PruneConfig | None, **short: Any) -> PruneConfig:
    """The pruning config: as given, or from its most used settings; not from both."""
    given = {name: value for name, value in short.items() if value is not None}
    if prune is None:
        return PruneConfig(**given)
    if given:
        raise UsageError(f"{', '.join(given)}: said by prune= already; say it there")
    return prune


def read_method(method: AnyMethod | None, rewind: int | str | None) -> AnyMethod:
    """The method: as given, or the iterative one with this rewinding; not from both."""
    if method is not None:
        if rewind is not None:
            raise UsageError("rewind: said by method= already; say it there")
        return method
    return Iterative(rewind=_read_rewinding(0 if rewind is None else rewind))


def _read_rewinding(rewind: int | str) -> RewindConfig:
    """What survivors go back to: from a number of steps, or a word."""
    if rewind in ("learning-rate", "fine-tune"):
        amount = 1 if rewind == "fine-tune" else 0
        return RewindConfig(kind=rewind, length=Length(amount=amount))  # type: ignore[arg-type]
    try:
        return RewindConfig(to=Length.of(rewind))
    except UsageError as error:
        raise UsageError(
            f"rewind: expected a number of optimizer steps, or 'learning-rate'; got {rewind!r}"
        ) from error
