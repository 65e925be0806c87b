"""scikit-learn's searches and cross-validation, which train networks of one structure in one pass.

scikit-learn's own classes and functions do everything but the training itself. What is ours is the
joblib backend that their tasks run on: a task that is about to train a network waits until all others
are as far or have ended; then the networks are trained together, and the tasks go on.
"""

from portable_nn.model_selection.context import in_one_pass
from portable_nn.model_selection.searches import (
    GridSearchCV,
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
    RandomizedSearchCV,
)
from portable_nn.model_selection.validation import (
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
    permutation_test_score,
    validation_curve,
)

__all__ = [
    "GridSearchCV",
    "HalvingGridSearchCV",
    "HalvingRandomSearchCV",
    "RandomizedSearchCV",
    "cross_val_predict",
    "cross_val_score",
    "cross_validate",
    "in_one_pass",
    "learning_curve",
    "permutation_test_score",
    "validation_curve",
]
