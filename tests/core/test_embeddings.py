"""Networks that begin with an embedding can be tried out with any numbers."""

from __future__ import annotations

import pytest
import torch
from own_sources import BagOfTokens

from lottery.core import Mask, prunable_weights, signal_passes
from lottery.core.embeddings import any_numbers_as_tokens
from lottery.core.multiplications import weight_uses


def test_numbers_are_spread_over_the_vocabulary_for_the_time_of_the_block() -> None:
    model = BagOfTokens(2)
    numbers = torch.tensor([[-9.0, 0.5, 1.0, 1.4999, 9.0]])

    with any_numbers_as_tokens(model):
        found = model.embedding(numbers)
        whole = model.embedding(torch.tensor([[0, 0, 10, 19, 19]]))

    assert torch.equal(found, whole)
    assert torch.equal(found, model.embedding.weight[[0, 0, 10, 19, 19]].abs()[None])
    with pytest.raises(RuntimeError):
        model.embedding(numbers)


@pytest.mark.parametrize("emptied", ["", "hidden.weight", "output.weight"])
def test_whether_a_signal_passes(emptied: str) -> None:
    model = BagOfTokens(2)
    weights = prunable_weights(model)
    assert set(weights) == {"hidden.weight", "output.weight"}
    mask = Mask({name: torch.full(w.shape, name != emptied) for name, w in weights.items()})

    assert signal_passes(model, mask, (6,)) == (not emptied)


def test_multiplications_are_counted() -> None:
    assert weight_uses(BagOfTokens(2), (6,)) == {"hidden.weight": 1, "output.weight": 1}
