"""Compiled networks: the same training, byte for byte after an interruption, or a plain error."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from lottery.errors import UsageError
from lottery.testing.expect import expect_close, expect_pruned, expect_same_result
from lottery.testing.properties import resumes
from lottery.testing.running import train, train_done
from lottery.testing.samples import (
    OPTIMIZERS,
    tiny_config,
    tiny_dataset,
    tiny_dropout_mlp,
    tiny_job,
)
from lottery.training import Length
from lottery.training.engines.torch_engine import TorchEngine

ENGINE = TorchEngine()
SGD = tiny_config(OPTIMIZERS["SGD with momentum"])
COMPILED = replace(SGD, compile=True)

Backend = Callable[[torch.fx.GraphModule, list[Tensor]], Callable[..., Any]]


def with_backend(monkeypatch: pytest.MonkeyPatch, backend: str | Backend) -> None:
    """Put another compiler in the place of torch's, which takes a while."""
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend=backend))


def test_the_graph_is_that_of_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiler that changes nothing changes nothing; it is given the network in training only."""
    shapes: list[tuple[int, ...]] = []

    def noting(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable[..., Any]:
        shapes.extend(tuple(tensor.shape) for tensor in inputs if tensor.dim() == 4)
        return graph.forward

    with_backend(monkeypatch, noting)
    job, plain = (tiny_job(config, snapshots_at=(0, 6)) for config in (COMPILED, SGD))

    expect_same_result(train_done(ENGINE, job), train_done(ENGINE, plain), "compiled")
    assert sorted(shapes) == [(3, 1, 3, 4), (8, 1, 3, 4)]


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler: g++")
# torch's compiler warns of parts of torch itself.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_torchs_own_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In batches of one size, since each takes seconds to compile."""
    # By default all processes of a user share one.
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    data = tiny_dataset(train=24)
    config = replace(COMPILED, length=Length(amount=3), averaging=0.5)
    plain, job = (
        tiny_job(replace(config, compile=compiled), data=data, snapshots_at=(0, 2))
        for compiled in (False, True)
    )

    result = train_done(ENGINE, job)

    expect_close(result.final, train_done(ENGINE, plain).final, 1e-5, "compiled")
    expect_pruned(result.final, job.mask, None, "compiled")
    for make_model in (job.make_model, tiny_dropout_mlp):
        resumes(ENGINE, tiny_job(config, make_model=make_model, data=data), "compiled")


class Undecided(nn.Module):
    """What it does depends on what it is given, which one graph cannot hold."""

    def __init__(self) -> None:
        super().__init__()
        self.output = nn.Linear(12, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.output(inputs.flatten(1))
        return outputs if float(outputs.sum()) > 0 else -outputs


def test_a_network_that_is_no_single_graph_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with_backend(monkeypatch, "eager")

    with pytest.raises(UsageError, match=r"could not be compiled here: .*compile = false"):
        train(ENGINE, tiny_job(COMPILED, make_model=Undecided))


def test_a_compiler_that_fails_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable[..., Any]:
        raise OSError("no C++ compiler was found")

    with_backend(monkeypatch, fails)

    with pytest.raises(UsageError, match=r"could not be compiled here: .*no C\+\+ compiler was"):
        train(ENGINE, tiny_job(COMPILED))


def test_a_platform_without_a_compiler_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*anything: Any, **settings: Any) -> None:
        raise RuntimeError("torch.compile is not supported on this Python")

    monkeypatch.setattr(torch, "compile", unsupported)

    with pytest.raises(UsageError, match=r"not supported on this Python\. Use training\.compile"):
        train(ENGINE, tiny_job(COMPILED))


def test_what_was_compiled_before_stands_in_nobodys_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a process may hold one graph, two sizes of batch take turns."""
    with_backend(monkeypatch, "eager")
    job = tiny_job(COMPILED)
    expected = train_done(ENGINE, tiny_job(SGD))

    with torch._dynamo.config.patch(recompile_limit=1):
        expect_same_result(train_done(ENGINE, job), expected, "with room for one graph")
