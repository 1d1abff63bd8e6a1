"""The command line: results, exit codes, one-line errors."""

import re
import sys

import numpy as np
import pytest

from fastml import data, nn
from fastml.cli import report
from fastml.cli.main import main

SMALL = ["--epochs", "2", "--layers", "16", "--quiet"]


def run(capsys, *argv):
    """(exit code, stdout, stderr) of the command in this process."""
    code = main([str(word) for word in argv])
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    return code, out, err


def refused(capsys, *argv, words=(), code=2):
    """The command ends with one line of error, which has ``words``, and prints nothing else."""
    got, out, err = run(capsys, *argv)
    assert (got, out) == (code, ""), err
    assert re.fullmatch(r"fastml: error: [^\n]+\n", err), err
    for word in words:
        assert word in err
    return err


def test_bench_without_the_benchmarks(capsys, monkeypatch):
    """As in a checkout that is not installed."""
    monkeypatch.setitem(sys.modules, "fastml.benchmarks", None)
    refused(capsys, "bench", "relu", words=["bench needs fastml.benchmarks", "pip install"])


# Output files


def test_plots(capsys, tmp_path):
    pytest.importorskip("matplotlib")
    folder = tmp_path / "new"
    code, out, _ = run(capsys, "train", *SMALL, "--plots", folder)
    assert code == 0
    for name in ("loss.png", "confusion_matrix.png"):
        assert f"wrote {folder / name}" in out
        assert (folder / name).read_bytes().startswith(b"\x89PNG")
    assert not (folder / "boundary.png").exists()
    assert "matplotlib.pyplot" not in sys.modules


def test_boundary(capsys, tmp_path):
    """Two colours in the plane, the class of each arm around its points."""
    image = pytest.importorskip("matplotlib.image")
    code, out, _ = run(capsys, "train", "spirals", "--quiet", "--plots", tmp_path)
    assert code == 0 and f"wrote {tmp_path / 'boundary.png'}" in out
    pixels = image.imread(tmp_path / "boundary.png")[200:800, 200:900, :3]
    orange, blue = ((pixels[..., i] > pixels[..., j] + 0.05).mean() for i, j in ((0, 2), (2, 0)))
    assert orange > 0.3 and blue > 0.3


def test_boundary_of_a_table(capsys, tmp_path):
    """Names with mathematics in them, three classes, features of different size; one that is constant."""
    image = pytest.importorskip("matplotlib.image")
    rows = np.random.default_rng(0).normal(size=(90, 2)) * [1, 1000]
    for constant in (False, True):
        path = tmp_path / "t.csv"
        lines = [f"{a},{5 if constant else b},c${i % 3}" for i, (a, b) in enumerate(rows)]
        path.write_text("\n".join(["x$_1,a very long name of a column,class", *lines]))
        code, out, _ = run(capsys, "train", path, "--label", "class", *SMALL, "--plots", tmp_path)
        assert code == 0 and "boundary.png" in out
        assert image.imread(tmp_path / "boundary.png").std() > 0.1


