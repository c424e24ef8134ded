"""Errors: one root, exit codes, and sentences that help."""

from __future__ import annotations

import inspect

from lottery import errors
from lottery.errors import ConfigError, LotteryError, MissingPackageError, unknown_name

CLASSES = [
    cls for cls in vars(errors).values() if inspect.isclass(cls) and issubclass(cls, LotteryError)
]


def test_one_root_for_all_classes_of_the_module() -> None:
    own = [
        cls for cls in vars(errors).values() if getattr(cls, "__module__", "") == errors.__name__
    ]

    assert [cls for cls in own if inspect.isclass(cls)] == CLASSES
    assert all(cls.__doc__ for cls in CLASSES)


def test_exit_codes_are_those_promised() -> None:
    codes = {cls.__name__: cls.exit_code for cls in CLASSES}

    assert codes == {
        "LotteryError": 1,
        "UsageError": 2,
        "ConfigError": 2,
        "DataError": 3,
        "JobsFailedError": 4,
        "MaskError": 1,
        "MissingPackageError": 1,
        "StoreError": 1,
        "Preempted": 75,
    }


def test_config_errors_list_every_problem() -> None:
    error = ConfigError(iter(["a: too big", "b: unknown"]), source="lenet.toml")

    assert error.problems == ("a: too big", "b: unknown")
    assert str(error) == "lenet.toml has 2 problems:\n  - a: too big\n  - b: unknown"
    assert str(ConfigError(["one"])) == "the config has 1 problem:\n  - one"


def test_unknown_names() -> None:
    near = unknown_name("model", "lenet-300-10", ["mlp", "lenet-300-100"])
    far = unknown_name("model", "zzz", ["mlp", "lenet-300-100"])

    assert near == (
        "unknown model 'lenet-300-10'; did you mean 'lenet-300-100'? Choices: lenet-300-100, mlp"
    )
    assert far == "unknown model 'zzz'. Choices: lenet-300-100, mlp"


def test_of_many_names_the_nearest_are_told_and_where_the_rest_are() -> None:
    known = ["conv-2", "lenet-300-100/mnist", "lenet-300-100/mnist/signs", *map(str, range(30))]
    for name, near in {
        "conv": "'conv-2'",
        "mnist": "'lenet-300-100/mnist' or 'lenet-300-100/mnist/signs'",
    }.items():
        said = unknown_name("recipe", name, known, listed_by="lottery list recipes")
        assert f"; did you mean {near}? lottery list recipes prints all 33" in said
    far = unknown_name("recipe", "zzz", known, listed_by="lottery list recipes")
    assert far == "unknown recipe 'zzz'. lottery list recipes prints all 33"


def test_a_missing_package_comes_with_what_installs_it() -> None:
    alone = MissingPackageError("the engine sparse_cpu", "numba")
    extra = MissingPackageError("the network timm:resnet18", "timm", extra="timm")

    assert str(alone) == "the engine sparse_cpu needs the package numba: pip install numba"
    assert str(extra).endswith("needs the package timm: pip install 'lottery[timm]'")
