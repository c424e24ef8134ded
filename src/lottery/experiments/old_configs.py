"""Bringing configs of old runs, from before the table ``method``, into the present form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def current_form(config: Mapping[str, Any]) -> dict[str, Any]:
    """An old config in its present form; one of the present form stays as it is.

    Args:
        config: the recorded config. If a part that should be a table is none, it is returned as it
            is, and loading it will report that.

    >>> current_form({"prune": {"by": "rewound"}, "rewind": {"to": 500}})["method"]
    {'kind': 'at-step', 'step': 500}
    """
    if "method" in config:
        return dict(config)
    tables = {name: config.get(name, {}) for name in ("prune", "rewind", "training")}
    if not all(isinstance(table, Mapping) for table in tables.values()):
        return dict(config)
    prune, rewind, training = (dict(table) for table in tables.values())
    by, early = prune.pop("by", "trained"), prune.pop("early_bird", {})
    pruned = {"pruned": training.pop("pruned")} if "pruned" in training else {}
    updates = training.pop("mask_updates", {})
    step = {"step": rewind["to"]} if "to" in rewind else {}
    if "method" in rewind:
        rewind["kind"] = rewind.pop("method")
    if isinstance(updates, Mapping) and updates.get("method", "none") != "none":
        method = {"kind": "dynamic", **step, **updates, "update": updates["method"]}
        other = {"method", "shape"}
        if updates["method"] == "gradual":
            method, other = method | {"kind": "gradual"}, {"method", "fraction", "update"}
        method = {key: value for key, value in method.items() if key not in other}
    elif by == "early-bird":
        rewind.pop("length", None)
        looks = dict(early) if isinstance(early, Mapping) else {"every": early}
        method = {"kind": by, **looks, "rewind": {"kind": "weights", **rewind}, **pruned}
    elif by == "rewound":
        method = {"kind": "at-step", **step, **pruned}
    else:
        method = {"kind": "iterative", "rewind": rewind, **pruned}
    new = {"prune": prune, "training": training}
    rest = {key: new.get(key, value) for key, value in config.items() if key != "rewind"}
    return {**rest, "method": method}
