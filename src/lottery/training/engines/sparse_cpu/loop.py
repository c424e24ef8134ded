"""The training loop and the evaluation, each one compiled function."""

from __future__ import annotations

from typing import NamedTuple

from lottery.training.engines.sparse_cpu.batches import (
    Batch,
    announce,
    load_block,
    load_compressed,
    load_lanes,
    turn,
)
from lottery.training.engines.sparse_cpu.compiled import compiled
from lottery.training.engines.sparse_cpu.dropout import drop, stream_key, through_dropout
from lottery.training.engines.sparse_cpu.inputs import Inputs
from lottery.training.engines.sparse_cpu.kernels import Floats, Integers
from lottery.training.engines.sparse_cpu.layers import BACKGROUND, Network, layer_of
from lottery.training.engines.sparse_cpu.losses import measured, slopes
from lottery.training.engines.sparse_cpu.optimizers import Optimizer, update
from lottery.training.engines.sparse_cpu.passes import (
    activate,
    add_gradients,
    back,
    forward,
    forward_from_background,
    gradients_from_background,
    through_activation,
)
from lottery.training.engines.sparse_cpu.stacks import Stack, part


class Trained(NamedTuple):
    """What training changes; weights and biases alternate, layer by layer.

    Args:
        parameters: weights in their layer's form.
        first: Adam's mean gradients, or SGD's momentum.
        second: Adam's mean squared gradients.
    """

    parameters: Stack
    first: Stack
    second: Stack


class Room(NamedTuple):
    """Arrays that a step writes to before it reads from them.

    Args:
        batch: the examples.
        outputs: ``[blocks, outputs, 64]`` for each layer.
        slopes: the same, for all layers.
        gradients: as the parameters.
        scratch: as long as the longest weights.
        panel: ``[blocks * 64, 64]``.
        square: ``[64, 64]``.
    """

    batch: Batch
    outputs: Stack
    slopes: Stack
    gradients: Stack
    scratch: Floats
    panel: Floats
    square: Floats


class Task(NamedTuple):
    """What stays the same over a training.

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
    room: Room,
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
        room: scratch.
    """
    total = 0.0
    for step in range(len(rates)):
        first = step * task.batch_size
        examples = order[first : first + task.batch_size]
        load(network, task.inputs, examples, room.batch)
        announce(task.inputs, order[first + task.batch_size : first + 2 * task.batch_size])
        predict(network, trained.parameters, task, len(examples), iteration + step, room)
        total += last_slopes(network, task, len(examples), room) / len(examples)
        learn(network, trained.parameters, task, len(examples), iteration + step, room)
        for number in range(len(room.gradients.starts)):
            update(
                task.optimizer,
                rates[step],
                steps_done + step,
                part(trained.parameters, number),
                part(room.gradients, number),
                part(trained.first, number),
                part(trained.second, number),
            )
    return total


