"""The data sets that ``fastml train`` knows by name, and the options that suit each."""

import os

import numpy as np

from fastml import data
from fastml._check import choice
from fastml.cli.errors import CommandError
from fastml.cli.table import MIN_ROWS, SUFFIXES, Table

NAMES = ("digits", "mnist", "spirals")
#: What an option is where it is not given, by the name of the data set; "" is for all others.
DEFAULTS = {
    "": {
        "layers": (128, 64), "dropout": 0.2, "epochs": 30, "batch_size": 32, "learning_rate": 0.05, "momentum": 0.9,
        "weight_decay": 0.001, "label_smoothing": 0.1,
    },
    "mnist": {"layers": (256, 128), "epochs": 10, "batch_size": 128, "weight_decay": 0.0001},
    # Few points along narrow arms: to drop or smooth anything blurs them.
    "spirals": {
        "layers": (64, 64), "dropout": 0.0, "epochs": 300, "batch_size": 64,
        "weight_decay": 0.0001, "label_smoothing": 0.0,
    },
}  # fmt: skip
POINTS, NOISE = 1000, 0.1  # of the spirals
_FOR = {"folder": ("--data", "mnist"), "points": ("--points", "spirals"), "noise": ("--noise", "spirals")}


def fill_defaults(arguments):
    """Give every option that was not given its default for this data set."""
    for option, value in {**DEFAULTS[""], **DEFAULTS.get(arguments.data, {})}.items():
        if getattr(arguments, option) is None:
            setattr(arguments, option, value)


def check_options(arguments):
    """CommandError for data of no known kind, and where an option is given that another source of data has."""
    name = arguments.data
    if os.path.splitext(name)[1].lower() not in SUFFIXES:
        try:
            choice(name, "DATA", NAMES, f", or a file that ends in {', '.join(SUFFIXES)}")
        except ValueError as error:
            raise CommandError(str(error)) from None
    for attribute, (option, owner) in _FOR.items():
        if getattr(arguments, attribute) is not None and name != owner:
            raise CommandError(f"{option} is for {owner}, not for {name}")
    if name in NAMES:
        for option in ("label", "header"):
            if getattr(arguments, option) is not None:
                raise CommandError(f"--{option} is for files; {name} has its own")
    if name == "mnist" and arguments.folder is None:
        raise CommandError("mnist needs --data FOLDER, the folder with its four files")


def load(arguments):
    """The table of a data set in NAMES."""
    return {"digits": _digits, "mnist": _mnist, "spirals": _spirals}[arguments.data](arguments)


def _digits(arguments):
    X, y = data.load_digits()
    return Table("digits", X, y, list(range(10)), _pixels(8), one_unit=True)


def _mnist(arguments):
    folder = arguments.folder
    try:
        x_train, y_train, x_test, y_test = data.load_mnist(folder)
    except OSError as error:
        raise CommandError(f"--data {error if error.strerror is None else f'{folder}: {error.strerror}'}") from None
    except ValueError as error:
        raise CommandError(f"--data {error}") from None
    if len(y_train) < MIN_ROWS or len(y_test) == 0:
        raise CommandError(
            f"--data {folder}: {len(y_train)} training and {len(y_test)} test images are too few; at least "
            f"{MIN_ROWS} and 1 are needed"
        )
    X = np.concatenate([x_train, x_test]).reshape(-1, 28 * 28)
    y = np.concatenate([y_train, y_test])
    return Table("mnist", X, y, list(range(10)), _pixels(28), one_unit=True, test_rows=len(y_test))


def _spirals(arguments):
    points = POINTS if arguments.points is None else arguments.points
    noise = NOISE if arguments.noise is None else arguments.noise
    X, y = data.make_spirals(points, noise, seed=arguments.seed)
    return Table("spirals", X, y, [0, 1], ["x", "y"], one_unit=True)


def _pixels(side):
    return [f"pixel {i},{j}" for i in range(side) for j in range(side)]
