"""Colours of kinds of trainings, as readers with each kind of colour blindness see them."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from lottery.analysis.controls import CONTROLS
from lottery.methods import CONTROL_KINDS

Vector = NDArray[np.float64]

# Machado, Oliveira and Fernandes 2009, severity 1, on linear RGB.
VISIONS = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
CORE = ("dense", "main", "reinit", "random-mask", "continued")
PAGES = {"light": "#ffffff", "dark": "#161a21"}


def linear(colour: str) -> Vector:
    values = np.array([byte / 255 for byte in bytes.fromhex(colour[1:])])
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def oklab(rgb: Vector) -> Vector:
    """Ottosson 2020: a space in which distances are those that are seen."""
    cones = np.array(
        [
            [0.4122214708, 0.5363325363, 0.0514459929],
            [0.2119034982, 0.6806995451, 0.1073969566],
            [0.0883024619, 0.2817188376, 0.6299787005],
        ]
    )
    axes = np.array(
        [
            [0.2104542553, 0.7936177850, -0.0040720468],
            [1.9779984951, -2.4285922050, 0.4505937099],
            [0.0259040371, 0.7827717662, -0.8086757660],
        ]
    )
    return np.asarray(axes @ np.cbrt(cones @ np.clip(rgb, 0, 1)))


def seen(kind: str, page: str, vision: str) -> Vector:
    return oklab(VISIONS[vision] @ linear(getattr(CONTROLS[kind], page)))


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize("page", PAGES)
def test_the_usual_kinds_differ_in_colour_for_everyone(page: str, vision: str) -> None:
    for one, other in combinations(CORE, 2):
        distance = np.linalg.norm(seen(one, page, vision) - seen(other, page, vision))
        assert distance > 0.07, (one, other)


@pytest.mark.parametrize("vision", VISIONS)
@pytest.mark.parametrize("page", PAGES)
def test_blue_is_the_tickets_alone(page: str, vision: str) -> None:
    for kind in CONTROLS:
        if kind != "main":
            distance = np.linalg.norm(seen(kind, page, vision) - seen("main", page, vision))
            assert distance > 0.07, kind


@pytest.mark.parametrize("page", PAGES)
def test_kinds_of_like_colours_have_other_marks(page: str) -> None:
    for one, other in combinations(CONTROL_KINDS, 2):
        distance = min(
            float(np.linalg.norm(seen(one, page, vision) - seen(other, page, vision)))
            for vision in VISIONS
        )
        if distance < 0.07:
            assert CONTROLS[one].symbol != CONTROLS[other].symbol


@pytest.mark.parametrize("kind", CONTROLS)
@pytest.mark.parametrize("page", PAGES)
def test_colours_stand_out_on_both_pages(kind: str, page: str) -> None:
    def luminance(colour: str) -> float:
        return float(np.array([0.2126, 0.7152, 0.0722]) @ linear(colour))

    low, high = sorted((luminance(getattr(CONTROLS[kind], page)), luminance(PAGES[page])))
    assert (high + 0.05) / (low + 0.05) >= 3


def test_every_kind_has_a_record_with_short_heads() -> None:
    assert list(CONTROLS) == ["dense", "main", *CONTROL_KINDS]
    for control in CONTROLS.values():
        assert max(map(len, control.column.split("\n"))) <= 8
        assert len({c.symbol for c in CONTROLS.values()}) >= len(CONTROL_KINDS) + 1
