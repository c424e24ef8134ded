"""Training a network under a mask: config, loop, evaluation, checkpoints, engines."""

from lottery.training.config import (
    LearningRateConfig,
    OptimizerConfig,
    PrunedValues,
    TrainingConfig,
    learning_rate,
)
from lottery.training.curve import (
    CurvePoint,
    Split,
    early_stop_by,
    early_stop_iteration,
    stopping_points,
    value_problem,
)
from lottery.training.devices import deterministic_convolutions, resolve_device
from lottery.training.engines import ENGINES, make_engine, refused_engines
from lottery.training.evaluate import evaluate
from lottery.training.interface import (
    Checkpoint,
    Engine,
    MaskLearning,
    MaskMethod,
    Monitor,
    Notes,
    NullMonitor,
    Observer,
    State,
    TrainingJob,
    TrainingResult,
    final_scores,
)
from lottery.training.learned_masks import (
    LearnedMasksConfig,
    MaskTrainingConfig,
    mask_learning_problems,
    score_training_config,
)
from lottery.training.length import LENGTH_FORMS, Length, length_table, take_lengths
from lottery.training.mask_updates import MaskUpdateMethod, MaskUpdatesConfig
from lottery.training.normalization import recalibrate_batch_norm

__all__ = [
    "ENGINES",
    "LENGTH_FORMS",
    "Checkpoint",
    "CurvePoint",
    "Engine",
    "LearnedMasksConfig",
    "LearningRateConfig",
    "Length",
    "MaskLearning",
    "MaskMethod",
    "MaskTrainingConfig",
    "MaskUpdateMethod",
    "MaskUpdatesConfig",
    "Monitor",
    "Notes",
    "NullMonitor",
    "Observer",
    "OptimizerConfig",
    "PrunedValues",
    "Split",
    "State",
    "TrainingConfig",
    "TrainingJob",
    "TrainingResult",
    "deterministic_convolutions",
    "early_stop_by",
    "early_stop_iteration",
    "evaluate",
    "final_scores",
    "learning_rate",
    "length_table",
    "make_engine",
    "mask_learning_problems",
    "recalibrate_batch_norm",
    "refused_engines",
    "resolve_device",
    "score_training_config",
    "stopping_points",
    "take_lengths",
    "value_problem",
]
