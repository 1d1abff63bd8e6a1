"""Metrics of classification, as scikit-learn names and defines them, whole and as streams; distances between
distributions, as SciPy does."""

from .. import _threads as _threads  # first: it waits while another thread imports fastml itself
from ._scores import UndefinedMetricWarning
from .classification import (
    accuracy_score,
    balanced_accuracy_score,
    cohen_kappa_score,
    confusion_matrix,
    matthews_corrcoef,
)
from .display import ConfusionMatrixDisplay
from .distances import (
    energy_distance,
    entropy,
    js_divergence,
    kl_divergence,
    total_variation,
    wasserstein_distance,
    wasserstein_distance_histogram,
)
from .precision_recall import (
    classification_report,
    f1_score,
    fbeta_score,
    precision_recall_fscore,
    precision_score,
    recall_score,
)
from .probabilities import log_loss, top_k_accuracy_score
from .streaming import ConfusionMatrix

__all__ = [
    "ConfusionMatrix",
    "ConfusionMatrixDisplay",
    "UndefinedMetricWarning",
    "accuracy_score",
    "balanced_accuracy_score",
    "classification_report",
    "cohen_kappa_score",
    "confusion_matrix",
    "energy_distance",
    "entropy",
    "f1_score",
    "fbeta_score",
    "js_divergence",
    "kl_divergence",
    "log_loss",
    "matthews_corrcoef",
    "precision_recall_fscore",
    "precision_score",
    "recall_score",
    "top_k_accuracy_score",
    "total_variation",
    "wasserstein_distance",
    "wasserstein_distance_histogram",
]
