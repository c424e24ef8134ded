"""What a run records of what it was made with."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution, version

import pytest

from lottery.experiments import environment as module
from lottery.experiments.environment import environment

EXTRAS = ("torch-pruning", "timm", "torchvision", "transformers", "datasets")


@pytest.mark.parametrize("package", ["numba", "pillow", *EXTRAS])
def test_versions_are_those_installed(package: str) -> None:
    try:
        expected = distribution(package).version
    except PackageNotFoundError:
        expected = None
    assert environment()[package] == expected


def test_what_is_missing_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but what training needs is there."""

    def bare(package: str) -> str:
        if package not in ("lottery", "numpy", "scipy"):
            raise PackageNotFoundError(package)
        return version(package)

    monkeypatch.setattr(module, "version", bare)
    found = environment()
    assert [name for name, value in found.items() if value is None and name in EXTRAS] == [*EXTRAS]
    assert found["numba"] is found["pillow"] is None
    assert found["numpy"] == version("numpy")
