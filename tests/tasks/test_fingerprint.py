"""What a function depends on is seen, told in words where it changes, and the same elsewhere."""

from __future__ import annotations

import functools
import importlib.util
import json
import subprocess
import sys
import textwrap
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from own_loops import own_task
from torch import nn
from torch.utils.data import TensorDataset

from lottery.errors import UsageError
from lottery.tasks.fingerprint import describe, difference, not_covered

SCRIPT = '''
import numpy as np
import torch
import torch.nn.functional as F

LR = 0.1
NAMES = {"optimizer": "adam", "betas": (0.9, 0.99)}
DATA = torch.arange(6.0)
TABLE = np.arange(4)

class Net(torch.nn.Module):
    width = 8

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(2, self.width)

    def forward(self, x):
        return F.relu(self.layer(x))

def helper(x):
    """What it does."""
    return x * 2  # twice

def make_step(factor):
    def step(x):
        return x * factor + helper(x)
    return step

step = make_step(3)

def train(model, epochs=5, *, clip=None):
    net = Net()
    for _ in range(epochs):
        model(step(DATA) * LR, NAMES, TABLE)
    return net
'''


def module_of(text: str, folder: Path, name: str = "scripted") -> ModuleType:
    path = folder / f"{name}.py"
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Compiled code that is kept is taken for that of any file of the same second and size.
    with patch.object(sys, "dont_write_bytecode", True):
        spec.loader.exec_module(module)
    return module


def described(text: str, folder: Path, name: str = "train") -> Any:
    return describe(getattr(module_of(text, folder), name))


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("LR = 0.1", "LR = 0.2", ["train: LR, which train uses, was 0.1 and is 0.2"]),
        ("(0.9, 0.99)", "(0.9, 0.98)", ["train: NAMES, which train uses, changed"]),
        ('"adam"', '"sgd"', ["train: NAMES, which train uses, changed"]),
        ("arange(6.0)", "arange(7.0)", ["train: DATA, which train uses, changed"]),
        ("np.arange(4)", "np.arange(4) * 2", ["train: TABLE, which train uses, changed"]),
        ("x * 2", "x * 3", ["train: the code of helper changed"]),
        ("F.relu", "F.gelu", ["train: the code of Net.forward changed"]),
        ("width = 8", "width = 9", ["train: width, which Net uses, was 8 and is 9"]),
        ("make_step(3)", "make_step(4)", ["factor, which make_step.<locals>.step uses, was 3 and"]),
        ("epochs=5", "epochs=6", ["default 0, which train uses, was 5 and is 6"]),
        ("clip=None", "clip=1", ["default clip, which train uses, was None and is 1"]),
        ("return net", "return None", ["train: the code of train changed"]),
    ],
)
def test_what_changes_is_seen_and_told(old: str, new: str, told: list[str], tmp_path: Path) -> None:
    assert old in SCRIPT
    before = {"train": described(SCRIPT, tmp_path)}
    found = difference(before, {"train": described(SCRIPT.replace(old, new), tmp_path)})
    assert all(any(phrase in one for one in found) for phrase in told), found
    json.dumps(before, allow_nan=False)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# twice", "# by two"),
        ('"""What it does."""', '"""Doubles."""'),
        ("x * 2 ", "(x  *  2) "),
        ("LR = 0.1", "LR = 0.1\nOTHER = 3"),
        ("return x * 2", "\n\n    return x * 2"),
    ],
)
def test_what_means_nothing_is_not_told(old: str, new: str, tmp_path: Path) -> None:
    assert old in SCRIPT
    other = SCRIPT.replace(old, new)
    assert described(SCRIPT, tmp_path) == described(other, tmp_path)


def test_source_is_taken_where_it_is_what_runs(tmp_path: Path) -> None:
    code = described(SCRIPT, tmp_path)["code"]
    plain = {"train", "helper", "make_step.<locals>.step", "Net.__init__", "Net.forward"}
    assert {name for name, one in code.items() if "source" in one} == {*plain, "Net"}
    module = module_of(SCRIPT, tmp_path)
    # Edited after it was imported: the file no longer says what runs.
    (tmp_path / "scripted.py").write_text(SCRIPT.replace("x * 2", "x * 5"), encoding="utf-8")
    edited = describe(module.train)["code"]
    assert "bytecode" in edited["helper"]
    assert "source" in edited["train"]


def test_lambdas_in_one_line_are_told_apart() -> None:
    one, other = lambda x: x + 1, lambda x: x + 2
    assert describe(one) != describe(other)
    assert describe(one) == describe(lambda x: x + 1)


def test_partials_methods_and_decorators_are_looked_into(tmp_path: Path) -> None:
    def of(value: Any) -> str:
        return json.dumps(describe(value), sort_keys=True)

    module = module_of(SCRIPT, tmp_path)
    assert of(functools.partial(module.helper, 3)) != of(functools.partial(module.helper, 4))
    assert of(functools.partial(module.train, clip=3)) != of(functools.partial(module.train))
    assert of(module.Net().forward) != of(module.helper)
    cached = functools.lru_cache(module.helper)
    assert of(cached) != of(functools.lru_cache(module.step))
    assert of(torch.no_grad()(module.helper)) != of(torch.no_grad()(module.step))


