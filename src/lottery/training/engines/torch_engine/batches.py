"""The examples of each step."""

from __future__ import annotations

import torch
from torch import Tensor

from lottery.data.dataset import Dataset
from lottery.training.interface import TrainingJob
from lottery.training.progress import Progress


class Batches:
    """The training batches of a job.

    Args:
        job: says order, augmentation, size and place in memory.
        data: the job's, on the device.
        dtype: of the inputs.
    """

    def __init__(self, job: TrainingJob, data: Dataset, dtype: torch.dtype) -> None:
        self._job, self._data, self._dtype = job, data, dtype
        self._order = _EpochOrder(job, data.train.targets.device)

    def of(self, progress: Progress) -> tuple[Tensor, Tensor]:
        """The examples of the next step, and their classes."""
        epoch, first = progress.position()
        chosen = self._order.of(epoch)[first : first + self._job.config.batch_size]
        inputs, targets = self._data.training_batch(
            chosen, self._job.drawing(progress.iteration), progress.iteration, self._dtype
        )
        return self.laid_out(inputs), targets

    def laid_out(self, inputs: Tensor) -> Tensor:
        """Inputs as they lie in memory for the network."""
        if self._job.config.channels_last and inputs.dim() == 4:
            return inputs.contiguous(memory_format=torch.channels_last)
        return inputs


class _EpochOrder:
    """The order of the examples in each epoch: a permutation from a stream of the epoch's own.

    Any iteration's batch follows from its number alone, so a position in the data needs no state.
    """

    def __init__(self, job: TrainingJob, device: torch.device) -> None:
        self._job, self._device = job, device
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.int64)

    def of(self, epoch: int) -> Tensor:
        """The example indices of ``epoch``, int64 ``[examples]``."""
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self._job.epoch_order(epoch).to(self._device)
        return self._order
