"""Networks from elsewhere: what a name imports, when, and what is said if it fails."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from lottery.errors import MissingPackageError, UsageError
from lottery.models import build_model, check_model, glorot_normal_, is_outside

MODULE = '''
import torch
from torch import nn

class Scaled(nn.Module):
    """With a vector that no initialization sets."""
    def __init__(self, inputs, classes):
        super().__init__()
        self.gains = nn.Parameter(torch.rand(inputs))
        self.output = nn.Linear(inputs, classes)

    def forward(self, x):
        return self.output(self.gains * x.flatten(1))

def make(input_shape, classes):
    return Scaled(input_shape[0] * input_shape[1], classes)

class Nets:
    @staticmethod
    def make(input_shape, classes):
        assert type(input_shape) is tuple
        return nn.Sequential(nn.Flatten(), nn.Linear(6, classes))

number = 3

def fails(input_shape, classes):
    raise ValueError("expected\\n  images " + "x" * 1000)

def wants_more(input_shape, classes, depth):
    return nn.Identity()

def nothing(input_shape, classes):
    pass

def kind(input_shape, classes):
    return nn.Linear
'''


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a module of one's own, not yet imported."""
    package = tmp_path / "own_networks"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "small.py").write_text(MODULE)
    (package / "broken.py").write_text("def make(:\n")
    (package / "raising.py").write_text("raise RuntimeError('no such device')\n")
    (package / "needy.py").write_text("import package_that_is_nowhere\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "own_networks.small"
    for name in [name for name in sys.modules if name.startswith("own_networks")]:
        del sys.modules[name]


def test_a_function_of_ones_own_builds_the_network(module: str) -> None:
    model = build_model(f"{module}:make", [2, 3], 4)

    assert model(torch.zeros(5, 2, 3)).shape == (5, 4)
    assert isinstance(build_model(f"{module}:Nets.make", [2, 3], 4), nn.Sequential)


def test_checking_a_name_imports_nothing(module: str) -> None:
    assert check_model(f"{module}:make") is None
    assert check_model("own_networks.nowhere:make") is None
    assert not [name for name in sys.modules if name.startswith("own_networks")]


def test_what_no_initialization_sets_is_the_same_in_every_build(module: str) -> None:
    states = []
    for seed in (1, 2):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            before = torch.get_rng_state()
            model = build_model(f"{module}:make", (2, 3), 4)
            glorot_normal_(model, torch.Generator().manual_seed(0))
            assert torch.equal(before, torch.get_rng_state())
        states.append(model.state_dict())

    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "nowhere_at_all:make",
            r"nowhere_at_all cannot be imported: Module.*PYTHONPATH",
        ),
        ("own_networks.nowhere:make", r"own_networks.nowhere cannot be imported: Module"),
        ("own_networks.broken:make", r"own_networks.broken cannot be imported: Synt"),
        ("own_networks.raising:make", r"cannot be imported: RuntimeError: no such device"),
        (
            "own_networks.needy:make",
            r"cannot be imported: Module.*: No module named 'package_that_is",
        ),
        ("own_networks.small:mkae", r"own_networks.small has no 'mkae'; did you mean 'make'"),
        ("own_networks.small:Nets.mkae", r"own_networks.small has no 'Nets.mkae'"),
        ("own_networks.small:number", r"expected a function \(input_shape, classes\).*type int$"),
        ("own_networks.small:fails", r"\(2, 3\) and 4 classes failed with ValueError: expected im"),
        ("own_networks.small:wants_more", r"failed with TypeError: .* missing 1 required"),
        ("own_networks.small:nothing", r"expected it to return a torch.nn.Module, got None$"),
        ("own_networks.small:kind", r"return a torch.nn.Module, got an object of type type$"),
    ],
)
@pytest.mark.usefixtures("module")
def test_a_failure_is_told_in_one_line(name: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as caught:
        build_model(name, (2, 3), 4)

    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (":make", "expected a module and a function"),
        ("nets:", "expected a module and a function"),
        ("nets:make()", "expected a module and a function"),
        ("nets/small.py:make", "expected a module and a function"),
        ("nets..small:make", "expected a module and a function"),
        ("3nets:make", "expected a module and a function"),
        ("a:b:c", "expected a module and a function"),
        ("timm:", "expected a name without"),
        ("timm:resnet50.a1_in1k", "no published ones can be named"),
        ("torchvision:../x", "expected a name without"),
        ("hf:google/vit-base-patch16-224", "would need a download"),
    ],
)
def test_names_of_another_form_are_refused(name: str, said: str) -> None:
    assert said in (check_model(name) or "")
    with pytest.raises(UsageError, match=said):
        build_model(name, (3, 32, 32), 10)


def test_which_names_import_other_code() -> None:
    assert [is_outside(name) for name in ("a:b", "timm:x", "resnet-20")] == [True, True, False]


@pytest.mark.parametrize(
    ("name", "package", "extra"),
    [
        ("timm:resnet18", "timm", "timm"),
        ("torchvision:resnet18", "torchvision", "torchvision"),
        ("hf:vit", "transformers", "transformers"),
    ],
)
def test_a_missing_library_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, name: str, package: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)

    with pytest.raises(MissingPackageError) as caught:
        build_model(name, (3, 32, 32), 10)

    assert str(caught.value) == (
        f"the network {name} needs the package {package}: pip install 'lottery[{extra}]'"
    )
