"""The steps of the method as single functions, for your own training loop.

>>> import lottery
>>> from torch import nn
>>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
>>> start = {name: value.clone() for name, value in model.state_dict().items()}
>>> mask = lottery.prune(model, fraction=0.25)  # after training
>>> lottery.rewind(model, start, mask)
>>> lottery.density(mask), lottery.density(model)
(0.75, 0.75)
"""

from lottery.pieces.pruning import density, prune
from lottery.pieces.reinitializing import reinitialize
from lottery.pieces.rewinding import rewind

__all__ = ["density", "prune", "reinitialize", "rewind"]
