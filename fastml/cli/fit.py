"""The training loop of ``fastml train``: scaling, model, epochs, progress, Ctrl-C, the saved file."""

import itertools
import json
import math
import signal
import threading
import time
from dataclasses import dataclass, field

import numpy as np

from fastml import data, nn, optim
from fastml._progress import Progress
from fastml.cli.errors import CommandError

CHUNK = 4096  # rows of one pass outside training; bounds the memory


@dataclass
class History:
    """What an epoch leaves behind; an interrupted epoch counts as far as it went."""

    losses: list = field(default_factory=list)
    val_accuracies: list = field(default_factory=list)
    seconds: float = 0.0  # of training passes, without validation
    samples: int = 0
    epoch_samples: int = 0  # of one whole epoch


class Interrupt:
    """While it is active the first Ctrl-C only sets ``requested``; the second one raises as usual.

    So a training step is never cut in half, and the results of the last whole one are there to report.
    """

    def __init__(self):
        self.requested = False
        self._previous = None

    def __enter__(self):
        # Where Ctrl-C is ignored (nohup) it stays so; only the main thread may set a handler.
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) not in (
            signal.SIG_IGN,
            None,
        ):
            self._previous = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *exception):
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)

    def _handle(self, number, frame):
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True


# Before training


def prepare(table, seed, test_share, validation_share):
    """Split and scale: ``{"training": (X, y), "validation": ..., "test": ...}`` and (mean, scale)."""
    rows = np.arange(len(table.y))
    if table.test_rows:
        rest, test = np.split(rows, [len(rows) - table.test_rows])
    else:
        rest, test = data.split(rows, test_size=test_share, seed=seed)
    training, validation = data.split(rest, test_size=validation_share, seed=seed)
    mean, scale = scaling_of(table.X[training], table.one_unit)
    for values, what in ((mean, "mean"), (scale, "deviation")):
        if not np.isfinite(values).all():
            column = repr(table.columns[int(np.argmin(np.isfinite(values)))])
            raise CommandError(
                f"{table.name}: column {column}: the values are too large, their {what} overflows"
            )
    parts = {}
    for name, rows in (("training", training), ("validation", validation), ("test", test)):
        X = np.empty((len(rows), table.X.shape[1]), np.float32)
        with np.errstate(over="ignore"):
            for part in _chunks(len(rows)):
                X[part] = (table.X[rows[part]] - mean) / scale
        if not (finite := np.isfinite(X)).all():
            column = repr(table.columns[int(np.argwhere(~finite)[0][1])])
            raise CommandError(
                f"{table.name}: column {column}: a value is too large beside those of the training part"
            )
        parts[name] = X, table.y[rows]
    return parts, (mean, scale)


def _chunks(n):
    """Slices of at most CHUNK of n rows: what is computed in double precision stays small."""
    return [slice(start, start + CHUNK) for start in range(0, n, CHUNK)]


def scaling_of(X, one_unit=False):
    """Mean and standard deviation of each column in float64; a constant column has scale 1.

    ``one_unit``: the columns share a unit, as pixels do, and so the root of their mean variance. (By their
    own, the rarely inked pixels of the digits' border weigh most: the mean test accuracy falls by 0.7 %.)

    >>> scaling_of(np.array([[1.0, 5.0], [3.0, 5.0]]))
    (array([2., 5.]), array([1., 1.]))
    """
    with np.errstate(over="ignore", invalid="ignore"):
        mean = sum(X[part].sum(axis=0, dtype=np.float64) for part in _chunks(len(X))) / len(X)
        scale = np.sqrt(sum(np.square(X[part] - mean).sum(axis=0) for part in _chunks(len(X))) / len(X))
    # Not by scale == 0 alone: the mean of equal values may be off by one rounding.
    constant = (X.max(axis=0) == X.min(axis=0)) | (scale == 0)
    scale[constant] = 0.0
    if one_unit:
        scale[:] = np.sqrt(np.mean(scale**2))
    scale[scale == 0] = 1.0
    return mean, scale


