"""Kernels and threads of the linear algebra below NumPy and SciPy."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Mapping

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import lottery.blas
from lottery.blas import blas_kernels, one_blas_thread, prefer_kernels

AVX512 = "avx512f avx512dq avx512cd avx512bw avx512vl"


def threads() -> set[int]:
    blas_kernels()  # loads SciPy's
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def variables() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith("OPENBLAS_")}


@pytest.fixture
def before_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a process that has not loaded NumPy, and whose user has set nothing."""
    environment = {n: v for n, v in os.environ.items() if not n.startswith("OPENBLAS_")}
    monkeypatch.setattr(os, "environ", environment)
    monkeypatch.delitem(sys.modules, "numpy")


def processor(monkeypatch: pytest.MonkeyPatch, flags: str) -> None:
    monkeypatch.setattr(lottery.blas, "_processor_flags", lambda: frozenset(flags.split()))


@pytest.mark.usefixtures("before_numpy")
@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (f"fpu {AVX512} avx512_vnni", {"OPENBLAS_CORETYPE": "SkylakeX"}),
        (AVX512.removesuffix(" avx512vl"), {}),
        ("fpu avx2", {}),
        ("", {}),
    ],
)
def test_kernels_are_asked_for_where_the_processor_has_them(
    monkeypatch: pytest.MonkeyPatch, flags: str, expected: Mapping[str, str]
) -> None:
    processor(monkeypatch, flags)
    prefer_kernels()
    assert variables() == {"OPENBLAS_NUM_THREADS": "1", **expected}


@pytest.mark.usefixtures("before_numpy")
def test_what_the_user_has_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    processor(monkeypatch, AVX512)
    chosen = {"OPENBLAS_NUM_THREADS": "3", "OPENBLAS_CORETYPE": "Haswell"}
    os.environ.update(chosen)
    prefer_kernels()
    assert variables() == chosen


def test_nothing_is_set_once_it_is_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "numpy" in sys.modules
    processor(monkeypatch, AVX512)
    before = variables()
    prefer_kernels()
    assert variables() == before


def test_a_system_that_does_not_say_has_no_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*arguments: object, **options: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr("builtins.open", missing)
    assert lottery.blas._processor_flags() == frozenset()


def test_one_thread_inside_and_as_before_outside() -> None:
    with threadpool_limits(limits=2, user_api="blas"):
        with one_blas_thread():
            assert threads() <= {1}
            np.ones((200, 200)) @ np.ones((200, 200))
        assert threads() <= {2}


def test_it_holds_until_the_last_thread_leaves() -> None:
    entered, leave = threading.Event(), threading.Event()

    def inside() -> None:
        with one_blas_thread():
            entered.set()
            assert leave.wait(600)

    other = threading.Thread(target=inside)
    with threadpool_limits(limits=2, user_api="blas"):
        before = threads()
        with one_blas_thread():
            other.start()
            assert entered.wait(600)
        assert threads() <= {1}
        leave.set()
        other.join()
        assert threads() == before


def test_the_kernels_have_a_name() -> None:
    assert blas_kernels()
    assert {pool.get("architecture", "") for pool in threadpool_info()} & {"", blas_kernels()}


@pytest.mark.skipif(
    not lottery.blas._processor_flags() >= set(AVX512.split()),
    reason="this processor has no AVX-512",
)
def test_the_command_asks_before_anything_is_loaded() -> None:
    code = (
        "import os, sys; sys.argv = ['lottery', '--version']\n"
        "from lottery.cli.main import main\n"
        "assert 'numpy' not in sys.modules\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "from lottery.blas import blas_kernels\n"
        "print(blas_kernels(), os.environ['OPENBLAS_NUM_THREADS'])"
    )
    environment = {n: v for n, v in os.environ.items() if not n.startswith("OPENBLAS_")}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "SkylakeX 1"
