"""Run one of ``tests/programs`` in a process of its own, and keep what its model and optimizer are.

Arguments: the program, and the folder to write to.
"""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor

from lottery.core.names import clean_name


def run(program: Path) -> dict[str, Tensor]:
    """Run a program; what its model, its average and its optimizer hold afterwards, by name."""
    made = runpy.run_path(str(program))
    found = {}
    for model in (made["model"], made.get("average")):
        for name, weight in model.named_parameters() if model else ():
            kind = "weight" if model is made["model"] else "average"
            found[f"{kind}/{clean_name(name)}"] = weight.detach().clone()
            for key, value in made["optimizer"].state.get(weight, {}).items():
                if value.shape == weight.shape:
                    found[f"{key}/{clean_name(name)}"] = value.clone()
    return found


if __name__ == "__main__":
    save_file(run(Path(sys.argv[1])), Path(sys.argv[2]) / f"{os.environ['RANK']}.safetensors")
