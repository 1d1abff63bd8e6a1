"""``--checkpoint``: a training that is stopped, by whatever, goes on where it was, to the bit."""

import dataclasses
import hashlib
import os

import numpy as np

from fastml import nn
from fastml.cli.errors import CommandError
from fastml.cli.fit import History
from fastml.nn.checkpoint import contents

#: Options that make another training; what is shown and written, and the number of threads, may change.
OPTIONS = (
    "seed", "layers", "dropout", "epochs", "batch_size", "learning_rate", "momentum", "weight_decay", "label_smoothing",
)  # fmt: skip


def check_options(arguments):
    """CommandError where the options do not go together, or would replace the state of another training."""
    path = arguments.checkpoint
    if path is None:
        for option in ("every", "resume"):
            if getattr(arguments, option):
                raise CommandError(f"--{option} is for --checkpoint FILE")
        return
    if os.path.isdir(path):
        raise CommandError(f"--checkpoint {path}: is a directory, not a file")
    if arguments.save is not None and os.path.realpath(arguments.save) == os.path.realpath(path):
        raise CommandError(f"--checkpoint {path} must be another file than --save {arguments.save}")
    if os.path.exists(path) and not arguments.resume:
        raise CommandError(f"--checkpoint {path}: the file is there already: go on from it with --resume, or remove it")


class Checkpoint:
    """The file of one training: its state, beside the options and a hash of the data that it belongs to."""

    def __init__(self, arguments, training, table):
        self.path = arguments.checkpoint
        self.failure = None  # why the last one could not be written
        self._training = training
        self._options = {name: getattr(arguments, name) for name in OPTIONS}
        digest = hashlib.sha256(f"{table.X.dtype} {table.X.shape} {table.classes}".encode())
        for array in (table.X, table.y):
            digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8))
        self._data = digest.hexdigest()

    def save(self):
        """Write the state as it is now; where that fails training goes on, and ``failure`` says why."""
        history = dataclasses.asdict(self._training.history)
        about = {"options": self._options, "data": self._data, "history": history}
        self.failure = None
        try:
            nn.save_checkpoint(self.path, **self._training.parts(), extra=about)
        except OSError as error:
            self.failure = f"--checkpoint {self.path}: {error.strerror or error}"

    def resume(self):
        """Take over the state in the file; CommandError where it is of another training, False where there is none."""
        try:
            about = contents(self.path)["extra"]
            self._compare(about)  # before the state: what belongs to other options has other shapes
            nn.load_checkpoint(self.path, **self._training.parts())
        except FileNotFoundError:
            return False
        except OSError as error:
            raise CommandError(f"--checkpoint {self.path}: {error.strerror or error}") from None
        except ValueError as error:
            raise CommandError(f"--checkpoint {error}") from None
        self._training.history = History(**about["history"])
        return True

    def _compare(self, about):
        """CommandError where the file is of another command, of a training with other options or of other data."""
        if not isinstance(about, dict) or about.keys() != {"options", "data", "history"}:
            raise CommandError(f"--checkpoint {self.path}: it was not written by fastml train")
        saved = about["options"]
        others = [name for name, value in self._options.items() if saved.get(name) != value]
        if about["data"] != self._data and "seed" not in others:  # which draws the points of spirals
            raise CommandError(f"--checkpoint {self.path}: its training has other data")
        if others:
            both = saved.get(others[0]), self._options[others[0]]
            was, now = (",".join(map(str, value)) if isinstance(value, tuple) else value for value in both)
            raise CommandError(
                f"--checkpoint {self.path}: its training has --{others[0].replace('_', '-')} {was}, not {now}"
            )
