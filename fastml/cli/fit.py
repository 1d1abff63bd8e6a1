"""The training loop of ``fastml train``: scaling, model, epochs, progress, Ctrl-C, the saved file."""

import itertools
import json
import math
import signal
import threading
import time
from dataclasses import dataclass, field

import numpy as np

import fastml
from fastml import data, nn, optim
from fastml._progress import Progress
from fastml.cli.errors import CommandError
from fastml.preprocessing import StandardScaler

CHUNK = 4096  # rows of one pass outside training; bounds the memory


@dataclass
class History:
    """What epochs leave behind; an interrupted epoch counts as far as it went."""

    epoch_samples: int  # of one whole epoch
    losses: list = field(default_factory=list)  # with label smoothing, as they are minimised
    val_losses: list = field(default_factory=list)
    val_accuracies: list = field(default_factory=list)
    seconds: float = 0.0  # of training passes, without validation
    samples: int = 0
    total: float = 0.0  # of the losses of the rows of the epoch under way
    rows: int = 0


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
    """Split and scale: ``{"training": (X, y), "validation": ..., "test": ...}`` and the scaler."""
    rows = np.arange(len(table.y))
    if table.test_rows:
        rest, test = np.split(rows, [len(rows) - table.test_rows])
    else:
        rest, test = data.split(rows, test_size=test_share, seed=seed)
    training, validation = data.split(rest, test_size=validation_share, seed=seed)
    scaler = scaler_of(table.X[training], table.one_unit)
    for values, what in ((scaler.mean_, "mean"), (scaler.scale_, "deviation")):
        if not np.isfinite(values).all():
            column = repr(table.columns[int(np.argmin(np.isfinite(values)))])
            raise CommandError(f"{table.name}: column {column}: the values are too large, their {what} overflows")
    parts = {}
    for name, rows in (("training", training), ("validation", validation), ("test", test)):
        X = np.empty((len(rows), table.X.shape[1]), np.float32)
        with np.errstate(over="ignore"):
            for part in _chunks(len(rows)):
                X[part] = scaler.transform(table.X[rows[part]])
        if not (finite := np.isfinite(X)).all():
            column = repr(table.columns[int(np.argwhere(~finite)[0][1])])
            raise CommandError(f"{table.name}: column {column}: a value is too large beside those of the training part")
        parts[name] = X, table.y[rows]
    return parts, scaler


def _chunks(n):
    """Slices of at most CHUNK of n rows: what is computed in double precision stays small."""
    return [slice(start, start + CHUNK) for start in range(0, n, CHUNK)]


def scaler_of(X, one_unit=False):
    """A StandardScaler that is fitted to X.

    ``one_unit``: the columns share a unit, as pixels do, and so the root of their mean variance. (By their
    own, the rarely inked pixels of the digits' border weigh most: the mean test accuracy falls by 0.7 %.)

    >>> scaler = scaler_of(np.array([[1.0, 5.0], [3.0, 5.0]]))
    >>> scaler.mean_, scaler.scale_
    (array([2., 5.]), array([1., 1.]))
    """
    scaler = StandardScaler()
    with np.errstate(over="ignore", invalid="ignore"):
        for part in _chunks(len(X)):
            scaler.partial_fit(X[part])
    if one_unit:
        varying = X.max(axis=0) > X.min(axis=0)  # the mean of equal values may be off by one rounding
        scaler.scale_[:] = np.sqrt(np.mean(scaler.var_ * varying)) or 1.0
    return scaler


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


class Training:
    """A model on its way through ``arguments.epochs`` epochs, which can be written to a checkpoint and read from it."""

    def __init__(self, model, training, validation, arguments):
        self.model = model
        self.validation = validation
        self.epochs = arguments.epochs
        self._loss_fn = nn.CrossEntropyLoss(label_smoothing=arguments.label_smoothing)
        self.optimizer = optim.SGD(
            model.parameters(),
            lr=arguments.learning_rate,
            momentum=arguments.momentum,
            weight_decay=arguments.weight_decay,
        )
        self.schedule = optim.CosineAnnealingLR(self.optimizer, T_max=arguments.epochs)
        X, y = training
        # A batch of one row has no variance to normalise by: that row waits for another epoch.
        single = int(len(y) % arguments.batch_size == 1)
        self.batches = data.batches(X, y, batch_size=arguments.batch_size, seed=arguments.seed, drop_last=bool(single))
        self.history = History(len(y) - single)

    def parts(self):
        """What a checkpoint holds."""
        return {name: getattr(self, name) for name in ("model", "optimizer", "schedule", "batches")}

    def run(self, interrupt, quiet, save, every):
        """Train to the end or until ``interrupt.requested``; ``save()`` every so many epochs and at the end.

        CommandError (exit code 1) as soon as the loss or an output is not finite.
        """
        step = nn.compile_step(self.model, self._loss_fn, self.optimizer)
        history = self.history
        with Progress(self.epochs, history.epoch_samples, quiet, history.samples) as progress:
            for epoch in range(len(history.losses), self.epochs):
                whole = self._pass(step, epoch, progress, interrupt, save)
                progress.end_epoch(epoch, *self._conclude())
                if not whole:
                    break
                self.schedule.step()
                if interrupt.requested or epoch + 1 == self.epochs or (epoch + 1) % every == 0:
                    save()
                if interrupt.requested:
                    break

    def _pass(self, step, epoch, progress, interrupt, save):
        """The rest of an epoch; whether it came to its end: an interrupted one is saved where it is."""
        self.model.train()
        history = self.history
        start = time.perf_counter()
        for X_batch, y_batch in self.batches:
            loss = float(step(X_batch, y_batch))
            if not math.isfinite(loss):
                raise _diverged(f"the loss of epoch {epoch + 1} is {loss}")
            now = time.perf_counter()
            history.seconds += now - start  # the gathering of the batch too
            start = now
            history.total += loss * len(y_batch)
            history.rows += len(y_batch)
            history.samples += len(y_batch)
            progress.advance(len(y_batch))
            if interrupt.requested:
                save()
                return False
        return True

    def _conclude(self):
        """Losses and validation accuracy of the epoch, into the history and as texts."""
        history = self.history
        history.losses.append(history.total / history.rows)
        history.total = history.rows = 0
        X, y = self.validation
        logits = outputs(self.model, X)
        smoothing = self._loss_fn.label_smoothing
        history.val_losses.append(float(fastml.cross_entropy(logits, y, label_smoothing=smoothing)))
        accuracy = float(np.mean(logits.argmax(axis=1) == y))
        history.val_accuracies.append(accuracy)
        return f"loss {history.losses[-1]:.4f}", f"validation accuracy {100 * accuracy:.2f} %"


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


def save_model(arguments, table, model, scaler, accuracy):
    """Write weights, scaling and names to ``arguments.save``."""
    about = {
        "classes": table.classes,
        "columns": table.columns,
        "mean": scaler.mean_.tolist(),
        "scale": scaler.scale_.tolist(),
        "layers": widths(table, arguments),
        "dropout": arguments.dropout,
        "data": table.name,
        "seed": arguments.seed,
        "test_accuracy": accuracy,
    }
    nn.save(model, arguments.save, metadata={key: json.dumps(value) for key, value in about.items()})
