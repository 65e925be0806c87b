"""Training by mini-batches: the loop around one compiled step, its data, its callbacks, its record."""

from portable_nn.training.callbacks import Callback, TrainingState
from portable_nn.training.checkpoints import Checkpoint
from portable_nn.training.early_stopping import EarlyStopping
from portable_nn.training.epoch_orders import WindowShuffle
from portable_nn.training.fitting import fit
from portable_nn.training.history import History
from portable_nn.training.progress import ProgressBar

__all__ = [
    "Callback",
    "Checkpoint",
    "EarlyStopping",
    "History",
    "ProgressBar",
    "TrainingState",
    "WindowShuffle",
    "fit",
]
