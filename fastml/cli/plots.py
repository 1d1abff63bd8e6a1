"""The loss curve and the confusion matrix as PNG files, drawn by matplotlib (extra ``plot``)."""

import os

import numpy as np

from fastml.cli.errors import CommandError, one_line


def check_matplotlib():
    """CommandError where matplotlib is missing."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        raise CommandError(
            "--plots needs matplotlib, which is not installed: pip install 'fastml-kernels[plot]'"
        ) from None


def save_plots(folder, history, matrix, classes):
    """Write loss.png and confusion_matrix.png into ``folder``; returns their paths."""
    paths = []
    for name, figure in (("loss", _loss(history)), ("confusion_matrix", _confusion(matrix, classes))):
        paths.append(os.path.join(folder, name + ".png"))
        figure.savefig(paths[-1], dpi=150)
    return paths


def _figure(width, height):
    from matplotlib.figure import Figure  # a figure without pyplot: no window system, no global state

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def _loss(history):
    figure, left = _figure(7, 4.5)
    epochs = np.arange(1, len(history.losses) + 1)
    marker = "o" if len(epochs) < 3 else None
    lines = left.plot(epochs, history.losses, color="tab:blue", marker=marker, label="training loss")
    left.set(xlabel="epoch", ylabel="training loss (cross-entropy)")
    left.set_ylim(bottom=0)
    left.xaxis.get_major_locator().set_params(integer=True)
    left.grid(alpha=0.3)
    right = left.twinx()
    accuracy = 100 * np.asarray(history.val_accuracies)
    lines += right.plot(
        epochs[: len(accuracy)], accuracy, color="tab:orange", marker=marker, label="validation accuracy"
    )
    right.set(ylabel="validation accuracy (%)")
    right.set_ylim(top=100.5)
    figure.legend(handles=lines, loc="outside lower center", ncols=2)
    left.set_title("Training")
    return figure


def _confusion(matrix, classes):
    matrix = np.asarray(matrix)
    n = len(classes)
    side = min(14, 2.5 + 0.45 * n)
    figure, axes = _figure(side + 0.8, side)
    rows = matrix.sum(axis=1, keepdims=True)
    share = matrix / np.maximum(rows, 1)  # colour by share of the true class: rare classes show too
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.8)
    if n <= 40:
        names = [one_line(str(name)) for name in classes]
        names = [name if len(name) <= 16 else name[:14] + ".." for name in names]
        upright = max(map(len, names)) <= 3
        # A dollar sign would start mathematics.
        names = [name.replace("$", r"\$") for name in names]
        axes.set_xticks(range(n), names, rotation=0 if upright else 45, ha="center" if upright else "right")
        axes.set_yticks(range(n), names)
        for i, j in np.argwhere(matrix):
            color = "white" if share[i, j] > 0.5 else "black"
            axes.text(j, i, str(matrix[i, j]), ha="center", va="center", color=color, fontsize=9)
    axes.set(xlabel="predicted class", ylabel="true class", title="Confusion matrix of the test set")
    return figure