def test_a_model_and_a_dataset_are_known_by_their_numbers() -> None:
    def using(value: Any) -> Any:
        def train() -> Any:
            return value

        return describe(train)

    model = nn.Linear(2, 2)
    before = using(model)
    assert before == using(model)
    with torch.no_grad():
        model.weight += 1
    assert before != using(model)
    assert using(TensorDataset(torch.ones(2))) != using(TensorDataset(torch.zeros(2)))
    assert using(SimpleNamespace(lr=1)) != using(SimpleNamespace(lr=2))
    assert using({2, 1}) == using({1, 2})
    assert using(np.float32(1)) != using(np.float32(2))


def test_functions_that_call_each_other_come_to_an_end(tmp_path: Path) -> None:
    text = """
    def even(n):
        return n == 0 or odd(n - 1)

    def odd(n):
        return n != 0 and even(n - 1)

    LOOP = [1]
    LOOP.append(LOOP)

    def train(model):
        return even(LOOP)
    """
    assert {*described(text, tmp_path)["code"]} == {"train", "even", "odd"}


def test_what_a_module_of_ones_own_gives_is_looked_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own_helpers.py").write_text("RATE = 1\ndef double(x):\n    return 2 * x\n")
    text = "import own_helpers\ndef train(m):\n    return own_helpers.double(own_helpers.RATE)\n"
    before = described(text, tmp_path)
    module = sys.modules.pop("own_helpers")
    vars(module)["RATE"] = 2
    sys.modules["own_helpers"] = module
    (changed,) = difference({"train": before}, {"train": described(text, tmp_path)})
    assert changed == "train: own_helpers.RATE, which train uses, was 1 and is 2"
    del sys.modules["own_helpers"]


def test_what_is_not_covered_is_listed(tmp_path: Path) -> None:
    text = """
    import io, logging, os, re, threading
    LOG = io.StringIO()
    LOGGER, PATTERN = logging.getLogger(), re.compile("x")
    LOCK = threading.Lock()
    def train(model):
        LOG.write("x")
        LOGGER.info(PATTERN)
        return LOCK, os.environ
    """
    found = described(text, tmp_path)
    assert not_covered(found) == ["LOG (StringIO)", "LOCK (lock)"]
    task = own_task(train=module_of(text, tmp_path).train)
    assert task.not_covered == ["train: LOG (StringIO)", "train: LOCK (lock)"]
    assert own_task(train=module_of(text, tmp_path).train, fingerprint="v1").not_covered == []


def test_secrets_are_not_written_down(tmp_path: Path) -> None:
    text = 'KEY = "hunter2"\ndef train(model):\n    return KEY\n'
    assert "hunter2" not in json.dumps(described(text, tmp_path))


def test_what_the_user_tells_is_part_of_it_or_stands_for_a_function() -> None:
    plain, told = own_task(), own_task(fingerprint={"data": "v1"})
    assert plain.fingerprint() != told.fingerprint()
    (changed,) = difference(told.fingerprint(), own_task(fingerprint={"data": "v2"}).fingerprint())
    assert changed == "fingerprint: was {'data': 'v1'} and is {'data': 'v2'}"
    # As it comes back from a file.
    assert own_task(fingerprint=(1, 2)).fingerprint()["fingerprint"] == [1, 2]
    with pytest.raises(UsageError, match="fingerprint: expected texts, numbers, and lists"):
        own_task(fingerprint=object())
    named = own_task(fingerprint={"train": "v1"})
    other = own_task(fingerprint={"train": "v1"}, train=lambda model: None)
    assert named.fingerprint() == other.fingerprint()
    assert named.origin() == other.origin()


def test_another_function_is_told_by_its_name() -> None:
    before = {"train": describe(own_task)}
    found = difference(before, {"train": describe(lambda model: None)})
    assert found[0] == "train: it was function own_task and is function " + (
        "test_another_function_is_told_by_its_name.<locals>.<lambda>"
    )


def test_initial_weights_do_not_depend_on_how_they_are_trained() -> None:
    other = own_task(train=lambda model: None)
    assert own_task().origin() == other.origin()
    assert own_task().fingerprint() != other.fingerprint()


def test_it_is_the_same_in_another_process_and_for_a_script(tmp_path: Path) -> None:
    ending = """
    import json, sys
    from lottery.tasks.fingerprint import describe
    if __name__ == "__main__":
        print(json.dumps(describe(train), sort_keys=True))
    """
    path = tmp_path / "script.py"
    path.write_text(SCRIPT + textwrap.dedent(ending), encoding="utf-8")
    outputs = {
        subprocess.run(
            [sys.executable, str(path)], capture_output=True, check=True, text=True
        ).stdout
        for _ in range(2)
    }
    (output,) = outputs
    assert json.loads(output) == json.loads(json.dumps(described(SCRIPT, tmp_path)))
