"""What may have been meant, at the end of an error: options, dtypes, names of a saved state, words of the command line.

Names of modules are Python's own affair: its traceback says what is spelt nearly so, from ``dir(fastml)``.
"""

import re
import subprocess
import sys

import numpy as np
import pytest

import fastml
from fastml import metrics, nn, optim, preprocessing
from fastml._check import hint

from .processes import ROOT
from .test_cli import refused

X, LABELS = np.ones((3, 4), np.float32), np.arange(3)

MEANT = {
    "mean": lambda: fastml.cross_entropy(X, LABELS, reduction="maen"),
    "batchmean": lambda: fastml.kl_div_loss(X, X, reduction="batchmaen"),
    "sum": lambda: nn.MSELoss(reduction="Sum"),
    "tanh": lambda: fastml.gelu(X, approximate="tahn"),
    "relu": lambda: fastml.linear(X, X, activation="ReLU"),
    "float32": lambda: nn.Linear(3, 4, dtype="flaot32"),
    "float64": lambda: fastml.one_hot(LABELS, dtype="floaf64"),
    "zeros": lambda: fastml.one_hot(LABELS, unknown="zero"),
    "torch": lambda: nn.BatchNorm(3, convention="troch"),
    "l2": lambda: preprocessing.Normalizer(norm="L2").fit_transform(X),
    "macro": lambda: metrics.f1_score(LABELS, LABELS, average="marco"),
    "ignore": lambda: preprocessing.OneHotEncoder(handle_unknown="ignor").fit(X),
    "pandas": lambda: preprocessing.StandardScaler().set_output(transform="panda"),
    "with_mean": lambda: preprocessing.StandardScaler().set_params(with_maen=False),
    "momentum": lambda: optim.SGD([{"params": [X.copy()], "momentm": 0.9}], lr=0.1),
    "lr": lambda: optim.SGD([X.copy()], lr=0.1).param_groups[0].__setitem__("Lr", 0.9),
    "linear": lambda: optim.OneCycleLR(
        optim.SGD([X.copy()], lr=0.1), max_lr=1, total_steps=4, anneal_strategy="linaer"
    ),
    "max": lambda: optim.ReduceLROnPlateau(optim.SGD([X.copy()], lr=0.1), mode="mx"),
    "0.weight": lambda: nn.Sequential(nn.Linear(3, 4)).load_state_dict({"0.wieght": X, "0.bias": X[0]}),
}


def said(call):
    with pytest.raises((ValueError, TypeError, KeyError)) as error:
        call()
    return str(error.value.args[0])


@pytest.mark.parametrize("meant", MEANT)
def test_errors_say_what_may_have_been_meant(meant):
    assert re.search(
        rf"(must be .*, not|unexpected:|have options of|Invalid).* \(did you mean {meant!r}\?\)", said(MEANT[meant])
    )


def test_estimators():
    pytest.importorskip("sklearn")
    assert said(lambda: fastml.MLPClassifier(solver="adm").fit(X, LABELS)).endswith("not 'adm' (did you mean 'adam'?)")


def test_nothing_is_guessed_far_off():
    options = ("mean", "sum", "none", None)
    assert hint("average", options) == hint("", options) == hint(3, options) == hint(None, options) == ""
    assert hint("mean" * 10**6, options) == ""
    assert said(lambda: fastml.cross_entropy(X, LABELS, reduction="average")).endswith("not 'average'")


def test_another_models_names_are_not_guessed():
    """Nothing is compared where all is unexpected: it would take long, and say nothing."""
    model = nn.Sequential(*(nn.Linear(2, 2) for _ in range(20)))
    text = said(lambda: model.load_state_dict({f"module.{name}": X for name in model.state_dict()}))
    assert "unexpected: module.0.weight" in text and "did you mean" not in text


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["trian"], "COMMAND must be 'train', 'bench', 'verify' or 'info', not 'trian' (did you mean 'train'?)"),
        (["--versoin"], "fastml has no option --versoin (did you mean '--version'?)"),
        (["train", "--epohcs=3"], "fastml train has no option --epohcs (did you mean '--epochs'?)"),
        (["train", "-q", "x.csv", "y"], "fastml train has no option -q"),
        (["train", "x.csv", "y"], "fastml train takes no argument 'y'"),
        (["verify", "--thread", "2"], "fastml verify has no option --thread (did you mean '--threads'?)"),
        (["train", "mnsit", "--data", "."], "not 'mnsit' (did you mean 'mnist'?)"),
    ],
)  # fmt: skip
def test_command_line(capsys, argv, words):
    assert re.search(rf"{re.escape(words)}( \(see fastml( {argv[0]})? --help\))?\n$", refused(capsys, *argv))


def test_columns(capsys, tmp_path):
    (tmp_path / "t.csv").write_text("petal,species\n1,a\n")
    assert refused(capsys, "train", tmp_path / "t.csv", "--label", "speces").endswith("(did you mean 'species'?)\n")
    np.savez(tmp_path / "t.npz", X=X, targets=LABELS)
    assert refused(capsys, "train", tmp_path / "t.npz", "--label", "target").endswith("(did you mean 'targets'?)\n")


def test_benchmarks(capsys):
    pytest.importorskip("fastml.benchmarks")
    assert refused(capsys, "bench", "softmx").endswith("not 'softmx' (did you mean 'softmax'?)\n")
    assert refused(capsys, "bench", "softmax", "--against", "numpy,trch").endswith("'trch' (did you mean 'torch'?)\n")


def test_names_of_the_module():
    command = [sys.executable, "-c", "import fastml; fastml.sofmax"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.stderr.rstrip().endswith("module 'fastml' has no attribute 'sofmax'. Did you mean: 'softmax'?")


def test_nothing_is_compared_before_an_error():
    command = [sys.executable, "-c", "import sys, fastml, fastml.cli.main; assert 'difflib' not in sys.modules"]
    subprocess.run(command, cwd=ROOT, check=True, timeout=60)
