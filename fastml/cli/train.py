"""``fastml train``: from a table to a trained classifier and an honest figure of its accuracy.

The rows are split by the seed into training, validation and test part (MNIST has a test part of its own); scaling
and training see the training part alone, the validation part is only watched, and the test part is looked at
once, at the end. The data sets known by name are in sources.py, the loop itself is in fit.py.
"""

import argparse
import os
import sys
import tempfile

from fastml.cli import options, sources
from fastml.cli.errors import CommandError, one_line
from fastml.cli.table import MIN_ROWS, read_table
from fastml.data.synthetic import MOST_NOISE

TEST_SHARE = 0.2  # of all rows
VALIDATION_SHARE = 0.1  # of the other rows

_DESCRIPTION = """\
Train a multi-layer perceptron (batch normalisation, ReLU, dropout; SGD with momentum, learning rate
falling along a cosine) to tell classes apart, and show how well it does on rows it has never seen.

A fifth of the rows is the test part (mnist: its own test set); a tenth of the others is the validation
part, which is watched during training and decides nothing. Features are scaled to mean 0 and standard
deviation 1 by the training part's figures (pixels of images and coordinates of points by one standard
deviation for all). The same seed gives the same bits, for any number of threads.
"""

_EPILOG = """\
data sets:
  digits      1797 images of 8x8 pixels, comes with fastml
  mnist       70000 images of 28x28 pixels, or any set in that form, from the four files in --data FOLDER:
              train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte,
              plain or .gz
  spirals     --points points in the plane on two spirals, as in TensorFlow Playground, drawn from the seed

files:
  .csv, .tsv  UTF-8 text, cells separated by commas or tabs. One column, --label, has the classes
              (integers or text), all others are numbers. Error messages count rows from 1, header included.
  .npz        NumPy arrays: X or x has the features, one row for each sample (images: further axes),
              y, or the array named by --label, the classes (integers or text).

examples:
  fastml train
  fastml train --seed 3 --save digits.safetensors --plots figures
  fastml train spirals --noise 0.3 --plots figures
  fastml train mnist --data ~/mnist --save mnist.safetensors
  fastml train iris.csv --label species --epochs 100
  fastml train iris.data.csv --label -1 --no-header
  fastml train images.npz --label targets --layers 256,128 --threads 2
  fastml train mnist --data ~/mnist --checkpoint state.safetensors --resume

--save writes the weights (names as in PyTorch) and, as metadata, what belongs to them, each as JSON:
classes, columns, mean and scale (a row x enters as (x - mean) / scale), layers, dropout, data, seed,
test_accuracy.

--checkpoint writes all that training needs to go on, after every --every epochs and on Ctrl-C; the file is replaced as
a whole, so a training that is killed loses no more than that. --resume wants the data and options of the first start.

exit codes: 0 done, 1 training failed, 2 input that cannot be used, 130 interrupted by Ctrl-C (results so
far are shown and saved).
"""


