"""The training loop and the evaluation, each one compiled function."""

from __future__ import annotations

from typing import NamedTuple

from lottery.training.engines.sparse_cpu.batches import (
    Batch,
    load_block,
    load_compressed,
    load_lanes,
    prefetch_batch,
    sort_by_input,
)
from lottery.training.engines.sparse_cpu.compiled import compiled
from lottery.training.engines.sparse_cpu.dropout import apply_dropout, backward_dropout, stream_key
from lottery.training.engines.sparse_cpu.inputs import Inputs
from lottery.training.engines.sparse_cpu.kernels import Floats, Integers
from lottery.training.engines.sparse_cpu.layers import BACKGROUND, Network, layer_of
from lottery.training.engines.sparse_cpu.losses import grad_outputs, loss_and_correct
from lottery.training.engines.sparse_cpu.optimizers import Optimizer, update
from lottery.training.engines.sparse_cpu.passes import (
    activate,
    add_gradients,
    backward_activation,
    backward_input,
    forward,
    forward_from_background,
    gradients_from_background,
)
from lottery.training.engines.sparse_cpu.ragged import Ragged, array_at


class Trained(NamedTuple):
    """Parameters and optimizer state; weights and biases alternate, layer by layer.

    Args:
        parameters: weights in their layer's form.
        first: Adam's mean gradients, or SGD's momentum.
        second: Adam's mean squared gradients.
    """

    parameters: Ragged
    first: Ragged
    second: Ragged


class Workspace(NamedTuple):
    """Scratch arrays: a step writes to them before it reads from them.

    Args:
        batch: the examples.
        outputs: ``[blocks, outputs, 64]`` for each layer.
        grad_outputs: the same, for all layers.
        gradients: as the parameters.
        scratch: as long as the longest weights.
        panel: ``[blocks * 64, 64]``.
        square: ``[64, 64]``.
    """

    batch: Batch
    outputs: Ragged
    grad_outputs: Ragged
    gradients: Ragged
    scratch: Floats
    panel: Floats
    square: Floats


class Task(NamedTuple):
    """What stays the same during a training.

    Args:
        inputs: the training examples.
        batch_size: examples a step.
        loss: see `losses`.
        optimizer: its settings.
        dropout_key: see `dropout`.
        training: False for evaluation, which drops nothing out.
    """

    inputs: Inputs
    batch_size: int
    loss: int
    optimizer: Optimizer
    dropout_key: int
    training: bool


@compiled
def train(
    network: Network,
    trained: Trained,
    task: Task,
    order: Integers,
    iteration: int,
    steps_done: int,
    rates: Floats,
    workspace: Workspace,
) -> float:
    """Train for as many steps as there are learning rates; the sum of their mean losses.

    Args:
        network: what to train.
        trained: changed in place.
        task: what to train on, and how.
        order: examples, int64; the first batch is at its beginning.
        iteration: of the first step.
        steps_done: optimizer steps that came before it.
        rates: learning rates, float64.
        workspace: scratch.
    """
    total = 0.0
    for step in range(len(rates)):
        first = step * task.batch_size
        examples = order[first : first + task.batch_size]
        load(network, task.inputs, examples, workspace.batch)
        prefetch_batch(task.inputs, order[first + task.batch_size : first + 2 * task.batch_size])
        predict(network, trained.parameters, task, len(examples), iteration + step, workspace)
        total += output_gradients(network, task, len(examples), workspace) / len(examples)
        backward(network, trained.parameters, task, len(examples), iteration + step, workspace)
        for number in range(len(workspace.gradients.starts)):
            update(
                task.optimizer,
                rates[step],
                steps_done + step,
                array_at(trained.parameters, number),
                array_at(workspace.gradients, number),
                array_at(trained.first, number),
                array_at(trained.second, number),
            )
    return total


