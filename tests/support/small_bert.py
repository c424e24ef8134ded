"""A small BERT classifier with pretrained weights on disk, and sentences to fine-tune it on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

WORDS, LENGTH = 48, 8


class Sentences(Dataset[dict[str, Tensor]]):
    """Whether word 1 comes more often than word 2; words are numbers."""

    def __init__(self, count: int, seed: int) -> None:
        numbers = torch.Generator().manual_seed(seed)
        self.words = torch.randint(1, 9, (count, LENGTH), generator=numbers)
        self.labels = ((self.words == 1).sum(1) > (self.words == 2).sum(1)).long()

    def __len__(self) -> int:
        return len(self.words)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {"input_ids": self.words[index], "labels": self.labels[index]}


def pretrained(folder: Path) -> Path:
    """A folder with the weights of a BERT, as `from_pretrained` takes it."""
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=WORDS,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=LENGTH,
    )
    BertModel(config).save_pretrained(folder)
    return folder


def accuracy(predicted: Any) -> dict[str, float]:
    """What a Trainer's compute_metrics is."""
    return {"accuracy": float((predicted.predictions.argmax(1) == predicted.label_ids).mean())}
