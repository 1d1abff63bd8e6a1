"""The confusion matrix as a picture, drawn by matplotlib (extra ``plot``), which is imported when it is needed."""

import numpy as np

from .._check import as_array, each, flag, mapping, named, shown
from ._fonts import drawable
from ._targets import label_list, tabulate
from .classification import confusion_matrix


class ConfusionMatrixDisplay:
    """Picture of a confusion matrix (k, k), rows the true and columns the predicted classes.

    ``display_labels`` (k,) name the classes, 0 … k − 1 without. ``plot`` draws; afterwards ``figure_``, ``ax_``,
    ``im_`` and ``text_`` (k, k) are matplotlib's objects. Raises ValueError for a matrix that is not square and
    for another number of names, ImportError where matplotlib is missing.

    Source: scikit-learn, ``sklearn.metrics.ConfusionMatrixDisplay``, whose arguments and attributes these are.

    >>> display = ConfusionMatrixDisplay(np.array([[5, 0], [1, 4]]), display_labels=["cat", "dog"])
    >>> display.plot().figure_.savefig("matrix.png")  # doctest: +SKIP
    """

    def __init__(self, confusion_matrix, *, display_labels=None):
        matrix = as_array(confusion_matrix, "confusion_matrix")
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
            raise ValueError(f"confusion_matrix must be square, not the shape {matrix.shape}")
        if display_labels is not None:
            count = len(each(display_labels, "display_labels"))
            if count != len(matrix):
                raise ValueError(f"display_labels must name {len(matrix)} classes, not {count}")
        self.confusion_matrix = matrix
        self.display_labels = display_labels

    @classmethod
    def from_predictions(
        cls, y_true, y_pred, *, labels=None, sample_weight=None, normalize=None, display_labels=None, **options
    ):
        """Draw the :func:`confusion_matrix` of these labels; ``options`` go to :meth:`plot`."""
        labels = tabulate(y_true, y_pred, sample_weight)[0] if labels is None else label_list(labels)
        matrix = confusion_matrix(y_true, y_pred, labels=labels, sample_weight=sample_weight, normalize=normalize)
        names = labels if display_labels is None else display_labels
        return cls(matrix, display_labels=names).plot(**options)

    @classmethod
    def from_estimator(cls, estimator, X, y, **options):
        """Draw the confusion matrix of ``estimator.predict(X)``; ``options`` as in :meth:`from_predictions`."""
        if options.get("labels") is None and options.get("display_labels") is None:
            options["labels"] = getattr(estimator, "classes_", None)
        if not callable(getattr(estimator, "predict", None)):
            raise TypeError(f"estimator must have a method predict, not be {shown(estimator)}")
        return cls.from_predictions(y, estimator.predict(X), **options)

    def plot(
        self,
        *,
        include_values=True,
        cmap="viridis",
        xticks_rotation="horizontal",
        values_format=None,
        ax=None,
        colorbar=True,
        im_kw=None,
        text_kw=None,
    ):
        """Draw into ``ax``, or into a new figure of pyplot; returns the object itself.

        ``include_values`` writes every entry, in ``values_format`` (None: "d" for counts or ".2g", the
        shorter one), in the colour of the other end of ``cmap``; ``xticks_rotation`` "horizontal", "vertical" or
        degrees; ``im_kw`` and ``text_kw`` go to ``imshow`` and ``text``.
        """
        if ax is None:
            try:
                import matplotlib.pyplot as plt
            except ImportError:
                raise ImportError(
                    "the picture needs matplotlib, which is not installed: pip install matplotlib"
                ) from None
            _, ax = plt.subplots(layout="constrained")
        include_values, colorbar = flag(include_values, "include_values"), flag(colorbar, "colorbar")
        im_kw, text_kw = (
            {} if kw is None else mapping(kw, name) for kw, name in ((im_kw, "im_kw"), (text_kw, "text_kw"))
        )
        matrix, k = self.confusion_matrix, len(self.confusion_matrix)
        with named("values_format"):
            texts = [_entry(value, values_format) for value in matrix.flat] if include_values else []
        with named("ax"):
            figure = ax.figure
        with named("cmap or im_kw"):
            image = ax.imshow(matrix, **{"interpolation": "nearest", "cmap": cmap, **im_kw})
        written = None
        if include_values:
            written = np.empty(matrix.shape, dtype=object)
            middle = (matrix.max() + matrix.min()) / 2
            for ((i, j), value), entry in zip(np.ndenumerate(matrix), texts, strict=True):
                color = image.cmap(1.0 if value < middle else 0)
                style = {"ha": "center", "va": "center", "color": color, **text_kw}
                with named("text_kw"):
                    written[i, j] = ax.text(j, i, entry, **style)
        if colorbar:
            figure.colorbar(image, ax=ax)
        names, fonts = drawable(
            [str(name) for name in (range(k) if self.display_labels is None else self.display_labels)]
        )
        with named("xticks_rotation"):
            ax.set_xticks(range(k), names, rotation=xticks_rotation, fontfamily=fonts)
        ax.set_yticks(range(k), names, fontfamily=fonts)
        ax.set(xlabel="Predicted label", ylabel="True label", ylim=(k - 0.5, -0.5))
        self.ax_, self.figure_, self.im_, self.text_ = ax, figure, image, written
        return self


def _entry(value, values_format):
    if values_format is not None:
        return format(value, values_format)
    short = format(value, ".2g")
    return short if isinstance(value, np.floating) else min(short, format(value, "d"), key=len)
