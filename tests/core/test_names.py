"""Names of parameters in wrapped models."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from lottery.core import by_clean_name, clean_name, unwrapped


def plain() -> nn.Sequential:
    return nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))


def compiled(model: nn.Module) -> nn.Module:
    wrapped = torch.compile(model)
    assert isinstance(wrapped, nn.Module)
    return wrapped


# Importing the compiler warns of parts of torch itself.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    "wrap",
    [
        compiled,
        nn.DataParallel,
        AveragedModel,
        lambda model: compiled(nn.DataParallel(model)),
        lambda model: nn.DataParallel(compiled(model)),
        lambda model: nn.Sequential(*map(compiled, model)),
    ],
    ids=["compile", "data-parallel", "averaged", "both", "both-reversed", "compiled-layers"],
)
def test_a_wrapped_model_has_the_names_of_the_plain_one(
    wrap: Callable[[nn.Module], nn.Module],
) -> None:
    model = wrap(plain())
    parameters, expected = dict(model.named_parameters()), dict(plain().named_parameters())

    assert parameters.keys() != expected.keys()
    assert by_clean_name(parameters).keys() == expected.keys()


@pytest.mark.parametrize("name", ["fc.weight", "weight", "module", ""])
def test_other_names_stay(name: str) -> None:
    assert clean_name(name) == name
    assert clean_name(clean_name(name)) == name


def test_what_would_be_one_keeps_its_names() -> None:
    both = {"fc.weight": 1, "module.fc.weight": 2}
    assert by_clean_name(both) == both


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_model_inside_of_wrappers() -> None:
    model = plain()
    assert unwrapped(model) is model
    assert unwrapped(compiled(nn.DataParallel(model))) is model
    assert unwrapped(nn.DataParallel(compiled(model))) is model
    averaged = AveragedModel(model)
    assert unwrapped(averaged) is averaged
