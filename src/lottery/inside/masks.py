"""The analysis ``masks``: what tickets keep, compared with masks drawn at random.

Overlap within and between replicates, density of layers and units, weights on paths from input to
output, and how masks settle. It only reads a run's files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import combinations, islice
from statistics import fmean
from typing import Final, get_args

from torch import Tensor, nn

from lottery.core import Mask
from lottery.errors import MaskError, UsageError
from lottery.inside.analysis import Analysis
from lottery.inside.degrees import Degrees, Side, degrees
from lottery.inside.mask_sentences import WHOLE, sentences
from lottery.inside.measurement import Cell, Measurement, Table
from lottery.inside.overlap import add, layer_overlaps, overlaps_by_input
from lottery.inside.paths import built_in_network, check_paths, effective_mask
from lottery.inside.settling import settling
from lottery.inside.subject import Subject
from lottery.methods import CONTROLS, source_replicate
from lottery.store import MAIN, JobKey

MOST_LAYERS: Final = 12
"""Layers with a distribution of degrees; of networks with more, an even selection."""

Row = tuple[Cell, ...]

_COMMON = (
    "layer",
    "pairs",
    "overlap",
    "lowest",
    "highest",
    "jaccard",
    "chance",
    "chance_jaccard",
    "z",
    "chance_by_input",
    "z_by_input",
)
_HOW = (
    "Overlap: of the smaller mask's weights those that both keep, mean over pairs; chance: its "
    "mean for masks drawn at random with as many weights in each layer, exactly; z: standard "
    "deviations of that chance, of all pairs together. By input: chance gives each input of a "
    "layer as many weights as it has in each mask."
)
COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "between": ("level", *_COMMON),
    "pairs": ("level", "replicate", "other", "overlap", "jaccard", "chance", "z"),
    "within": ("level", "other", *_COMMON),
    "layers": (
        "level",
        "replicate",
        "layer",
        "kept",
        "total",
        "density",
        "effective",
        "effective_density",
        "units",
        "dead_units",
    ),
    "units": (
        "level",
        "replicate",
        "layer",
        "side",
        "units",
        "mean",
        "variance",
        "chance_variance",
        "empty",
        "chance_empty",
        "empty_z",
    ),
    "degrees": ("level", "replicate", "layer", "side", "from", "to", "units", "chance"),
}
_TITLES_AND_NOTES: Final[Mapping[str, tuple[str, str]]] = {
    "between": ("Overlap between replicates", _HOW),
    "pairs": ("Overlap of each pair of replicates", "The whole masks; columns as above."),
    "within": (
        "Overlap within replicates",
        "Each level's tickets against the masks of controls of the same replicate, and against the "
        "level before where masks do not nest. Of two replicates that were given each other's "
        f"masks, moved or aligned, one counts. {_HOW}",
    ),
    "layers": (
        "Density and effective density",
        "Effective: kept weights on a path of kept weights from an input to an output; dead: "
        "units (outputs of the layer) on no such path.",
    ),
    "units": (
        "Weights of each unit",
        "Outputs are the units that a layer writes (first dimension of its weight), inputs those "
        "that it reads. Mean and variance of the weights kept of each, and units that keep none; "
        "chance: what masks drawn at random with as many weights in the layer have on average, "
        "exactly.",
    ),
    "degrees": (
        "Units by how many weights they keep",
        "How many units keep so many weights; chance: how many would on average, with as many "
        "weights in the layer.",
    ),
}


@dataclass(frozen=True, kw_only=True)
class _Notebook:
    """What is filled in level by level."""

    network: nn.Module | None
    input_shape: tuple[int, ...]
    rows: Mapping[str, list[Row]] = field(default_factory=lambda: {name: [] for name in COLUMNS})


def masks(subject: Subject) -> Measurement:
    """Overlaps, densities, units and settling of the masks of a run."""
    network, why = _network(subject)
    notebook = _Notebook(network=network, input_shape=subject.run.facts.input_shape or ())
    before: dict[int, Mask] = {}
    for level in subject.levels:
        here = {
            replicate: subject.mask(key)
            for replicate in subject.replicates
            if subject.ended(key := JobKey(replicate, MAIN, level))
        }
        _between(subject, notebook, level, here)
        parents = before if level - 1 in subject.levels else {}
        _within(subject, notebook, level, here, parents)
        for replicate, mask in here.items():
            subject.progress(f"level {level}, replicate {replicate}: layers and units")
            _layers(notebook, (level, replicate), mask)
            _units(notebook, (level, replicate), mask)
        before = here
    tables = [
        Table(
            name=name,
            title=_TITLES_AND_NOTES[name][0],
            note=_TITLES_AND_NOTES[name][1],
            columns=COLUMNS[name],
            rows=tuple(rows),
        )
        for name, rows in notebook.rows.items()
    ]
    tables.append(settling(subject))
    found = (*sentences({table.name: table for table in tables}), *why, *_cautions(subject))
    return Measurement(analysis="masks", found=found, tables=tuple(tables))


def _network(subject: Subject) -> tuple[nn.Module | None, list[str]]:
    """The network, if paths through it are known, and else why they are not."""
    refused = "Effective density and dead units are not told: "
    network = built_in_network(subject.run)
    if network is None:
        return None, [f"{refused}the network is not built in, and looking at a run runs no code."]
    try:
        check_paths(network)
        for key in islice(subject.trainings(), 1):
            effective_mask(network, subject.mask(key), subject.run.facts.input_shape or ())
    except (UsageError, MaskError) as error:
        return None, [f"{refused}{error}."]
    return network, []


def _between(subject: Subject, notebook: _Notebook, level: int, here: Mapping[int, Mask]) -> None:
    subject.progress(f"level {level}: overlap between replicates")
    pairs = list(combinations(here, 2))
    exact = _by_weight(subject)
    notebook.rows["between"] += _rows((level,), [(here[a], here[b]) for a, b in pairs], exact)
    for one, other in pairs:
        both = add(layer_overlaps(here[one], here[other]).values())
        z = both.z if exact else None
        notebook.rows["pairs"].append((level, one, other, both.share, both.jaccard, both.chance, z))


def _within(
    subject: Subject,
    notebook: _Notebook,
    level: int,
    here: Mapping[int, Mask],
    before: Mapping[int, Mask],
) -> None:
    """Against other branches, and against the level before where masks do not nest."""
    rows = partial(_rows, exact=_by_weight(subject))
    branches: dict[str, list[JobKey]] = {}
    for key in subject.with_controls(level):
        if key.branch != MAIN and key.replicate in here:
            branches.setdefault(key.branch, []).append(key)
    for branch, keys in sorted(branches.items()):
        subject.progress(f"level {level}: overlap with {branch}")
        # Two replicates that have each other's masks are one pair.
        once = {_replicates(key): (here[key.replicate], subject.mask(key)) for key in keys}
        pairs = [*once.values()]
        if any(one != other for one, other in pairs):
            notebook.rows["within"] += rows((level, branch), pairs)
    pairs = [(mask, before[replicate]) for replicate, mask in here.items() if replicate in before]
    if not all(mask.is_subset(parent) for mask, parent in pairs):
        notebook.rows["within"] += rows((level, "level before"), pairs)


def _replicates(control: JobKey) -> frozenset[int]:
    """Whose masks are compared: a control's with its replicate's ticket."""
    known = CONTROLS.get(control.kind)
    source = source_replicate if known is not None and known.moves_mask else int
    return frozenset({control.replicate, source(control.replicate)})


def _rows(head: Row, pairs: Sequence[tuple[Mask, Mask]], exact: bool) -> Iterator[Row]:
    """Layer by layer and whole, what pairs of masks have in common."""
    found = [layer_overlaps(*pair) for pair in pairs]
    by_input = [overlaps_by_input(*pair) for pair in pairs]
    for layer in [*found[0], WHOLE] if found else ():
        names = list(found[0]) if layer == WHOLE else [layer]
        each = [add(of[name] for name in names) for of in found]
        all_, given = add(each), add(of[name] for of in by_input for name in names)
        shares = [one.share for one in each if one.share is not None]
        yield (
            *head,
            layer,
            len(pairs),
            fmean(shares) if shares else None,
            min(shares, default=None),
            max(shares, default=None),
            all_.jaccard,
            all_.chance,
            all_.chance_jaccard,
            all_.z if exact else None,
            given.chance,
            given.z if exact else None,
        )


def _layers(notebook: _Notebook, head: Row, mask: Mask) -> None:
    known = notebook.network is not None
    alive = mask
    if notebook.network is not None:
        alive = effective_mask(notebook.network, mask, notebook.input_shape)
    reached = alive.layers
    rows = [
        (kept, total, reached[name][0], *_outputs(alive[name]))
        for name, (kept, total) in mask.layers.items()
    ]
    # There are layers: a mask of none has no training.
    whole = [sum(column) for column in zip(*rows, strict=True)]
    for name, (kept, total, effective, units, dead) in zip(
        [*mask, WHOLE], [*rows, whole], strict=True
    ):
        size = max(total, 1)
        paths = (effective, effective / size, units, dead) if known else (None, None, units, None)
        notebook.rows["layers"].append((*head, name, kept, total, kept / size, *paths))


def _units(notebook: _Notebook, head: Row, mask: Mask) -> None:
    names = _matrices(mask)
    shown = names[:: -(-len(names) // MOST_LAYERS) or 1]
    for name in names:
        for side in get_args(Side):
            found = degrees(mask[name], side)
            notebook.rows["units"].append((*head, name, side, *_degree_cells(found)))
            if name in shown:
                bins = ((*head, name, side, *bin_) for bin_ in found.histogram())
                notebook.rows["degrees"] += bins


def _matrices(mask: Mask) -> list[str]:
    """Layers with outputs and inputs, which all have, unless a file says otherwise."""
    return [name for name, kept in mask.items() if kept.ndim > 1 and kept.numel()]


def _outputs(kept: Tensor) -> tuple[int, int]:
    """How many a layer has, and those of them of which no weight is kept."""
    if not kept.numel():
        return 0, 0
    some = kept.reshape(kept.shape[0] if kept.ndim else 1, -1).any(1)
    return len(some), int((~some).sum())


def _degree_cells(found: Degrees) -> Row:
    return (
        found.units,
        found.mean,
        found.variance,
        found.chance_variance,
        found.empty,
        found.chance_empty,
        found.empty_z,
    )


def _by_weight(subject: Subject) -> bool:
    """Whether weights are removed one by one, which is what chance does."""
    return subject.run.config.prune.granularity == "weight"


def _cautions(subject: Subject) -> Iterator[str]:
    if not _by_weight(subject):
        yield (
            f"This run removes weights by granularity {subject.run.config.prune.granularity}, "
            "chance one by one: the mean of an overlap by chance is the same, its spread is not, "
            "so that no z is given, and units differ more than by this chance."
        )
    if len(subject.replicates) < 2:
        yield "Of a single replicate there is no overlap between replicates."


MASKS: Final = Analysis(
    name="masks",
    sentence="what tickets keep, beside what masks drawn at random would: overlap, units, paths",
    measure=masks,
)