@compiled
def evaluate(
    network: Network,
    parameters: Stack,
    task: Task,
    order: Integers,
    room: Room,
) -> tuple[float, float]:
    """Mean loss and accuracy over all examples of validation or test.

    Args:
        network: what to train.
        parameters: its weights and biases.
        task: its inputs and loss are used.
        order: the numbers from 0 to the number of examples, int64.
        room: scratch.
    """
    total, right, last = 0.0, 0, len(network.sizes) - 1
    for first in range(0, len(order), 64):
        examples = order[first : first + 64]
        if len(task.inputs.block_starts) > 0 and network.sizes[0, 0] != BACKGROUND:
            load_block(task.inputs, first // 64, room.batch)
        else:
            load(network, task.inputs, examples, room.batch)
        predict(network, parameters, task, len(examples), first, room)
        outputs = blocks_of(network, room.outputs, last)[0]
        loss, correct = measured(task.loss, outputs, room.batch.targets, len(examples))
        total += loss
        right += correct
    return total / len(order), right / len(order)


@compiled
def load(network: Network, inputs: Inputs, examples: Integers, batch: Batch) -> None:
    """Bring examples into the form the first layer wants."""
    if network.sizes[0, 0] == BACKGROUND:
        load_compressed(inputs, examples, batch)
    else:
        load_lanes(inputs, examples, batch)


@compiled
def predict(
    network: Network,
    parameters: Stack,
    task: Task,
    examples: int,
    iteration: int,
    room: Room,
) -> None:
    """Forward through all layers; what each puts out stays in ``room``."""
    from_background = network.sizes[0, 0] == BACKGROUND
    blocks = (examples + 63) // 64
    before = room.batch.lanes
    for number in range(len(network.sizes)):
        layer = layer_of(network, number)
        weights, bias = part(parameters, 2 * number), part(parameters, 2 * number + 1)
        outputs = blocks_of(network, room.outputs, number)
        if number == 0 and from_background:
            forward_from_background(
                layer,
                weights,
                bias,
                task.inputs,
                room.batch,
                examples,
                room.panel,
                room.square,
                outputs[:blocks],
            )
        for block in range(blocks):
            if number > 0 or not from_background:
                forward(layer, weights, bias, before[block], outputs[block])
            activate(layer, outputs[block])
            if task.training and layer.dropout > 0:
                key = stream_key(task.dropout_key, iteration, number)
                drop(key, layer.dropout, block, outputs[block])
        before = outputs


@compiled
def last_slopes(network: Network, task: Task, examples: int, room: Room) -> float:
    """The slopes of the network's outputs; returns the sum of the losses."""
    total, last = 0.0, len(network.sizes) - 1
    outputs = blocks_of(network, room.outputs, last)
    out_slopes = blocks_of(network, room.slopes, last)
    for block in range((examples + 63) // 64):
        total += slopes(
            task.loss,
            outputs[block],
            room.batch.targets[block * 64 : block * 64 + 64],
            min(64, examples - block * 64),
            examples,
            out_slopes[block],
        )
    return total


@compiled
def learn(
    network: Network,
    parameters: Stack,
    task: Task,
    examples: int,
    iteration: int,
    room: Room,
) -> None:
    """Backward through all layers: the gradients of every parameter."""
    blocks = (examples + 63) // 64
    for number in range(len(network.sizes) - 1, -1, -1):
        layer = layer_of(network, number)
        outputs = blocks_of(network, room.outputs, number)
        out_slopes = blocks_of(network, room.slopes, number)
        for block in range(blocks):
            if layer.dropout > 0:
                key = stream_key(task.dropout_key, iteration, number)
                through_dropout(key, layer.dropout, block, outputs[block], out_slopes[block])
            through_activation(layer, outputs[block], out_slopes[block])
        weight_gradient = part(room.gradients, 2 * number)
        bias_gradient = part(room.gradients, 2 * number + 1)
        if layer.form == BACKGROUND:
            turn(room.batch, examples)
            gradients_from_background(
                layer,
                out_slopes[:blocks],
                task.inputs,
                room.batch,
                room.panel,
                room.square,
                weight_gradient,
                bias_gradient,
            )
            continue
        before = blocks_of(network, room.outputs, number - 1) if number > 0 else room.batch.lanes
        for block in range(blocks):
            add_gradients(
                layer,
                out_slopes[block],
                before[block],
                block,
                room.scratch,
                weight_gradient,
                bias_gradient,
            )
        if number > 0:
            before_slopes = blocks_of(network, room.slopes, number - 1)
            weights = part(parameters, 2 * number)
            for block in range(blocks):
                back(layer, weights, out_slopes[block], room.scratch, before_slopes[block])


@compiled
def blocks_of(network: Network, made: Stack, number: int) -> Floats:
    """A layer's activations or slopes, ``[blocks, outputs, 64]``."""
    outputs = network.sizes[number, 2]
    numbers = part(made, number)
    return numbers.reshape((len(numbers) // (outputs * 64), outputs, 64))
