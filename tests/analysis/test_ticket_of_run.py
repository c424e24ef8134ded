"""Which of a run's tickets is taken where none is asked for."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import pytest
import torch
from made_up_results import job, judged, simulated
from torch import Tensor, nn

import lottery
from lottery.analysis.ticket_of_run import pick_level
from lottery.errors import UsageError
from lottery.store import MAIN, JobKey
from lottery.store.ticket_file import pack_ticket_file
from lottery.tickets import PruneConfig, Ticket

WINS, FAILS, LOSES = (0.002, -3000.0), (-0.02, 3000.0), (-0.02, 3000.0)


@pytest.mark.parametrize(
    ("results", "settings", "words"),
    [
        (
            simulated(1, replicates=6, levels=2, ticket=WINS, reinit=FAILS),
            {},
            "the smallest that is confirmed",
        ),
        (
            simulated(1, replicates=6, levels=2, ticket=WINS, reinit=WINS),
            {},
            "the smallest that wins by the tests",
        ),
        (
            simulated(1, replicates=6, levels=2, ticket=WINS, reinit=FAILS),
            {"rewind": "learning-rate"},
            "the smallest that matches by the tests",
        ),
        (
            simulated(1, replicates=1, levels=2, ticket=WINS, reinit=FAILS),
            {},
            "the smallest that wins on the means",
        ),
        (
            simulated(1, replicates=4, levels=2, ticket=(0.0, 3000.0)),
            {},
            "the smallest that matches on the means",
        ),
    ],
)
def test_the_smallest_of_the_best_supported(
    results: list[object], settings: dict[str, str], words: str
) -> None:
    assert pick_level(judged(results, **settings)) == (2, words)  # type: ignore[arg-type]


def test_the_best_where_none_matches() -> None:
    results = [job(0, "main", 0, 0.98), job(0, "main", 1, 0.94), job(0, "main", 2, 0.9)]
    assert pick_level(judged(results)) == (1, "the best, though none matches")


def test_none_where_nothing_was_learned() -> None:
    with pytest.raises(UsageError, match="none can be picked"):
        pick_level(judged([job(0, "main", 0), job(0, "main", 1, status="diverged")]))


class AlikeAtFirst(nn.Module):
    """A tied weight, a copy of it that is trained by itself, and a buffer with its first values."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(6, 6, bias=False)
        self.again = nn.Linear(6, 6, bias=False)
        self.again.weight = self.first.weight
        self.second = deepcopy(self.first)
        self.register_buffer("initial", self.first.weight.detach().clone())

    def forward(self, inputs: Tensor) -> Tensor:
        for layer in (self.first, self.second, self.again):
            inputs = torch.relu(layer(inputs))
        return inputs


def test_a_tied_weight_is_one_and_a_copy_that_begins_alike_is_not(tmp_path: Path) -> None:
    inputs, targets = torch.randn(16, 6), torch.arange(16) % 6

    def train(model: nn.Module) -> None:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(inputs), targets).backward()
            optimizer.step()

    run = lottery.find_tickets(
        AlikeAtFirst,
        train,
        lambda model: (model(inputs).argmax(1) == targets).float().mean(),
        levels=1,
        replicates=1,
        verbose=False,
        prune=PruneConfig(leave_out=("second.*",)),
    )
    ticket = run.ticket(1)
    ticket.save(tmp_path / "t.safetensors")
    back = Ticket.load(tmp_path / "t.safetensors")
    kept = ticket.mask["first.weight"]
    assert [*ticket.mask] == ["first.weight"]
    assert not kept.all()
    for name in ("second.weight", "initial"):
        assert torch.equal(back.weights[name], run.store.ticket(JobKey(0, MAIN, 1)).weights[name])
    assert back.weights["again.weight"] is back.weights["first.weight"]
    assert torch.equal(back.weights["first.weight"], ticket.weights["first.weight"] * kept)
    assert pack_ticket_file(back) == pack_ticket_file(ticket)
    assert back.apply_to(AlikeAtFirst()) == ticket.mask
