"""Which networks and settings this engine supports."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import nn

from lottery.training.config import TrainingConfig

RELU, TANH, LINEAR = 0, 1, 2

_ACTIVATIONS = {nn.ReLU: RELU, nn.Tanh: TANH}


@dataclass(frozen=True, kw_only=True)
class LinearLayer:
    """One fully connected layer, and the activation and dropout that follow it.

    Args:
        name: prefix of its parameters, as in ``<name>.weight``.
        inputs: how many.
        outputs: how many.
        activation: `RELU`, `TANH`, or `LINEAR` for none.
        dropout: share of the outputs that is dropped in training, in [0, 1).
    """

    name: str
    inputs: int
    outputs: int
    activation: int = LINEAR
    dropout: float = 0.0


class NotFullyConnectedError(ValueError):
    """The model is not one that this engine can train; the message says why."""


def linear_layers(model: nn.Module) -> list[LinearLayer]:
    """The layers of a fully connected network.

    It must be an `nn.Sequential` of, in this order: at most one Flatten; Linear layers with
    biases, each but the last followed by ReLU or Tanh and possibly Dropout; nothing else. Each
    parameter belongs to one layer and requires gradients.

    Raises:
        NotFullyConnectedError: it is not.
    """
    if type(model) is not nn.Sequential:
        raise NotFullyConnectedError(f"it is a {type(model).__name__}, not an nn.Sequential")
    _check_whole(model)
    layers: list[LinearLayer] = []
    # Unlike `named_children`, this lists a module that comes twice twice.
    for name, module in zip(model._modules, model, strict=True):
        if _has_hooks(module):
            raise NotFullyConnectedError(f"'{name}' has hooks")
        if type(module) is nn.Flatten and not layers:
            if (module.start_dim, module.end_dim) != (1, -1):
                raise NotFullyConnectedError(f"'{name}' does not flatten whole examples")
        elif type(module) is nn.Linear:
            layers.append(_linear(name, module, layers))
        elif layers and type(module) in (nn.ReLU, nn.Tanh, nn.Dropout):
            layers[-1] = _followed_by(layers[-1], name, module)
        else:
            raise NotFullyConnectedError(
                f"'{name}' is a {type(module).__name__}; it knows Flatten (first), Linear, ReLU, "
                "Tanh and Dropout"
            )
    if not layers:
        raise NotFullyConnectedError("it has no Linear layer")
    if layers[-1].activation != LINEAR or layers[-1].dropout:
        raise NotFullyConnectedError("its last layer is not Linear")
    return layers


def _check_whole(model: nn.Sequential) -> None:
    if _has_hooks(model):
        raise NotFullyConnectedError("it has hooks")
    if len(list(model.named_parameters(remove_duplicate=False))) > len(list(model.parameters())):
        raise NotFullyConnectedError("some of its layers share parameters")
    if not all(parameter.requires_grad for parameter in model.parameters()):
        raise NotFullyConnectedError("some of its parameters are frozen")


def _has_hooks(module: nn.Module) -> bool:
    return bool(
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
    )


def _linear(name: str, module: nn.Linear, before: list[LinearLayer]) -> LinearLayer:
    if module.bias is None:
        raise NotFullyConnectedError(f"'{name}' has no bias")
    if before and before[-1].activation == LINEAR:
        raise NotFullyConnectedError(f"'{name}' follows a Linear layer directly")
    if before and before[-1].outputs != module.in_features:
        raise NotFullyConnectedError(
            f"'{name}' has {module.in_features} inputs, and the layer before it "
            f"{before[-1].outputs} outputs"
        )
    return LinearLayer(name=name, inputs=module.in_features, outputs=module.out_features)


def _followed_by(layer: LinearLayer, name: str, module: nn.Module) -> LinearLayer:
    activation, dropout = layer.activation, layer.dropout
    if isinstance(module, nn.Dropout):
        if activation == LINEAR or dropout or not module.p < 1:
            raise NotFullyConnectedError(f"'{name}' is not one Dropout after an activation")
        dropout = module.p
    elif activation != LINEAR or dropout:
        raise NotFullyConnectedError(f"'{name}' is a second activation")
    else:
        activation = _ACTIVATIONS[type(module)]
    return replace(layer, activation=activation, dropout=dropout)


def refused_setting(config: TrainingConfig) -> str | None:
    """Which of a config's settings this engine does not support, in words, or None."""
    optimizer = config.optimizer
    refused = {
        f"it computes in the start weights' own precision, not in {config.precision}": (
            config.precision != "float32"
        ),
        "it has no channels to put last (training.channels_last)": config.channels_last,
        "its loop is compiled in another way than by training.compile": config.compile,
        "it has no label smoothing": config.label_smoothing,
        "it does not clip gradients": config.clip_gradients,
        "it keeps no average of the weights (training.averaging)": config.averaging,
        "its networks have no batch normalization to recalibrate": config.recalibrate_batch_norm,
        f"it knows the optimizers adam and sgd, not {optimizer.name}": (
            optimizer.name not in ("adam", "sgd")
        ),
        "its weight decay is on all parameters (training.optimizer.decay)": (
            optimizer.weight_decay and optimizer.decay != "all"
        ),
    }
    return next((reason for reason, applies in refused.items() if applies), None)
