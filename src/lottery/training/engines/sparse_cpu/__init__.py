"""The engine whose cost follows density: fully connected networks on the CPU.

Kernels that touch only the surviving weights, in one compiled loop; see docs/performance.md.
"""

from lottery.training.engines.sparse_cpu.engine import SparseCpuEngine

__all__ = ["SparseCpuEngine"]
