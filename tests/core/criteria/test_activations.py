"""What goes into layers and comes out, against loops and by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from probes import classes, context_of, draw, filled, network, some_mask
from torch import Tensor, nn

from lottery.core import CRITERIA, ScoreContext
from lottery.errors import UsageError


def first_layer(*, sizes: list[int] | None = None) -> tuple[ScoreContext, Tensor]:
    """A network of two layers and the outputs ``[9, 5]`` of its first, before the activation."""
    model = network(4, 5, 3)
    x = draw(9, 4)
    with torch.no_grad():
        hidden = model[0](x)  # type: ignore[index]
    return context_of(model, x, classes(9, 3), sizes=sizes), hidden


@pytest.mark.parametrize("sizes", [[9], [1, 8], [4, 5]])
def test_apoz_is_the_average_share_of_zeros(sizes: list[int]) -> None:
    context, hidden = first_layer(sizes=sizes)

    scores = CRITERIA["apoz"].score(context)["0.weight"]

    for unit in range(5):
        zeros = sum(max(float(hidden[n, unit]), 0.0) == 0.0 for n in range(9))
        assert scores[unit].tolist() == pytest.approx([1 - zeros / 9] * 4)
    assert scores.unique().numel() > 2


@pytest.mark.parametrize("sizes", [[9], [1, 8], [4, 5]])
def test_mean_activation(sizes: list[int]) -> None:
    context, hidden = first_layer(sizes=sizes)

    scores = CRITERIA["mean-activation"].score(context)["0.weight"]

    for unit in range(5):
        mean = sum(max(float(hidden[n, unit]), 0.0) for n in range(9)) / 9
        assert scores[unit].tolist() == pytest.approx([mean] * 4)


def test_activations_are_those_of_the_masked_network() -> None:
    context, _ = first_layer()
    context = replace(context, mask=some_mask(context.weights))
    assert context.probe is not None
    masked, bias = context.mask.apply(context.weights), context.probe.model.get_parameter("0.bias")
    hidden = F.linear(context.probe.batches[0][0], masked["0.weight"], bias.detach())

    scores = CRITERIA["mean-activation"].score(context)["0.weight"]

    torch.testing.assert_close(scores[:, 0], hidden.relu().mean(0))


class Convolutional(nn.Module):
    """A convolution that batch norm follows, one that nothing follows, a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(2, 4, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.conv2 = nn.Conv2d(4, 6, (3, 2), stride=2, padding=1, dilation=(1, 2), groups=2)
        self.output = nn.Linear(6, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = torch.relu(self.norm(self.conv1(inputs)))
        output: Tensor = self.output(torch.relu(self.conv2(hidden)).mean((2, 3)))
        return output


def convolutional(sizes: list[int]) -> tuple[ScoreContext, Convolutional, Tensor]:
    model = Convolutional()
    filled(model).eval()
    x = draw(6, 2, 5, 4)
    return context_of(model, x, classes(6, 3), sizes=sizes), model, x


@torch.no_grad()
def test_a_channel_is_looked_at_after_its_batch_norm_and_everywhere() -> None:
    context, model, x = convolutional([2, 4])
    after = torch.relu(model.norm(model.conv1(x)))
    then = torch.relu(model.conv2(after))

    mean = CRITERIA["mean-activation"].score(context)
    share = CRITERIA["apoz"].score(context)

    for name, outputs in (("conv1.weight", after), ("conv2.weight", then)):
        shape = context.weights[name].shape
        assert mean[name].shape == share[name].shape == shape
        each = outputs.transpose(0, 1).flatten(1)
        torch.testing.assert_close(mean[name][:, 0, 0, 0], each.mean(1))
        torch.testing.assert_close(share[name][:, 0, 0, 0], (each > 0).double().mean(1))


def test_wanda_by_hand() -> None:
    model = nn.Linear(2, 2, bias=False).double()
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0, -2.0], [0.5, 3.0]]))
    x = torch.tensor([[3.0, 0.0], [-4.0, 2.0], [0.0, 1.0]])

    scores = CRITERIA["wanda"].score(context_of(model, x, classes(3), sizes=[1, 2]))["weight"]

    # The inputs' norms are 5 and the root of 5.
    expected = torch.tensor([[1.0, 2.0], [0.5, 3.0]]) * torch.tensor([5.0, 5.0**0.5])
    torch.testing.assert_close(scores, expected.double())


@torch.no_grad()
def test_wanda_of_a_convolution_counts_the_patches_each_weight_meets() -> None:
    context, model, x = convolutional([1, 5])
    hidden = torch.relu(model.norm(model.conv1(x)))

    scores = CRITERIA["wanda"].score(context)

    patches = F.unfold(x, (3, 3), padding=1)  # [examples, channels * 9, positions]
    norms = patches.square().sum((0, 2)).sqrt().view(1, 2, 3, 3)
    weight = context.weights["conv1.weight"].abs()
    torch.testing.assert_close(scores["conv1.weight"], weight * norms)
    patches = F.unfold(hidden, (3, 2), stride=2, padding=1, dilation=(1, 2))
    of_group = patches.square().sum((0, 2)).sqrt().view(2, 2, 3, 2)
    norms = of_group.repeat_interleave(3, dim=0)  # three outputs a group
    weight = context.weights["conv2.weight"].abs()
    torch.testing.assert_close(scores["conv2.weight"], weight * norms)


def test_wanda_of_a_sequence_counts_every_position() -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 3)

        def forward(self, inputs: Tensor) -> Tensor:
            return self.fc(input=inputs).mean(1)  # type: ignore[no-any-return]

    x = draw(6, 5, 4)
    context = context_of(filled(Tokens()), x, classes(6, 3))

    scores = CRITERIA["wanda"].score(context)["fc.weight"]

    norms = x.square().sum((0, 1)).sqrt()
    torch.testing.assert_close(scores, context.weights["fc.weight"].abs() * norms)


def test_a_shared_weight_is_looked_at_in_every_use() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)
            self.second.weight = self.first.weight

        def forward(self, inputs: Tensor) -> Tensor:
            output: Tensor = self.second(self.first(inputs))
            return output

    model, x = Twice(), draw(6, 3)
    filled(model)
    context = context_of(model, x, classes(6, 3))
    with torch.no_grad():
        hidden = model.first(x)
        both = torch.cat([hidden, model.second(hidden)])
        met = torch.cat([x, hidden])

    mean, wanda = (CRITERIA[name].score(context) for name in ("mean-activation", "wanda"))

    assert list(mean) == ["first.weight"]
    torch.testing.assert_close(mean["first.weight"][:, 0], both.relu().mean(0))
    torch.testing.assert_close(
        wanda["first.weight"], context.weights["first.weight"].abs() * met.norm(dim=0)
    )


@pytest.mark.parametrize("name", ["apoz", "mean-activation", "wanda"])
def test_a_layer_that_is_never_called(name: str) -> None:
    class Bypass(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 3)

        def forward(self, inputs: Tensor) -> Tensor:
            return F.linear(inputs, self.fc.weight)

    context = context_of(Bypass(), draw(6, 4), classes(6, 3))

    with pytest.raises(UsageError, match=r"layers of fc\.weight, but the network never calls them"):
        CRITERIA[name].score(context)
