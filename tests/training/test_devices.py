"""What is set while a GPU trains; the settings themselves are there on any machine."""

from __future__ import annotations

import pytest
import torch

from lottery.training import deterministic_convolutions


def set_now() -> tuple[bool, bool, bool]:
    cudnn = torch.backends.cudnn
    return cudnn.deterministic, cudnn.benchmark, cudnn.allow_tf32


def test_convolutions_on_a_gpu_are_exact_and_in_one_order() -> None:
    before = set_now()
    with deterministic_convolutions(torch.device("cuda")):
        assert set_now() == (True, False, False)
        with deterministic_convolutions(torch.device("cuda", 0)):
            assert set_now() == (True, False, False)
    assert set_now() == before
    assert before != (True, False, False)


@pytest.mark.parametrize("device", ["cpu", "mps"])
def test_nothing_is_set_elsewhere(device: str) -> None:
    before = set_now()
    with deterministic_convolutions(torch.device(device)):
        assert set_now() == before
