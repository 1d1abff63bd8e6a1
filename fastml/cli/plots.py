"""Loss curve, confusion matrix and decision boundary as PNG files, drawn by matplotlib (extra ``plot``)."""

import os

import numpy as np

import fastml
from fastml._files import replacing
from fastml.cli.errors import CommandError, one_line
from fastml.metrics._fonts import drawable

MOST_NAMES = 40  # of classes along each side of a confusion matrix
MOST_COLORS = 10  # of matplotlib's tab10: for more classes no boundary is drawn
_COLORS = [f"C{i}" for i in (1, 0, *range(2, MOST_COLORS))]  # orange and blue first, as in TensorFlow Playground
_SIDE = 300  # points of the plane along each side
_MOST_POINTS = 5000  # drawn of a part


def check_matplotlib():
    """CommandError where matplotlib is missing."""
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        raise CommandError("--plots needs matplotlib, which is not installed: pip install matplotlib") from None


def save_figures(folder, figures):
    """Write each figure as its name and .png into ``folder``; returns their paths."""
    paths = []
    for name, figure in figures.items():
        paths.append(os.path.join(folder, name + ".png"))
        with replacing(paths[-1]) as file:
            figure.savefig(file, format="png", dpi=150)
    return paths


def _figure(width, height):
    from matplotlib.figure import Figure  # a figure without pyplot: no window system, no global state

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def loss(history, smoothing, classes):
    """Training and validation loss and validation accuracy over the epochs; with label smoothing the least loss too."""
    figure, left = _figure(7, 4.5)
    epochs = np.arange(1, len(history.losses) + 1)
    marker = "o" if len(epochs) < 3 else None
    lines = []
    for values, color, label in (
        (history.losses, "tab:blue", "training loss"),
        (history.val_losses, "tab:green", "validation loss"),
    ):
        lines += left.plot(epochs[: len(values)], values, color=color, marker=marker, label=label)
    kind = "cross-entropy"
    if smoothing:
        kind += f", label smoothing {smoothing:g}"
        floor = least_loss(smoothing, classes)
        lines.append(left.axhline(floor, color="gray", linestyle=":", label=f"least possible loss {floor:.3g}"))
    left.set(xlabel="epoch", ylabel=f"loss ({kind})")
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


def least_loss(smoothing, classes):
    """The entropy of a smoothed label, below which no cross-entropy falls.

    >>> round(least_loss(0.1, 10), 3)
    0.5
    """
    p = np.full(classes, smoothing / classes)
    p[0] += 1 - smoothing
    return float(-np.sum(p * np.log(np.where(p > 0, p, 1))))


def confusion(matrix, classes):
    """The confusion matrix, coloured by the share of the true class."""
    matrix = np.asarray(matrix)
    n = len(classes)
    side = min(14, 2.5 + 0.45 * n)
    figure, axes = _figure(side + 0.8, side)
    rows = matrix.sum(axis=1, keepdims=True)
    share = matrix / np.maximum(rows, 1)  # colour by share of the true class: rare classes show too
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes, label="share of the true class", shrink=0.8)
    shown = range(0, n, -(-n // MOST_NAMES))  # of many classes every second, third, ...
    names, fonts = _names([classes[i] for i in shown])
    upright = max(map(len, names)) <= 3
    turn = {"rotation": 0 if upright else 45, "ha": "center" if upright else "right"}
    axes.set_xticks(shown, names, fontfamily=fonts, **turn)
    axes.set_yticks(shown, names, fontfamily=fonts)
    if n <= MOST_NAMES:
        for i, j in np.argwhere(matrix):
            color = "white" if share[i, j] > 0.5 else "black"
            axes.text(j, i, str(matrix[i, j]), ha="center", va="center", color=color, fontsize=9)
    axes.set(xlabel="predicted class", ylabel="true class", title="Confusion matrix of the test set")
    return figure


def boundary(outputs, table, parts, scaler, accuracy):
    """The plane in the colours of the classes that the network gives its points, under the points of the data.

    ``outputs`` maps scaled rows, (rows, 2), to logits; ``parts`` and ``scaler`` are those of fit.prepare.
    """
    from matplotlib.colors import to_rgb

    low, high = table.X.min(axis=0), table.X.max(axis=0)
    margin = 0.05 * np.where(high > low, high - low, 1)
    low, high = low - margin, high + margin
    sides = [np.linspace(low[i], high[i], _SIDE) for i in range(2)]
    plane = np.stack(np.meshgrid(*sides), axis=-1).reshape(-1, 2)
    p = fastml.softmax(outputs(scaler.transform(plane).astype(np.float32))).reshape(_SIDE, _SIDE, -1)
    colors = np.array([to_rgb(name) for name in _COLORS[: len(table.classes)]])

    # Axes in one unit keep their proportions.
    ratio = (high[1] - low[1]) / (high[0] - low[0]) if table.one_unit else 1
    figure, axes = _figure(7, min(max(7 * ratio, 4), 12) + 1)
    axes.imshow(
        1 - 0.55 * p @ (1 - colors),  # the classes' colours mixed by their probabilities, lightened
        extent=(low[0], high[0], low[1], high[1]),
        origin="lower",
        interpolation="bilinear",
        aspect="equal" if table.one_unit else "auto",
    )
    for k in range(len(colors)):
        lead = p[..., k] - np.delete(p, k, axis=-1).max(axis=-1)
        if lead.min() < 0 < lead.max():
            axes.contour(*sides, lead, levels=[0], colors="white", linewidths=1.5)
    for name, size, edge in (("training", 14, "none"), ("test", 26, "black")):
        X, y = (rows[:_MOST_POINTS] for rows in parts[name])
        points = scaler.inverse_transform(X).T
        for k, color in enumerate(colors):
            axes.scatter(*points[:, y == k], color=color, s=size, edgecolors=edge, linewidths=0.7)
        axes.scatter([], [], color="lightgray", s=size, edgecolors=edge, linewidths=0.7, label=f"{name} points")
    names, fonts = _names([*table.classes, *table.columns[:2]])
    for color, name in zip(colors, names, strict=False):
        axes.scatter([], [], color=color, marker="s", s=40, label=name)
    axes.set_xlabel(names[-2], fontfamily=fonts)
    axes.set_ylabel(names[-1], fontfamily=fonts)
    axes.set_title(f"Decision boundary: {accuracy:.1%} of the test points right")
    figure.legend(loc="outside lower center", ncols=6, prop={"family": fonts})
    return figure


def _names(names):
    """Names as short texts that can be drawn, and the font families that draw them."""
    return drawable([_name(name) for name in names])


def _name(name):
    """A class's or column's name as a short text without mathematics."""
    text = one_line(str(name))
    text = text if len(text) <= 16 else text[:14] + ".."
    return text.replace("$", r"\$")  # a dollar sign would start mathematics
