"""What a training run prints at its end, as plain text."""

import unicodedata

from fastml.cli.errors import one_line

MAX_COLUMNS = 24  # classes of a matrix that still reads well in a terminal
MAX_WIDTH = 64  # of its head, when the classes' names stand over the columns


def accuracy_text(correct, total):
    """``correct`` out of ``total`` in words.

    >>> accuracy_text(354, 359)
    '98.61 %  (354 of 359)'
    """
    return f"{100 * correct / total:.2f} %  ({correct} of {total})"


def _width(text):
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _right(text, width):
    return " " * (width - _width(text)) + text


def _label(name, limit):
    text = one_line(str(name))
    return text if len(text) <= limit else text[: limit - 2] + ".."


def _percent(part, whole):
    return f"{100 * part / whole:.1f} %" if whole else "-"


def confusion_text(matrix, classes):
    """The confusion matrix as text, a row for each true class and a dot for each zero.

    Long names stand in the rows alone, and the columns are numbered. Beyond 24 classes the matrix would not
    fit a terminal: then the most frequent confusions are listed.

    >>> print(confusion_text([[5, 0], [1, 4]], ["cat", "dog"]))
    confusion matrix (rows: true class, columns: predicted class)
           cat  dog   recall
      cat    5    .  100.0 %
      dog    1    4   80.0 %
    """
    if len(classes) > MAX_COLUMNS:
        return _frequent_confusions(matrix, classes)
    names = [_label(name, 24) for name in classes]
    heads = names
    if sum(max(4, _width(name) + 2) for name in names) > MAX_WIDTH:  # then the columns get numbers
        heads = [str(i + 1) for i in range(len(classes))]
        names = [f"{name} {head:>2}" for name, head in zip(names, heads, strict=True)]
    body = [[str(int(count)) if count else "." for count in row] for row in matrix]
    first = max(map(_width, names))
    width = max(2, *(_width(text) for row in [heads, *body] for text in row))
    lines = ["confusion matrix (rows: true class, columns: predicted class)"]
    lines.append("  " + " " * first + "".join("  " + _right(head, width) for head in heads) + "   recall")
    for i, row in enumerate(body):
        recall = _percent(matrix[i][i], sum(matrix[i]))
        cells = "".join("  " + _right(cell, width) for cell in row)
        lines.append(f"  {_right(names[i], first)}{cells}  {recall:>7}")
    return "\n".join(lines)


def _frequent_confusions(matrix, classes, count=10):
    wrong = [
        (int(matrix[i][j]), i, j) for i in range(len(classes)) for j in range(len(classes)) if i != j and matrix[i][j]
    ]
    wrong.sort(key=lambda entry: (-entry[0], entry[1:]))
    if not wrong:
        return f"confusion matrix of {len(classes)} classes: no confusions"
    lines = [f"confusion matrix of {len(classes)} classes: the most frequent of {len(wrong)} confusions"]
    names = [_label(name, 24) for name in classes]
    first = max(_width(names[i]) for _, i, _ in wrong[:count])
    for number, i, j in wrong[:count]:
        lines.append(f"  {_right(names[i], first)} taken for {names[j]}: {number} of {int(sum(matrix[i]))}")
    return "\n".join(lines)


def task_text(table, parts, seed):
    """The data: rows, features, classes and the split."""
    rows = ", ".join(f"{len(y)} {name}" for name, (_, y) in parts.items())
    n, features = table.X.shape
    size = f"{n} rows, {features} features, {len(table.classes)} classes"
    return one_line(f"{table.name}: {size}; {rows} (seed {seed})")


def model_text(widths, model, arguments):
    """The model and how it is trained."""
    parameters = sum(parameter.value.size for parameter in model.parameters())
    return (
        f"model: {'-'.join(map(str, widths))}, batch norm, ReLU, dropout {arguments.dropout:g}, "
        f"{parameters:,} parameters\n"
        f"training: SGD, learning rate {arguments.learning_rate:g}, momentum {arguments.momentum:g}, "
        f"weight decay {arguments.weight_decay:g}, batch size {arguments.batch_size}, "
        f"{arguments.epochs} epochs"
    )


def results_text(history, matrix, classes, threads):
    """Accuracy, speed (of the training passes, without validation) and confusion matrix."""
    total = int(sum(map(sum, matrix)))
    correct = sum(int(matrix[i][i]) for i in range(len(classes)))
    epochs = history.samples / history.epoch_samples
    rate = history.samples / history.seconds
    return (
        f"\ntest accuracy  {accuracy_text(correct, total)}\n"
        f"speed          {history.seconds / epochs:.4f} s per epoch, {rate:,.0f} samples per second, "
        f"{threads} thread{'s' if threads > 1 else ''}\n\n"
    ) + confusion_text(matrix, classes)
