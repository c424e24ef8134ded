"""``lottery ticket``: from a run to a file, and from there into a network."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch
from command import Cli
from small_run import SmallRun

from lottery.experiments import open_run
from lottery.models import build_model
from lottery.store import JobKey, Store
from lottery.tickets import Ticket


def saved(cli: Cli, run: SmallRun, *words: str) -> Path:
    code, out, err = cli("ticket", "save", run.path, "t.safetensors", "--level", "1", *words)
    assert (code, err) == (0, "")
    assert "level 1 (asked for), replicate 0:" in out
    return Path("t.safetensors")


def test_a_ticket_goes_from_a_run_into_a_network(cli: Cli, small_run: SmallRun) -> None:
    file = saved(cli, small_run)
    ticket, there = Ticket.load(file), Store(small_run.path).ticket(JobKey(0, "main", 1))
    assert ticket.mask == there.mask
    torch.testing.assert_close(ticket.start(), there.start(), rtol=0, atol=0)
    assert ticket.iteration == there.iteration == 5

    code, out, _ = cli("ticket", "apply", file, "m.safetensors", "--model", "mlp-4")
    assert code == 0
    assert f"{ticket.mask.kept} of {ticket.mask.total} weights" in out
    assert out.endswith("kept; pruned ones are zero\n")
    state = safetensors.torch.load_file("m.safetensors")
    model = build_model("mlp-4", (1, 4, 4), 4)
    model.load_state_dict(state)
    torch.testing.assert_close(dict(model.state_dict()), there.start(), rtol=0, atol=0)


def test_it_says_where_it_is_from(cli: Cli, small_run: SmallRun) -> None:
    file = saved(cli, small_run, "--replicate", "0")
    code, out, _ = cli("ticket", "inspect", file, "--json")
    assert code == 0
    told, run = json.loads(out)["provenance"], open_run(small_run.path)
    result, dense = run.results[JobKey(0, "main", 1)], run.results[JobKey(0, "main", 0)]
    assert (told["score"], told["dense_score"]) == (result.score, dense.score)
    assert told["density"] == result.density
    assert told["data_sha256"] == run.experiment["data"]["sha256"]
    assert told["identity"] == run.store.about(result.key)["identity"]
    assert (told["input_shape"], told["classes"]) == ([1, 4, 4], 4)
    assert told["verdict"] == run.verdict.headline
    assert (told["rewind"], told["pruned_weights"], told["engine"]) == ("weights", "zero", "torch")
    code, out, _ = cli("ticket", "inspect", file)
    assert code == 0
    assert "model: mlp-4" in out
    assert "fc1.weight" in out
    assert "kept whole: fc1.bias, output.bias" in out


def test_a_whole_file_and_a_damaged_one(cli: Cli, small_run: SmallRun) -> None:
    file = saved(cli, small_run)
    assert cli("ticket", "verify", file)[0] == 0
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    for words in (["verify"], ["inspect"], ["diff", str(file)]):
        code, out, err = cli("ticket", *words, file)
        assert (code, out) == (1, "")
        assert "is no whole ticket file" in err
    code, _, err = cli("ticket", "apply", file, "m.safetensors", "--model", "mlp-4")
    assert code == 1
    assert not Path("m.safetensors").exists()


def test_two_tickets_are_compared(cli: Cli, small_run: SmallRun) -> None:
    file = saved(cli, small_run)
    assert cli("ticket", "save", small_run.path, "dense", "--level", "0")[0] == 0
    code, out, _ = cli("ticket", "diff", file, file)
    assert code == 0
    assert "masks and weights are the same" in out
    code, out, _ = cli("ticket", "diff", "dense", file, "--json")
    layer = json.loads(out)["layers"]["fc1.weight"]
    assert layer["first"] == layer["total"] == 64
    assert layer["both"] == layer["second"] < 64
    code, out, _ = cli("ticket", "diff", "dense", file)
    assert "level: 0 in the first, 1 in the second" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["save", "RUN", "t.safetensors", "--level", "9"], "no ticket of level 9; it has"),
        (["save", "RUN", "t.safetensors", "--level", "1", "--replicate", "3"], "not 3"),
        (["save", "RUN", "there"], "is there already; name a new file"),
        (["save", "RUN", "t.safetensors"], "none can be picked; say which level"),
        (["save", "nothing", "t.safetensors"], "no run 'nothing'"),
        (["apply", "t", "m", "--model", "mlp-4"], "No such file"),
        (["apply", "FILE", "m", "--model", "mlp-5"], "(4, 16) in the ticket, float32 of shape (5,"),
        (["apply", "FILE", "m", "--model", "mlp"], "unknown model 'mlp'"),
        (["apply", "FILE", "m", "--model", "mlp-4", "--classes", "3"], "output.weight is float32"),
        (["apply", "FILE", "m", "--model", "mlp-4", "--input-shape", "a"], "a whole number"),
        (["apply", "FILE", "m", "--model", "mlp-4", "--input-shape", "-1,4"], "numbers from 1, of"),
        (
            ["apply", "FILE", "m", "--model", "mlp-4", "--classes", "0"],
            "--classes: expected a whole",
        ),
        (["apply", "FILE", "m", "--model", "mlp-4", "--classes", "9" * 20], "to 16,777,216, got 9"),
    ],
)
def test_a_mistake_is_one_message(
    cli: Cli, small_run: SmallRun, words: list[str], message: str
) -> None:
    Path("there").write_text("mine")
    places = {"RUN": str(small_run.path), "FILE": str(saved(cli, small_run))}
    Path("t.safetensors").rename("f.safetensors")
    places["FILE"] = "f.safetensors"
    code, _, err = cli("ticket", *(places.get(word, word) for word in words))
    assert code in (1, 2)
    assert message in err
    assert Path("there").read_text() == "mine"
    assert not Path("m").exists()
