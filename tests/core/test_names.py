"""Names of parameters in wrapped models."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from lottery.core import clean_name, clean_names
from lottery.errors import UsageError


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
    names = [name for name, _ in wrap(plain()).named_parameters()]

    assert names != [name for name, _ in plain().named_parameters()]
    assert [*clean_names(names)] == [name for name, _ in plain().named_parameters()]


@pytest.mark.parametrize("name", ["fc.weight", "encoder.module.weight", "weight", "module", ""])
def test_other_names_stay(name: str) -> None:
    assert clean_name(name) == name
    assert clean_name(clean_name(name)) == name


def test_two_parameters_of_one_clean_name_are_an_error() -> None:
    with pytest.raises(UsageError, match=r"'fc.weight' and 'module.fc.weight' are both"):
        clean_names(["fc.weight", "module.fc.weight"])
