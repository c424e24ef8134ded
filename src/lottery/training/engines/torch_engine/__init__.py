"""The engine that runs any model anywhere torch does: CPU, CUDA, MPS."""

from lottery.training.engines.torch_engine.engine import TorchEngine

__all__ = ["TorchEngine"]