def unseen_classes(table, y_training):
    """The classes that have no row in the training part."""
    counts = np.bincount(y_training, minlength=len(table.classes))
    return [table.classes[i] for i in np.flatnonzero(counts == 0)]


def widths(table, arguments):
    """Widths of the network from features to classes."""
    return [table.X.shape[1], *arguments.layers, len(table.classes)]


def build_model(widths, dropout, seed):
    """The MLP: Linear, BatchNorm, ReLU and Dropout for each hidden layer, then a Linear."""
    nn.manual_seed(seed)
    layers = []
    for n_in, n_out in itertools.pairwise(widths[:-1]):
        # Batch normalisation has a bias of its own and takes away any other.
        layers += [nn.Linear(n_in, n_out, bias=False), nn.BatchNorm(n_out), nn.ReLU()]
        if dropout:
            layers.append(nn.Dropout(dropout))
    return nn.Sequential(*layers, nn.Linear(widths[-2], widths[-1]))


# Training


def fit(model, training, validation, arguments, interrupt):
    """Train ``model`` for ``arguments.epochs`` epochs or until ``interrupt.requested``; returns the History.

    CommandError (exit code 1) as soon as the loss or an output is not finite.
    """
    X, y = training
    loss_fn = nn.CrossEntropyLoss(label_smoothing=arguments.label_smoothing)
    optimizer = optim.SGD(
        model.parameters(),
        lr=arguments.learning_rate,
        momentum=arguments.momentum,
        weight_decay=arguments.weight_decay,
    )
    step = nn.compile_step(model, loss_fn, optimizer)
    # A batch of one row has no variance to normalise by: that row waits for another epoch.
    single = int(len(y) % arguments.batch_size == 1)
    batches = data.batches(X, y, batch_size=arguments.batch_size, seed=arguments.seed, drop_last=bool(single))
    history = History(epoch_samples=len(y) - single)
    with Progress(arguments.epochs, history.epoch_samples, arguments.quiet) as progress:
        for epoch in range(arguments.epochs):
            optimizer.lr = arguments.learning_rate * (1 + math.cos(math.pi * epoch / arguments.epochs)) / 2
            model.train()
            total = rows = 0
            start = time.perf_counter()
            for X_batch, y_batch in batches:
                loss = float(step(X_batch, y_batch))
                if not math.isfinite(loss):
                    raise _diverged(f"the loss of epoch {epoch + 1} is {loss}")
                total += loss * len(y_batch)
                rows += len(y_batch)
                progress.advance(len(y_batch))
                if interrupt.requested:
                    break
            history.seconds += time.perf_counter() - start
            history.samples += rows
            history.losses.append(total / rows)
            history.val_accuracies.append(float(np.mean(predict(model, validation[0]) == validation[1])))
            progress.end_epoch(
                epoch,
                f"loss {history.losses[-1]:.4f}",
                f"validation accuracy {100 * history.val_accuracies[-1]:.2f} %",
            )
            if interrupt.requested:
                break
    return history


def _diverged(what):
    return CommandError(f"training diverged: {what}; nothing is saved; try a lower --learning-rate", code=1)


def predict(model, X):
    """The class of every row of ``X``; CommandError (exit code 1) where an output is not finite."""
    return outputs(model, X).argmax(axis=1)


def outputs(model, X):
    """The logits of every row of ``X``, (rows, classes); CommandError as in :func:`predict`."""
    model.eval()
    logits = np.concatenate([model(X[part]) for part in _chunks(len(X))])
    if not np.isfinite(logits).all():
        raise _diverged("the model's outputs are not finite")
    return logits


# After training


def save_model(arguments, table, model, scaling, accuracy):
    """Write weights, scaling and names to ``arguments.save``."""
    mean, scale = scaling
    about = {
        "classes": table.classes,
        "columns": table.columns,
        "mean": mean.tolist(),
        "scale": scale.tolist(),
        "layers": widths(table, arguments),
        "dropout": arguments.dropout,
        "data": table.name,
        "seed": arguments.seed,
        "test_accuracy": accuracy,
    }
    nn.save(model, arguments.save, metadata={key: json.dumps(value) for key, value in about.items()})
