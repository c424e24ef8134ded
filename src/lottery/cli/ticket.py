"""``lottery ticket``: tickets as files: save, inspect, verify, apply, diff, train."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lottery.cli import options, ticket_train
from lottery.cli.loading import load
from lottery.cli.output import echo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lottery.tickets import Ticket

app = typer.Typer(
    help="Tickets as files, and on other tasks.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.command()(ticket_train.train)


def _new_file(text: str) -> Path:
    """A file to write, which must not be there: a ticket that is replaced is lost."""
    path = Path(text)
    if path.exists() or path.is_symlink():
        raise typer.BadParameter(f"{path} is there already; name a new file, or move that one away")
    return path


_File = Annotated[
    Path, typer.Argument(metavar="FILE", help="A ticket file, as lottery ticket save writes it.")
]


@app.command()
def save(
    run: options.RunName,
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", parser=_new_file, help="The file to write, such as ticket.safetensors."
        ),
    ],
    level: Annotated[
        int | None,
        options.whole(
            help="Which level; if not given, the smallest that is confirmed, or else matches."
        ),
    ] = None,
    replicate: Annotated[
        int | None,
        options.whole(
            help="Which replicate, from 0; if not given, the first that has the level.", metavar="R"
        ),
    ] = None,
    out: options.Out = Path("runs"),
    debug: options.Debug = False,
) -> None:
    """Write a ticket of a run as one small file.

    Masks as bits, the weights that survive, and where it is from.

    \b
    Examples:
      lottery ticket save demo ticket.safetensors
      lottery ticket save demo other.safetensors --level 2
    """
    del debug
    load()
    from lottery.experiments import open_run

    ticket = open_run(run, out).ticket(level, replicate)
    ticket.save(file)
    said = ticket.provenance
    which = f"level {said['level']} ({said['picked']}), replicate {said['replicate']}"
    size, dense = file.stat().st_size, _dense_bytes(ticket)
    echo(f"{file}: {which}: {_kept(ticket)}")
    echo(f"{size:,} bytes; the dense weights are {dense:,}")


@app.command()
def inspect(file: _File, as_json: options.Json = False, debug: options.Debug = False) -> None:
    """Show what a ticket file holds.

    Also where it says it is from. Nothing that the file names is imported or run.

    \b
    Example:
      lottery ticket inspect ticket.safetensors
    """
    del debug
    load()
    from lottery.tickets import Ticket

    ticket = Ticket.load(file)
    if as_json:
        echo(json.dumps({**_as_json(ticket), "provenance": dict(ticket.provenance)}, indent=2))
        return
    echo(f"{file}: a ticket that keeps {_kept(ticket)}")
    for name, value in ticket.provenance.items():
        echo(f"  {name}: {_format_value(value)}")
    echo(f"  iteration: {ticket.iteration:,} (where its training starts)")
    _print_layers(ticket)
    whole = [name for name in ticket.weights if name not in ticket.mask]
    if whole:
        echo(f"kept whole: {', '.join(whole)}")


@app.command()
def verify(file: _File, debug: options.Debug = False) -> None:
    """Check a ticket file.

    Every field, size and value, and the contents against their hash. A hash says that nothing
    was changed by accident; it does not say who wrote the file.

    \b
    Example:
      lottery ticket verify ticket.safetensors
    """
    del debug
    load()
    from lottery.tickets import Ticket

    # Reading checks all that there is to check.
    echo(f"{file} is whole: a ticket that keeps {_kept(Ticket.load(file))}")


@app.command()
def apply(
    file: _File,
    output: Annotated[
        Path,
        typer.Argument(
            metavar="OUT", parser=_new_file, help="The file to write, such as model.safetensors."
        ),
    ],
    model: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="The network, see lottery list models; inspect says the file's."
        ),
    ],
    input_shape: Annotated[
        str | None,
        typer.Option(metavar="N,N,N", help="Shape of one example, where the file does not say it."),
    ] = None,
    classes: Annotated[
        int | None,
        options.whole(help="Number of classes, where the file does not say it."),
    ] = None,
    debug: options.Debug = False,
) -> None:
    """Write a network's weights with a ticket.

    A state dict, in which pruned weights are zero. Read it with safetensors.torch.load_file and
    load_state_dict.

    \b
    Example:
      lottery ticket apply t.safetensors out --model mlp-9
    """
    del debug
    load()
    import torch

    from lottery.errors import UsageError
    from lottery.models import build_model
    from lottery.store.commit import write_file
    from lottery.store.tensors import pack_tensors
    from lottery.store.ticket_header import PROVENANCE
    from lottery.tickets import Ticket

    ticket = Ticket.load(file)
    said = ticket.provenance
    shape = _shape(input_shape) or said.get("input_shape")
    classes = said.get("classes") if classes is None else classes
    if shape is None or classes is None:
        raise UsageError(f"{file} does not say them: give --input-shape and --classes")
    for name, value in (("input_shape", shape), ("classes", classes)):
        if not (kind := PROVENANCE[name]).fits(value):
            option = name.replace("_", "-")
            raise UsageError(f"--{option}: expected {kind.expected}, got {str(value)[:80]}")
    # Names, shapes and types are enough to compare, and cost no memory, whatever a file says.
    with torch.device("meta"):
        ticket.check_state(build_model(model, shape, classes))
    write_file(output, pack_tensors(ticket.start()))
    pruned = "zero" if ticket.pruned is None else "at the values that the ticket holds them at"
    echo(f"{output}: {_kept(ticket)} kept; pruned ones are {pruned}")


@app.command()
def diff(
    first: _File, second: _File, as_json: options.Json = False, debug: options.Debug = False
) -> None:
    """Compare two tickets.

    Masks against chance, weights, and where they are from.

    \b
    Example:
      lottery ticket diff ticket.safetensors other.safetensors
    """
    del debug
    load()
    from lottery.cli.tables import print_table
    from lottery.tickets import Ticket, ticket_difference

    found = ticket_difference(Ticket.load(first), Ticket.load(second))
    if as_json:
        echo(json.dumps(asdict(found), indent=2))
        return
    if found.is_none:
        echo("masks and weights are the same")
    if found.layers:
        print_table(
            [
                {
                    "layer": name,
                    "first": layer.first,
                    "second": layer.second,
                    "both": layer.both,
                    "chance": round(layer.by_chance),
                    "z": None if layer.z is None else f"{layer.z:+.1f}",
                    "equal": layer.equal,
                    "same sign": layer.same_sign,
                }
                for name, layer in found.layers.items()
            ]
        )
        echo(
            "first, second: weights kept; chance: kept in both if each mask were drawn at random; "
            "z: how far from that, in standard deviations; equal, same sign: of those kept in both"
        )
    for name, how in found.unlike.items():
        echo(f"{name}: {how}")
    for name, (ours, theirs) in found.provenance.items():
        echo(f"{name}: {_format_value(ours)} in the first, {_format_value(theirs)} in the second")


def _format_value(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return "not said" if value is None else str(value)


def _shape(text: str | None) -> Sequence[int] | None:
    return [options.whole_number(part) for part in text.split(",")] if text else None


def _kept(ticket: Ticket) -> str:
    mask = ticket.mask
    return f"{mask.kept:,} of {mask.total:,} weights ({mask.density:.2%})"


def _dense_bytes(ticket: Ticket) -> int:
    return sum(value.numel() * value.element_size() for value in ticket.weights.values())


def _as_json(ticket: Ticket) -> dict[str, Any]:
    mask = ticket.mask
    return {
        "weights_kept": mask.kept,
        "weights_total": mask.total,
        "density": mask.density,
        "iteration": ticket.iteration,
        "layers": mask.layers,
        "kept_whole": [name for name in ticket.weights if name not in mask],
        "pruned_weights_are_zero": ticket.pruned is None,
    }


def _print_layers(ticket: Ticket) -> None:
    from lottery.cli.tables import print_table

    print_table(
        [
            {
                "layer": name,
                "shape": " x ".join(map(str, ticket.mask[name].shape)),
                "type": str(ticket.weights[name].dtype).removeprefix("torch."),
                "kept": kept,
                "of": total,
                "density": f"{kept / total:.2%}",
            }
            for name, (kept, total) in ticket.mask.layers.items()
        ]
    )
