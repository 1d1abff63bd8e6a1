"""Reading the user's own table, CSV, TSV or NPZ, into numbers and class labels.

Text files are read with the csv module, row by row, into one flat array of doubles. Every fault is one
CommandError that names the file, the row and the column. Rows of a text file are counted from 1 as a
spreadsheet shows them, the header among them; columns are called by their header, else by their index from
0. Rows and columns of an NPZ array are NumPy indices.
"""

import array
import csv
import math
import os
import re
import warnings
from dataclasses import dataclass

import numpy as np

from fastml._check import hint
from fastml._files import reading
from fastml.cli.errors import CommandError

SUFFIXES = (".csv", ".tsv", ".npz")
MIN_ROWS = 10
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")


@dataclass
class Table:
    """A classification problem: ``y[i]`` is the position in ``classes`` of the label of row ``X[i]``."""

    name: str
    X: np.ndarray  # (rows, features), floating point or uint8, finite
    y: np.ndarray  # (rows,) int64
    classes: list  # int or str, sorted
    columns: list  # the features' names
    one_unit: bool = False  # whether all features have the same unit (pixels)
    test_rows: int = 0  # how many of the last rows are a test part of their own; 0: the seed draws one


def read_table(path, label=None, header=None):
    """Read ``path`` (.csv, .tsv or .npz).

    ``label`` is the label column (a name, or an index from 0, -1 being the last), or the key of the label
    array in an NPZ file (default y). ``header`` says whether a text file's first row has the columns' names;
    None: see `_has_header`. CommandError: anything about the file that cannot be used.
    """
    path = os.fspath(path)
    suffix = os.path.splitext(path)[1].lower()
    if os.path.isdir(path):
        raise CommandError(f"{path}: is a directory, not a file")
    try:
        with reading(path, f"usable {suffix} file", own=CommandError):
            if suffix == ".npz":
                return _read_npz(path, label)
            with open(path, encoding="utf-8-sig", newline="") as file:
                return _read_text(file, path, label, header, "\t" if suffix == ".tsv" else ",")
    except FileNotFoundError:
        raise CommandError(f"{path}: no such file") from None
    except OSError as error:
        raise CommandError(f"{path}: cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise CommandError(str(error)) from None


# Text


def _read_text(file, path, label, header, delimiter):
    rows = _rows(file, path, delimiter)
    first = next(rows, None)
    if first is None:
        raise CommandError(f"{path}: the file is empty")
    row, names = first
    if header is None:
        header = _has_header(names, label)
    if len(names) == 1:
        separator = "tabs" if delimiter == "\t" else "commas"
        raise CommandError(f"{path}: row {row} has a single column; cells are separated by {separator}")
    names = [name.strip() for name in names] if header else [None] * len(names)
    target = _label_column(path, names, label)
    if not header:
        rows = _chain(first, rows)

    values = array.array("d")
    labels = array.array("q")  # codes of the labels in the order of their appearance
    codes = {}
    for row, cells in rows:
        if len(cells) != len(names):
            if not "".join(cells).strip():
                continue
            raise CommandError(f"{path}: row {row} has {len(cells)} cells instead of {len(names)}")
        name = cells.pop(target).strip()
        if not name or name.lower() == "nan":
            raise CommandError(f"{path}: row {row}, column {_called(names, target)}: the label is missing")
        try:
            numbers = [float(cell) for cell in cells]
        except ValueError:
            numbers = None
        # A sum that is not finite has a term that is not, or overflows: the slow look tells which.
        if numbers is None or not math.isfinite(sum(numbers)) or "_" in "".join(cells):
            cells.insert(target, None)
            _check_cells(path, row, names, cells)
        values.extend(numbers)
        labels.append(codes.setdefault(name, len(codes)))
    if not labels:
        raise CommandError(f"{path}: the file has a header but no rows")

    X = np.frombuffer(values, dtype=np.float64).reshape(len(labels), len(names) - 1)
    y, classes = _sort_classes(np.frombuffer(labels, dtype=np.int64), list(codes))
    columns = [str(i) if name is None else name for i, name in enumerate(names) if i != target]
    return _checked(path, f"column {_called(names, target)}", X, y, classes, columns)


def _rows(file, path, delimiter):
    """(row number, cells) of every row that is not blank, with the file's faults as CommandError."""
    row = 0
    try:
        for row, cells in enumerate(csv.reader(file, delimiter=delimiter, strict=True), start=1):
            if cells:
                yield row, cells
    except UnicodeDecodeError as error:
        raise CommandError(f"{path}: after row {row}: not UTF-8 text ({error.reason})") from None
    except csv.Error as error:
        raise CommandError(f"{path}: row {row + 1}: {error}") from None


def _chain(first, rows):
    yield first
    yield from rows


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text


def _has_header(cells, label):
    """Whether a first row is a header: not when all its cells beside the label are numbers.

    A label column that is given by name needs a header, and 0, 1, 2 and so on are names, not data.
    """
    if label is None or not _INTEGER.fullmatch(label):
        return True
    if [cell.strip() for cell in cells[:-1]] == [str(i) for i in range(len(cells) - 1)]:
        return True
    index = int(label)
    index += len(cells) if index < 0 else 0
    return not all(_is_number(cell) for i, cell in enumerate(cells) if i != index)


def _label_column(path, names, label):
    """The index of the label column: the one called ``label``, else the one with that index."""
    known = ", ".join(_called(names, i) for i in range(min(len(names), 12)))
    if len(names) > 12:
        known += f", ... ({len(names)} in all)"
    if label is None:
        raise CommandError(f"{path}: name the column of the labels with --label; the columns are {known}")
    if names.count(label) > 1:
        raise CommandError(f"{path}: {names.count(label)} columns are called {label!r}; use an index")
    if label in names:
        return names.index(label)
    if _INTEGER.fullmatch(label) and -len(names) <= int(label) < len(names):
        return int(label) % len(names)
    raise CommandError(f"{path}: no column {label!r} for --label; the columns are {known}{hint(label, names)}")


def _called(names, index):
    return repr(names[index]) if names[index] else str(index)


def _check_cells(path, row, names, cells):
    """Raise for the first cell of a row that is not a finite number (None: the label, left out)."""
    for i, cell in enumerate(cells):
        if cell is None:
            continue
        if not cell.strip():
            fault = "the cell is empty"
        elif not _is_number(cell):
            fault = f"{_short(cell)} is not a number"
        elif not math.isfinite(float(cell)):
            fault = f"{_short(cell)} is not a finite number"
        else:
            continue
        raise CommandError(f"{path}: row {row}, column {_called(names, i)}: {fault}")


def _short(text):
    return repr(text if len(text) <= 40 else text[:37] + "...")


def _sort_classes(codes, names):
    """Labels and classes in order: as integers where every name is one, else as text."""
    if all(_INTEGER.fullmatch(name) for name in names):
        names = [int(name) for name in names]
    classes = sorted(set(names))
    position = {name: i for i, name in enumerate(classes)}
    return np.array([position[name] for name in names], dtype=np.int64)[codes], classes


# NPZ


def _read_npz(path, label):
    with open(path, "rb") as file, warnings.catch_warnings(action="ignore"):  # about headers of Python 2
        archive = np.load(file, allow_pickle=False)
        if isinstance(archive, np.ndarray):
            raise CommandError(f"{path}: not a usable .npz file: it holds a single array")
        keys = archive.files
        features = next((key for key in ("X", "x") if key in keys), None)
        target = "y" if label is None else label
        for key, option in ((features, ""), (target, " for --label" if label else "")):
            if key not in keys:
                raise CommandError(
                    f"{path}: no array {key or 'X'!r}{option}; the arrays are {', '.join(keys) or 'none'}"
                    f"{hint(key, keys)}"
                )
        if features == target:
            raise CommandError(f"{path}: array {target!r} cannot be both features and labels")
        try:
            X, y = archive[features], archive[target]
        except ValueError as error:
            if "allow_pickle" in str(error):
                raise CommandError(f"{path}: not a usable .npz file: arrays of objects are not read") from None
            raise
    for key, value in ((features, X), (target, y)):
        if not isinstance(value, np.ndarray):
            raise CommandError(f"{path}: {key!r} is no array")

    if X.ndim < 2 or X.dtype.kind not in "biuf":
        raise CommandError(f"{path}: array {features!r} must be rows and columns of numbers, not {X.dtype} {X.shape}")
    one_unit = X.ndim > 2
    X = X.reshape(len(X), math.prod(X.shape[1:]))
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1 or len(y) != len(X):
        raise CommandError(
            f"{path}: array {target!r} must have one label for each of the {len(X)} rows of {features!r}, "
            f"not the shape {y.shape}"
        )
    if X.dtype.kind in "biu":
        X = X.astype(np.float32 if X.dtype.itemsize <= 2 else np.float64)
    finite = np.isfinite(X)
    if not finite.all():
        row, column = np.argwhere(~finite)[0]
        fault = f"{X[row, column]} is not finite"
        raise CommandError(f"{path}: row {row}, column {column} of {features!r}: {fault}")
    y, classes = _npz_labels(path, target, y)
    return _checked(path, f"array {target!r}", X, y, classes, [str(i) for i in range(X.shape[1])], one_unit)


def _npz_labels(path, key, y):
    if y.dtype.kind == "f":
        whole = np.isfinite(y) & (y == np.floor(y)) & (np.abs(y) < 2**53)
        if not whole.all():
            row = int(np.argmin(whole))
            raise CommandError(f"{path}: row {row} of {key!r}: {y[row]} is not a label (integer or text)")
        y = y.astype(np.int64)
    elif y.dtype.kind == "S":
        y = np.char.decode(y, "utf-8", "backslashreplace")
    elif y.dtype.kind not in "biuU":
        raise CommandError(f"{path}: array {key!r} must be integers or text, not {y.dtype}")
    if y.dtype.kind == "U" and not (present := np.char.str_len(np.char.strip(y)) > 0).all():
        raise CommandError(f"{path}: row {np.argmin(present)} of {key!r}: the label is missing")
    classes, y = np.unique(y, return_inverse=True)
    as_python = str if classes.dtype.kind == "U" else int
    return y.reshape(-1).astype(np.int64), [as_python(name) for name in classes]


# Both


def _checked(path, where, X, y, classes, columns, one_unit=False):
    if X.shape[1] == 0:
        raise CommandError(f"{path}: there is no column of features beside the labels")
    if len(X) < MIN_ROWS:
        raise CommandError(f"{path}: {len(X)} rows are too few; at least {MIN_ROWS} are needed")
    if len(classes) == 1:
        raise CommandError(f"{path}: {where}: every label is {classes[0]!r}; at least two classes are needed")
    if 2 * len(classes) > len(X):
        raise CommandError(
            f"{path}: {where}: {len(classes)} different labels in {len(X)} rows; a class needs several rows"
        )
    return Table(os.path.basename(path), X, y, classes, columns, one_unit)
