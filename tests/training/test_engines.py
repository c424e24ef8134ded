"""Which engine trains: by name, or the fastest that can."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import numba
import pytest
import torch
from torch import nn

from lottery.errors import MissingPackageError, UsageError
from lottery.models import build_model
from lottery.training import ENGINES, Engine, TrainingConfig, make_engine, refused_engines
from lottery.training.engines.torch_engine import TorchEngine

CPU = torch.device("cpu")
MODEL = build_model("mlp-5", (1, 4, 4), 3)
CONFIG = TrainingConfig(batch_size=7)


class Picky(TorchEngine):
    """Takes batches of 7 only."""

    name = "picky"

    def refusal(self, model: nn.Module, config: TrainingConfig) -> str | None:
        assert model is MODEL
        return None if config.batch_size == 7 else "seven at a time"


def not_installed(device: torch.device) -> Engine:
    raise MissingPackageError("the engine sparse_cpu", "numba")


@pytest.fixture
def fast(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[torch.device], Engine]], None]:
    """Put another engine in the place of the fastest."""
    return lambda engine: monkeypatch.setitem(ENGINES, "sparse_cpu", engine)


def test_auto_is_the_first_that_can(fast: Callable[[object], None]) -> None:
    fast(Picky)
    assert make_engine("auto", CPU, model=MODEL, config=CONFIG).name == "picky"
    assert make_engine("auto", CPU, model=MODEL).name == "torch"


def test_what_auto_passes_over_is_told_with_the_reason(fast: Callable[[object], None]) -> None:
    fast(Picky)
    assert refused_engines(CPU, MODEL, CONFIG) == {}
    assert refused_engines(CPU, MODEL, TrainingConfig()) == {"sparse_cpu": "seven at a time"}
    fast(not_installed)
    assert "numba" in refused_engines(CPU, MODEL, CONFIG)["sparse_cpu"]


def test_without_a_model_auto_is_the_engine_that_trains_any(fast: Callable[[object], None]) -> None:
    fast(Picky)
    assert make_engine("auto", CPU).name == "torch"
    assert make_engine("sparse_cpu", CPU).name == "picky"


def test_an_engine_that_refuses_says_why_and_what_to_do(fast: Callable[[object], None]) -> None:
    fast(Picky)
    assert make_engine("sparse_cpu", CPU, model=MODEL, config=CONFIG).name == "picky"
    with pytest.raises(UsageError, match=r"'sparse_cpu'.*seven at a time.*--engine auto"):
        make_engine("sparse_cpu", CPU, model=MODEL)


def test_an_engine_that_is_not_installed_is_passed_over_or_named(
    fast: Callable[[object], None],
) -> None:
    fast(not_installed)
    assert make_engine("auto", CPU, model=MODEL, config=CONFIG).name == "torch"
    with pytest.raises(MissingPackageError, match="pip install numba"):
        make_engine("sparse_cpu", CPU, model=MODEL, config=CONFIG)


def test_without_numba_torch_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(sys.modules):
        if name.startswith("lottery.training.engines.sparse_cpu"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "numba", None)
    assert make_engine("auto", CPU, model=MODEL).name == "torch"
    with pytest.raises(MissingPackageError, match="the engine sparse_cpu needs the package numba"):
        make_engine("sparse_cpu", CPU)


def test_with_compilation_turned_off_torch_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    assert make_engine("auto", CPU, model=MODEL).name == "torch"
    assert "NUMBA_DISABLE_JIT" in refused_engines(CPU, MODEL, CONFIG)["sparse_cpu"]
    with pytest.raises(UsageError, match="NUMBA_DISABLE_JIT turns off here; unset that"):
        make_engine("sparse_cpu", CPU, model=MODEL)


def test_with_a_numba_that_fails_to_load_torch_trains() -> None:
    code = (
        "import torch, lottery.training as training\n"
        "from lottery.errors import UsageError\n"
        "from lottery.models import build_model\n"
        "model, cpu = build_model('mlp-5', (1, 4, 4), 3), torch.device('cpu')\n"
        "assert training.make_engine('auto', cpu, model=model).name == 'torch'\n"
        "try: training.make_engine('sparse_cpu', cpu)\n"
        "except UsageError as error: print(error)\n"
    )
    environment = {**os.environ, "NUMBA_NUM_THREADS": "0"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert "fails to load with ValueError" in done.stdout
    assert "NUMBA_" in done.stdout


def test_fully_connected_networks_on_the_cpu_get_the_sparse_engine() -> None:
    assert make_engine("auto", CPU, model=MODEL).name == "sparse_cpu"
    convolutional = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3))
    assert make_engine("auto", CPU, model=convolutional).name == "torch"
    assert make_engine("auto", torch.device("meta"), model=MODEL).name == "torch"
    with pytest.raises(UsageError, match="meta"):
        make_engine("sparse_cpu", torch.device("meta"), model=MODEL)


def test_data_that_are_augmented_go_to_an_engine_that_does_it() -> None:
    assert make_engine("auto", CPU, model=MODEL, needs=["augments"]).name == "torch"
    assert make_engine("torch", CPU, model=MODEL, needs=["augments"]).name == "torch"
    with pytest.raises(UsageError, match=r"'sparse_cpu'.*data.augmentation is set.*--engine auto"):
        make_engine("sparse_cpu", CPU, model=MODEL, needs=["augments"])


def test_torch_alone_never_loads_numba() -> None:
    code = (
        "import sys, torch, lottery.training as training\n"
        "training.make_engine('torch', torch.device('cpu'))\n"
        "assert len(training.ENGINES) > 1\n"
        "sys.exit('numba' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_setting_that_the_sparse_engine_lacks_goes_to_torch() -> None:
    smoothed = TrainingConfig(label_smoothing=0.1)
    assert make_engine("auto", CPU, model=MODEL, config=smoothed).name == "torch"
    with pytest.raises(UsageError, match="'sparse_cpu' cannot train this: it has no label smooth"):
        make_engine("sparse_cpu", CPU, model=MODEL, config=smoothed)


def test_a_setting_that_fits_no_engine_is_refused() -> None:
    channels_last = TrainingConfig(channels_last=True)
    with pytest.raises(UsageError, match=r"no engine can train this: training\.channels_last"):
        make_engine("auto", CPU, model=MODEL, config=channels_last)
    with pytest.raises(UsageError, match=r"'torch' cannot train this: training\.channels_last"):
        make_engine("torch", CPU, model=MODEL, config=channels_last)