@compiled
def evaluate(
    network: Network,
    parameters: Ragged,
    task: Task,
    order: Integers,
    workspace: Workspace,
) -> tuple[float, float]:
    """Mean loss and accuracy over all examples of validation or test.

    Args:
        network: what to train.
        parameters: its weights and biases.
        task: its inputs and loss are used.
        order: the numbers from 0 to the number of examples, int64.
        workspace: scratch.
    """
    total, right, last = 0.0, 0, len(network.sizes) - 1
    for first in range(0, len(order), 64):
        examples = order[first : first + 64]
        if len(task.inputs.block_starts) > 0 and network.sizes[0, 0] != BACKGROUND:
            load_block(task.inputs, first // 64, workspace.batch)
        else:
            load(network, task.inputs, examples, workspace.batch)
        predict(network, parameters, task, len(examples), first, workspace)
        outputs = blocks_of(network, workspace.outputs, last)[0]
        loss, correct = loss_and_correct(task.loss, outputs, workspace.batch.targets, len(examples))
        total += loss
        right += correct
    return total / len(order), right / len(order)


@compiled
def load(network: Network, inputs: Inputs, examples: Integers, batch: Batch) -> None:
    """Load examples in the form that the first layer needs."""
    if network.sizes[0, 0] == BACKGROUND:
        load_compressed(inputs, examples, batch)
    else:
        load_lanes(inputs, examples, batch)


@compiled
def predict(
    network: Network,
    parameters: Ragged,
    task: Task,
    examples: int,
    iteration: int,
    workspace: Workspace,
) -> None:
    """Forward pass through all layers; the outputs of each stay in ``workspace``."""
    from_background = network.sizes[0, 0] == BACKGROUND
    blocks = (examples + 63) // 64
    before = workspace.batch.lanes
    for number in range(len(network.sizes)):
        layer = layer_of(network, number)
        weights, bias = array_at(parameters, 2 * number), array_at(parameters, 2 * number + 1)
        outputs = blocks_of(network, workspace.outputs, number)
        if number == 0 and from_background:
            forward_from_background(
                layer,
                weights,
                bias,
                task.inputs,
                workspace.batch,
                examples,
                workspace.panel,
                workspace.square,
                outputs[:blocks],
            )
        for block in range(blocks):
            if number > 0 or not from_background:
                forward(layer, weights, bias, before[block], outputs[block])
            activate(layer, outputs[block])
            if task.training and layer.dropout > 0:
                key = stream_key(task.dropout_key, iteration, number)
                apply_dropout(key, layer.dropout, block, outputs[block])
        before = outputs


@compiled
def output_gradients(network: Network, task: Task, examples: int, workspace: Workspace) -> float:
    """The gradients of the network's outputs; returns the sum of the losses."""
    total, last = 0.0, len(network.sizes) - 1
    outputs = blocks_of(network, workspace.outputs, last)
    out_gradients = blocks_of(network, workspace.grad_outputs, last)
    for block in range((examples + 63) // 64):
        total += grad_outputs(
            task.loss,
            outputs[block],
            workspace.batch.targets[block * 64 : block * 64 + 64],
            min(64, examples - block * 64),
            examples,
            out_gradients[block],
        )
    return total


@compiled
def backward(
    network: Network,
    parameters: Ragged,
    task: Task,
    examples: int,
    iteration: int,
    workspace: Workspace,
) -> None:
    """Backward pass through all layers; the gradients of all parameters are in ``workspace``."""
    blocks = (examples + 63) // 64
    for number in range(len(network.sizes) - 1, -1, -1):
        layer = layer_of(network, number)
        outputs = blocks_of(network, workspace.outputs, number)
        out_gradients = blocks_of(network, workspace.grad_outputs, number)
        for block in range(blocks):
            if layer.dropout > 0:
                key = stream_key(task.dropout_key, iteration, number)
                backward_dropout(key, layer.dropout, block, outputs[block], out_gradients[block])
            backward_activation(layer, outputs[block], out_gradients[block])
        weight_gradient = array_at(workspace.gradients, 2 * number)
        bias_gradient = array_at(workspace.gradients, 2 * number + 1)
        if layer.form == BACKGROUND:
            sort_by_input(workspace.batch, examples)
            gradients_from_background(
                layer,
                out_gradients[:blocks],
                task.inputs,
                workspace.batch,
                workspace.panel,
                workspace.square,
                weight_gradient,
                bias_gradient,
            )
            continue
        before = (
            blocks_of(network, workspace.outputs, number - 1)
            if number > 0
            else workspace.batch.lanes
        )
        for block in range(blocks):
            add_gradients(
                layer,
                out_gradients[block],
                before[block],
                block,
                workspace.scratch,
                weight_gradient,
                bias_gradient,
            )
        if number > 0:
            before_gradients = blocks_of(network, workspace.grad_outputs, number - 1)
            weights = array_at(parameters, 2 * number)
            for block in range(blocks):
                backward_input(
                    layer, weights, out_gradients[block], workspace.scratch, before_gradients[block]
                )


@compiled
def blocks_of(network: Network, made: Ragged, number: int) -> Floats:
    """A layer's activations or gradients, ``[blocks, outputs, 64]``."""
    outputs = network.sizes[number, 2]
    numbers = array_at(made, number)
    return numbers.reshape((len(numbers) // (outputs * 64), outputs, 64))
