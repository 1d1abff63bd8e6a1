"""Metrics of classification, as scikit-learn names and defines them."""

from .classification import accuracy_score, confusion_matrix

__all__ = ["accuracy_score", "confusion_matrix"]