def test_plots_without_matplotlib(capsys, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.delitem(sys.modules, "matplotlib.figure", raising=False)
    refused(capsys, "train", "--plots", tmp_path, words=["matplotlib", "pip install matplotlib"])


def test_output_paths_are_checked_first(capsys, tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    (tmp_path / "d.safetensors").mkdir()
    refused(capsys, "train", "--save", tmp_path / "m.npz", words=[".safetensors"])
    refused(capsys, "train", "--save", tmp_path / "none" / "m.safetensors", words=["none does not exist"])
    refused(capsys, "train", "--save", tmp_path / "d.safetensors", words=["directory"])
    refused(capsys, "train", "--save", file / "m.safetensors", words=["not a folder"])
    pytest.importorskip("matplotlib")
    refused(capsys, "train", "--plots", file, words=["not a folder"])
    refused(capsys, "train", "--plots", tmp_path / "none" / "plots", words=["none does not exist"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d.safetensors", "file"]


@pytest.mark.skipif(sys.platform != "linux", reason="/proc")
def test_folder_that_is_not_writable(capsys):
    refused(capsys, "train", "--save", "/proc/m.safetensors", words=["not writable"])


def test_report_comes_even_when_saving_fails(capsys, tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(nn, "save", full)
    code, out, err = run(capsys, "train", *SMALL, "--save", tmp_path / "m.safetensors")
    assert code == 1
    assert "test accuracy" in out
    assert "No space left on device" in err


# Bad input


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("--layers", ["", "0", "12,", "a", "-3", "65537", "1.5"]),
        ("--epochs", ["0", "-1", "1.5", "x"]),
        ("--batch-size", ["1", "0", "x"]),
        ("--learning-rate", ["0", "-1", "nan", "inf", "x"]),
        ("--momentum", ["1", "-0.1", "nan"]),
        ("--weight-decay", ["-1", "nan", "inf"]),
        ("--dropout", ["1", "-0.1", "nan", "x"]),
        ("--label-smoothing", ["1", "-0.1"]),
        ("--seed", ["-1", "4294967296", "x"]),
        ("--points", ["9", "10000001", "1e3"]),
        ("--noise", ["-1", "nan", "inf", "x"]),
        ("--threads", ["0", "1025", "x"]),
    ],
)
def test_bad_options(capsys, option, values):
    for value in values:
        refused(capsys, "train", f"{option}={value}", words=[option, repr(value)])


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["nonsense"], ["nonsense"]),
        (["train", "--nonsense"], ["--nonsense"]),
        (["train", "--epoch", "3"], ["--epoch"]),
        (["train", "--epochs"], ["--epochs"]),
        (["train", "digits", "more"], ["more"]),
        (["train", "nonsense"], ["DATA must be 'digits'", ".csv"]),
        (["train", "table.xls"], ["not 'table.xls'"]),
        (["train", "--label", "y"], ["--label"]),
        (["train", "spirals", "--label", "y"], ["--label", "spirals"]),
        (["train", "mnist", "--data", ".", "--header"], ["--header", "mnist"]),
        (["train", "--data", "folder"], ["--data is for mnist", "digits"]),
        (["train", "t.csv", "--noise", "1"], ["--noise is for spirals", "t.csv"]),
        (["train", "mnist", "--data", ".", "--points", "50"], ["--points is for spirals"]),
        (["train", "--no-header"], ["--header"]),
        (["train", "none.csv", "--label", "y"], ["none.csv: no such file"]),
        (["train", "a\nb.csv", "--label", "y"], ["a\\nb.csv: no such file"]),
        (["train", "none.npz", "--header"], [".csv"]),
    ],
)
def test_bad_arguments(capsys, argv, words):
    refused(capsys, *argv, words=words)


def test_not_enough_memory(capsys, monkeypatch):
    def huge(*args):
        raise MemoryError

    monkeypatch.setattr(data, "load_digits", huge)
    refused(capsys, "train", words=["memory"], code=1)


# Text


def test_help(capsys):
    code, out, err = run(capsys, "--help")
    assert (code, err) == (0, "")
    for word in ("train", "bench", "info"):
        assert word in out
    code, out, err = run(capsys, "train", "--help")
    assert (code, err) == (0, "")
    for word in ("--label", "default: 128,64", "spirals: 64,64", "--points", "examples:", "exit codes"):
        assert word in out
    code, out, err = run(capsys)
    assert (code, out) == (2, "")
    assert "usage: fastml" in err


def test_version_and_info(capsys):
    import fastml

    code, out, _ = run(capsys, "--version")
    assert (code, out) == (0, f"fastml {fastml.__version__}\n")
    code, out, _ = run(capsys, "info")
    assert code == 0
    assert fastml.__version__ in out


def test_confusion_of_many_classes():
    matrix = np.diag([3] * 30)
    names = [f"name {i}" for i in range(30)]
    assert "no confusions" in report.confusion_text(matrix, names)
    matrix[4, 7] = 2
    assert "name 4 taken for name 7: 2 of 5" in report.confusion_text(matrix, names)


def test_confusion_of_long_names():
    names = [f"a rather long name {i}" for i in range(12)]
    lines = report.confusion_text(np.diag(range(12)), names).splitlines()
    assert lines[1].split() == [*map(str, range(1, 13)), "recall"]
    assert lines[13].split()[:6] == ["a", "rather", "long", "name", "11", "12"]
    assert max(map(len, lines)) < 100


def test_confusion_names():
    text = report.confusion_text([[1, 0], [0, 12345]], ["a\tname\x1b that is long", "\u6f22\u5b57"])
    lines = text.splitlines()
    assert "\x1b" not in text and "\t" not in text
    assert "12345" in lines[3]
    assert len({report._width(line) for line in lines[1:]}) == 1


def test_quiet_says_nothing_on_stderr(capsys):
    assert run(capsys, "train", *SMALL)[2] == ""
