"""Signals: until the data are loaded they end the command, later they keep a checkpoint."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lottery.cli.signals import stop_on_signals
from lottery.errors import Preempted

BOTH = (signal.SIGTERM, signal.SIGINT)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Those of the test runner come back."""
    before = {number: signal.getsignal(number) for number in BOTH}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def interrupted(*numbers: signal.Signals) -> list[str]:
    """Be sent signals before anything is under way, all but the first while tidying up."""
    done: list[str] = []

    def load() -> None:
        try:
            with suppress(Exception):  # as around an image that may be damaged
                signal.raise_signal(numbers[0])
            done.append("went on")
        finally:
            for number in numbers[1:]:
                signal.raise_signal(number)
            done.append("tidied up")

    with pytest.raises(Preempted) as told, stop_on_signals():
        load()
    return [*done, str(told.value)]


@pytest.mark.parametrize("number", BOTH)
def test_until_data_are_loaded_a_signal_is_an_exception(number: signal.Signals) -> None:
    tidied, told = interrupted(number)
    assert tidied == "tidied up"
    assert told.startswith("before the first training. Run the same command again to go on: ")


@pytest.mark.parametrize("number", BOTH)
def test_a_sigterm_more_does_not_disturb_the_tidying(number: signal.Signals) -> None:
    assert interrupted(number, signal.SIGTERM)[0] == "tidied up"


@pytest.mark.parametrize("number", BOTH)
def test_later_a_signal_only_asks(
    number: signal.Signals, capfd: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(number)
    with stop_on_signals() as stop:
        stop.under_way = True
        assert not stop.is_set()
        signal.raise_signal(number)
        assert stop.is_set()
    assert "keep a checkpoint first" in capfd.readouterr().err
    assert signal.getsignal(number) is before


# A whole command, with images that take a quarter of a minute to decode.
SLOWLY = """
import sys, time
from lottery.data import images
decode = images.decode
def slowly(contents, size):
    time.sleep(0.1)
    return decode(contents, size)
images.decode = slowly
from lottery.cli.main import main
sys.argv = ["lottery", *sys.argv[1:]]
main()
"""
CONFIG = """
model = "mlp-4"
[data]
name = "folder:{place}"
validation = 10
[training]
batch_size = 10
length = {{ amount = 5 }}
"""


def images(place: Path, count: int) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (count, 8, 8, 3), dtype=np.uint8)
    for number, pixels in enumerate(colours):
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        path = place / ("cat", "dog")[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.getvalue())


@pytest.mark.parametrize("number", BOTH)
def test_while_images_are_decoded_a_signal_ends_the_command(
    tmp_path: Path, number: signal.Signals
) -> None:
    images(tmp_path / "pets", 400)
    config = tmp_path / "pets.toml"
    config.write_text(CONFIG.format(place=tmp_path / "pets"))
    command = subprocess.Popen(
        [sys.executable, "-c", SLOWLY, "run", str(config), "--out", str(tmp_path / "runs")],
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")},
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    with command:
        while command.poll() is None and not list((tmp_path / "cache").rglob(".*.part")):
            time.sleep(0.01)
        command.send_signal(number)
        _, said = command.communicate(timeout=1200)

    assert command.returncode == 75, said
    assert "stopped: before the first training. Run the same command again to go on" in said
    assert "Traceback" not in said
    left = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    # An empty lock stays: one that is removed while another process waits for it is two.
    assert [path for path in left if path.suffix != ".lock" or path.stat().st_size] == []
    assert not (tmp_path / "runs").exists()