def add_parser(subparsers):
    """Add the ``train`` command to ``subparsers``."""
    parser = subparsers.add_parser(
        "train",
        help="train a classifier on digits, MNIST, spirals or a table of your own",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _add_data(parser.add_argument_group("data"))
    _add_model(parser.add_argument_group("model"))
    _add_training(parser.add_argument_group("training"))
    _add_output(parser.add_argument_group("output"))
    parser.set_defaults(func=_train)


def _add_data(group):
    group.add_argument(
        "data",
        nargs="?",
        default="digits",
        metavar="DATA",
        help="digits (the default), mnist, spirals, or FILE.csv, FILE.tsv, FILE.npz",
    )
    group.add_argument("--data", dest="folder", metavar="FOLDER", help="folder with the files of mnist")
    group.add_argument(
        "--points",
        type=options.integer(MIN_ROWS, 10**7),
        metavar="N",
        help=f"points of spirals (default: {sources.POINTS})",
    )
    group.add_argument(
        "--noise",
        type=options.real(0, MOST_NOISE),
        metavar="X",
        help=f"largest shift of a point of spirals, whose radius is 5 (default: {sources.NOISE})",
    )
    group.add_argument(
        "--label",
        metavar="COLUMN",
        help="column with the classes: its name, or its index from 0 (-1 is the last); in an .npz file the "
        "name of the array (default there: y)",
    )
    group.add_argument(
        "--header",
        action=argparse.BooleanOptionalAction,
        help="whether the first row of a text file has the columns' names (default: it has, unless --label "
        "is an index and all the other cells of that row are numbers)",
    )


def _add(group, name, type, metavar, text):
    """An option whose default depends on the data."""
    attribute = name[2:].replace("-", "_")
    shown = [
        (f"{source}: " if source else "default: ") + _shown(defaults[attribute])
        for source, defaults in sources.DEFAULTS.items()
        if attribute in defaults
    ]
    group.add_argument(name, type=type, metavar=metavar, help=f"{text} ({'; '.join(shown)})")


def _add_model(group):
    _add(group, "--layers", options.layers, "N,N", "widths of the hidden layers")
    _add(group, "--dropout", options.real(0, 1), "P", "probability of dropping a hidden value")


def _add_training(group):
    _add(group, "--epochs", options.integer(1), "N", "passes over the training part")
    _add(group, "--batch-size", options.integer(2), "N", "rows in a step")
    _add(group, "--learning-rate", options.real(0, open_low=True), "LR", "learning rate at the start")
    _add(group, "--momentum", options.real(0, 1), "M", "momentum of SGD")
    _add(group, "--weight-decay", options.real(0), "W", "L2 penalty of SGD")
    _add(group, "--label-smoothing", options.real(0, 1), "S", "share of a label spread over all classes")
    group.add_argument(
        "--seed",
        type=options.integer(0, 2**32 - 1),
        default=0,
        metavar="N",
        help="seed of points, split, weights, order and dropout (default: 0)",
    )
    group.add_argument(
        "--threads", type=options.integer(1, 1024), metavar="N", help="threads (default: see 'fastml info')"
    )


def _add_output(group):
    group.add_argument("--save", metavar="FILE", help="write the model to FILE (.safetensors)")
    group.add_argument(
        "--plots",
        metavar="FOLDER",
        help="write loss.png and confusion_matrix.png into FOLDER, made if missing, and boundary.png where the "
        "data have two features, such as spirals (needs matplotlib)",
    )
    group.add_argument(
        "--checkpoint",
        metavar="FILE",
        help="write the state of the training to FILE (.safetensors), so that --resume can go on from it",
    )
    group.add_argument(
        "--every", type=options.integer(1), metavar="N", help="epochs from one checkpoint to the next (default: 1)"
    )
    group.add_argument(
        "--resume",
        action="store_true",
        help="go on from the --checkpoint, if it is there: to the same bits as without a stop",
    )
    group.add_argument("--quiet", action="store_true", help="no progress, only the results")


def _shown(default):
    return ",".join(map(str, default)) if isinstance(default, tuple) else str(default)


def _train(arguments):
    sources.check_options(arguments)
    sources.fill_defaults(arguments)
    from fastml.cli import checkpoints

    checkpoints.check_options(arguments)
    _check_outputs(arguments.save, arguments.plots, arguments.checkpoint)
    table = _load(arguments)
    import fastml

    if arguments.threads is None:
        return _run(arguments, table)
    with fastml.num_threads(arguments.threads):
        return _run(arguments, table)


def _check_outputs(save, plots, checkpoint):
    """CommandError unless all can be written: before training, not after it."""
    if checkpoint is not None:
        _check_folder(f"--checkpoint {checkpoint}", os.path.dirname(checkpoint) or ".")
    if save is not None:
        if not save.endswith(".safetensors"):
            raise CommandError(f"--save {save}: the name must end in .safetensors")
        if os.path.isdir(save):
            raise CommandError(f"--save {save}: is a directory, not a file")
        if os.path.exists(save) and not os.access(save, os.W_OK):
            raise CommandError(f"--save {save}: the file is not writable")
        _check_folder(f"--save {save}", os.path.dirname(save) or ".")
    if plots is not None:
        from fastml.cli import plots as drawing

        drawing.check_matplotlib()
        if not os.path.lexists(plots):
            _check_folder(f"--plots {plots}", os.path.dirname(plots.rstrip(os.sep)) or ".")
            os.mkdir(plots)
        _check_folder(f"--plots {plots}", plots)


def _check_folder(option, folder):
    if not os.path.exists(folder):
        raise CommandError(f"{option}: the folder {folder} does not exist")
    if not os.path.isdir(folder):
        raise CommandError(f"{option}: {folder} is not a folder")
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise CommandError(f"{option}: the folder {folder} is not writable: {error.strerror}") from None


def _load(arguments):
    """The table that is asked for."""
    name = arguments.data
    if name in sources.NAMES:
        return sources.load(arguments)
    suffix = os.path.splitext(name)[1].lower()
    if suffix == ".npz" and arguments.header is not None:
        raise CommandError("--header and --no-header are for .csv and .tsv files")
    return read_table(name, arguments.label, arguments.header)


def _run(arguments, table):
    """Split, scale, train, test, write, report; returns the exit code."""
    import fastml
    from fastml.cli import fit, report
    from fastml.metrics import accuracy_score, confusion_matrix

    parts, scaler = fit.prepare(table, arguments.seed, TEST_SHARE, VALIDATION_SHARE)
    X_test, y_test = parts["test"]
    widths = fit.widths(table, arguments)
    model = fit.build_model(widths, arguments.dropout, arguments.seed)
    training = fit.Training(model, parts["training"], parts["validation"], arguments)
    checkpoint = _checkpoint(training, arguments, table)
    history, save = training.history, checkpoint.save if checkpoint else lambda: None
    with fit.Interrupt() as interrupt:
        header = f"{report.task_text(table, parts, arguments.seed)}\n{report.model_text(widths, model, arguments)}\n"
        unwritten = _print(header)
        for name in fit.unseen_classes(table, parts["training"][1]):
            _say(f"warning: class {name!r} has no row in the training part: it cannot be learned")
        training.run(interrupt, arguments.quiet, save, arguments.every or 1)
        predicted = fit.predict(model, X_test)
        matrix = confusion_matrix(y_test, predicted, labels=list(range(len(table.classes))))
        accuracy = float(accuracy_score(y_test, predicted))
        if interrupt.requested:
            done = len(history.losses)
            _say(f"interrupted in epoch {done} of {arguments.epochs}; what follows is of the model so far")
        written, failures = _write(arguments, table, model, scaler, parts, history, matrix, accuracy)
        results = report.results_text(history, matrix, table.classes, fastml.get_num_threads())
        unwritten = _print("\n".join([results, *(f"wrote {path}" for path in written), ""])) or unwritten
    if checkpoint and checkpoint.failure:
        failures.append(checkpoint.failure)
    if failures:
        raise CommandError("; ".join(failures), code=1)
    if unwritten:
        raise unwritten
    return 130 if interrupt.requested else 0


def _checkpoint(training, arguments, table):
    """The --checkpoint of a training, which goes on from it where that is asked for; None without one."""
    if arguments.checkpoint is None:
        return None
    from fastml.cli.checkpoints import Checkpoint

    checkpoint = Checkpoint(arguments, training, table)
    if arguments.resume:
        if checkpoint.resume():
            done = len(training.history.losses)
            _say(f"going on from {arguments.checkpoint}: {done} of {arguments.epochs} epochs are done")
        else:
            _say(f"there is no {arguments.checkpoint} yet: training begins at the start")
    return checkpoint


def _print(text):
    """Print now; the error where that fails: a reader that left or a full disk does not cost the trained model."""
    try:
        print(text, end="", flush=True)
    except OSError as error:
        return error
    return None


def _write(arguments, table, model, scaler, parts, history, matrix, accuracy):
    """Write model and plots; returns the paths written and, in words, what could not be."""
    from fastml.cli import fit

    written, failures = [], []
    if arguments.save is not None:
        try:
            fit.save_model(arguments, table, model, scaler, accuracy)
            written.append(arguments.save)
        except OSError as error:
            failures.append(f"--save {arguments.save}: {error.strerror or error}")
    if arguments.plots is not None:
        from fastml.cli import plots

        figures = {
            "loss": plots.loss(history, arguments.label_smoothing, len(table.classes)),
            "confusion_matrix": plots.confusion(matrix, table.classes),
        }
        if table.X.shape[1] == 2 and len(table.classes) <= plots.MOST_COLORS:
            figures["boundary"] = plots.boundary(lambda X: fit.outputs(model, X), table, parts, scaler, accuracy)
        try:
            written += plots.save_figures(arguments.plots, figures)
        except OSError as error:
            failures.append(f"--plots {arguments.plots}: {error.strerror or error}")
    return written, failures


def _say(text):
    print(one_line(f"fastml: {text}"), file=sys.stderr)
