"""What `fastml train` learns and reports, from each source of data."""

import json
import re

import numpy as np
import pytest

from fastml import data, metrics, nn
from fastml.cli import fit

from .test_cli import SMALL, refused, run


@pytest.fixture
def table(tmp_path):
    """A CSV file of 60 rows with two classes that a column tells apart."""
    path = tmp_path / "t.csv"
    rows = np.random.default_rng(0).normal(size=(60, 3))
    lines = [f"{a},{b},{c},{'yes' if a > 0 else 'no'}" for a, b, c in rows]
    path.write_text("\n".join(["a,b,c,answer", *lines]))
    return path


def accuracy_in(out):
    return float(re.search(r"test accuracy +([\d.]+) %", out)[1])


@pytest.mark.parametrize("seed", range(5))
def test_spirals_reach_97_percent(capsys, seed):
    code, out, err = run(capsys, "train", "spirals", "--seed", seed)
    assert code == 0
    assert accuracy_in(out) >= 97.0
    assert "spirals: 1000 rows, 2 features, 2 classes; 720 training, 80 validation, 200 test" in out
    assert "2-64-64-2" in out and "dropout 0," in out and "epoch 300/300" in err


def test_options_of_spirals(capsys):
    def result(*options):
        code, out, _ = run(capsys, "train", "spirals", "--epochs", 5, "--quiet", *options)
        assert code == 0
        return re.sub(r"speed.*", "", out)

    usual = result()
    assert usual == result("--points", 1000, "--noise", 0.1)
    assert "300 rows" in result("--points", 300)
    assert result("--noise", 0.9) != usual != result("--seed", 1)
    assert accuracy_in(result("--noise", 9, "--epochs", 60)) < 80


@pytest.fixture
def mnist(tmp_path):
    """The four files, in each of the ways they may be named, with digits drawn large: 400 and 100 of them."""
    X, y = data.load_digits()
    images = np.kron(X.reshape(-1, 8, 8) * 15, np.ones((3, 3)))
    images = np.pad(images, ((0, 0), (2, 2), (2, 2))).astype(np.uint8)
    for name, rows in (("train", slice(0, 400)), ("t10k", slice(400, 500))):
        data.write_idx(tmp_path / f"{name}-images-idx3-ubyte.gz", images[rows])
        data.write_idx(tmp_path / f"{name}-labels.idx1-ubyte", y[rows].astype(np.uint8))
    return tmp_path


def test_mnist(capsys, mnist):
    path = mnist / "m.safetensors"
    code, out, err = run(capsys, "train", "mnist", "--data", mnist, "--batch-size", 20, "--save", path)
    assert code == 0
    assert "mnist: 500 rows, 784 features, 10 classes; 360 training, 40 validation, 100 test" in out
    assert "784-256-128-10" in out and "epoch 10/10" in err
    assert accuracy_in(out) > 85
    about = {key: json.loads(text) for key, text in nn.load_metadata(path).items()}
    assert (about["columns"][29], about["layers"]) == ("pixel 1,1", [784, 256, 128, 10])
    _, _, x_test, y_test = data.load_mnist(mnist)
    model = fit.build_model(about["layers"], about["dropout"], seed=9)
    model.load_state_dict(nn.load(path))
    model.eval()
    X = ((x_test.reshape(-1, 784) - np.array(about["mean"])) / about["scale"]).astype(np.float32)
    assert metrics.accuracy_score(y_test, model(X).argmax(axis=1)) == about["test_accuracy"]


def test_mnist_that_cannot_be_used(capsys, mnist):
    def train(folder, *words):
        refused(capsys, "train", "mnist", "--data", folder, words=["--data", *words])

    refused(capsys, "train", "mnist", words=["--data FOLDER"])
    train(mnist / "none", "none: no such folder")
    labels = mnist / "t10k-labels.idx1-ubyte"
    train(labels, "not a folder")
    whole = labels.read_bytes()
    labels.write_bytes(whole[:-3])
    train(mnist, "t10k-labels", "cut short")
    data.write_idx(labels, np.zeros(99, np.uint8))
    train(mnist, "100 images", "99 labels")
    data.write_idx(labels, np.full(100, 11, np.uint8))
    train(mnist, "11 at index 0")
    labels.unlink()
    train(mnist, "t10k-labels-idx1-ubyte is missing")
    data.write_idx(labels, np.zeros(0, np.uint8))
    data.write_idx(mnist / "t10k-images-idx3-ubyte.gz", np.zeros((0, 28, 28), np.uint8))
    train(mnist, "0 test images")


def test_scaling_in_chunks(monkeypatch):
    X = np.random.default_rng(0).integers(0, 256, (1000, 7)).astype(np.uint8)
    whole = fit.scaler_of(X)
    monkeypatch.setattr(fit, "CHUNK", 64)
    parts = fit.scaler_of(X)
    np.testing.assert_allclose((parts.mean_, parts.scale_), (whole.mean_, whole.scale_), rtol=1e-13)
    np.testing.assert_allclose((whole.mean_, whole.scale_), (X.mean(axis=0), X.std(axis=0)), rtol=1e-13)


@pytest.mark.parametrize("seed", range(5))
def test_digits_reach_97_percent(capsys, seed):
    code, out, err = run(capsys, "train", "--seed", seed)
    assert code == 0
    assert float(re.search(r"test accuracy +([\d.]+) %", out)[1]) >= 97.0
    assert "1293 training, 144 validation, 360 test" in out
    assert re.search(r"[\d.]+ s per epoch, [\d,]+ samples per second", out)
    lines = out[out.index("confusion matrix") :].splitlines()
    assert lines[1].split() == [*"0123456789", "recall"]
    counts = [[0 if cell == "." else int(cell) for cell in line.split()[1:11]] for line in lines[2:12]]
    assert np.sum(counts) == 360
    correct = int(re.search(r"\((\d+) of 360\)", out)[1])
    assert np.trace(counts) == correct
    assert re.search(r"epoch 30/30  loss [\d.]+  validation accuracy [\d.]+ %", err)


def test_saved_file_has_everything(capsys, tmp_path):
    path = tmp_path / "m.safetensors"
    code, out, _ = run(capsys, "train", *SMALL, "--seed", 3, "--save", path)
    assert code == 0
    assert f"wrote {path}" in out
    about = {key: json.loads(text) for key, text in nn.load_metadata(path).items()}
    assert about["classes"] == list(range(10))
    assert about["layers"] == [64, 16, 10]
    assert about["columns"][9] == "pixel 1,1"
    assert (about["data"], about["seed"], about["dropout"]) == ("digits", 3, 0.2)

    model = fit.build_model(about["layers"], about["dropout"], seed=99)
    model.load_state_dict(nn.load(path))
    model.eval()
    X, y = data.load_digits()
    _, X_test, _, y_test = data.split(X, y, test_size=0.2, seed=3)
    logits = model(((X_test - np.array(about["mean"])) / about["scale"]).astype(np.float32))
    assert metrics.accuracy_score(y_test, logits.argmax(axis=1)) == about["test_accuracy"]
    assert f"test accuracy  {100 * about['test_accuracy']:.2f} %" in out


def test_parts_are_disjoint_and_scaled_by_the_training_part():
    from fastml.cli.table import Table

    rows = np.arange(100.0)
    table = Table("t", rows[:, None], rows.astype(int) % 2, [0, 1], ["a"])
    parts, scaler = fit.prepare(table, 0, 0.2, 0.1)
    mean, scale = scaler.mean_, scaler.scale_
    back = {name: np.round(X[:, 0] * scale + mean).astype(int).tolist() for name, (X, _) in parts.items()}
    assert {name: len(part) for name, part in back.items()} == {"training": 72, "validation": 8, "test": 20}
    assert sorted(row for part in back.values() for row in part) == list(range(100))
    assert mean[0] == np.mean(back["training"])
    np.testing.assert_array_max_ulp(scale[0], np.std(back["training"]))  # which itself is an ulp off
    for name, (_, y) in parts.items():
        assert y.tolist() == [row % 2 for row in back[name]]


@pytest.mark.parametrize("one_unit", [False, True])
def test_scale_of_constant_columns(one_unit):
    X = np.array([[0.1, 1.0, 5e-324], [0.1, 3.0, 0], [0.1, 1.0, 0]])
    scaler = fit.scaler_of(X, one_unit)
    mean, scale = scaler.mean_, scaler.scale_
    np.testing.assert_allclose(mean, [0.1, 5 / 3, 0], atol=1e-300)
    own = np.std([1.0, 3, 1])
    np.testing.assert_allclose(scale, [own / np.sqrt(3)] * 3 if one_unit else [1, own, 1])


@pytest.mark.parametrize("threads", [2, 3])
def test_same_bits_for_any_number_of_threads(capsys, tmp_path, threads):
    import fastml

    before = fastml.get_num_threads()
    states = []
    for n in (1, threads):
        path = tmp_path / f"{n}.safetensors"
        arguments = ["--epochs", 2, "--batch-size", 500, "--layers", "300,200"]
        assert run(capsys, "train", *arguments, "--threads", n, "--save", path, "--quiet")[0] == 0
        states.append((nn.load(path), nn.load_metadata(path)))
    assert fastml.get_num_threads() == before
    (one, about_one), (other, about_other) = states
    assert about_one == about_other
    assert list(one) == list(other)
    for name in one:
        assert one[name].tobytes() == other[name].tobytes(), name


def test_own_table(capsys, table):
    code, out, err = run(capsys, "train", table, "--label", "answer", "--quiet", "--seed", 1)
    assert (code, err) == (0, "")
    assert "t.csv: 60 rows, 3 features, 2 classes" in out
    assert "yes" in out[out.index("confusion") :]
    assert float(re.search(r"test accuracy +([\d.]+) %", out)[1]) > 80


def test_own_arrays(capsys, tmp_path):
    X, y = data.load_digits()
    path = tmp_path / "d.npz"
    np.savez(path, X=X.reshape(-1, 8, 8)[:300].astype(np.uint8), digit=y[:300])
    code, out, _ = run(capsys, "train", path, "--label", "digit", *SMALL)
    assert code == 0
    assert "300 rows, 64 features, 10 classes" in out


@pytest.mark.parametrize("batch_size", [2, 5, 42, 43, 1000])
def test_batch_sizes(capsys, table, batch_size):
    """Of 43 training rows a batch of one may be left over: it is put off, not an error."""
    code, out, _ = run(capsys, "train", table, "--label", "answer", *SMALL, "--batch-size", batch_size)
    assert code == 0
    assert "43 training" in out


def test_options_reach_training(capsys, table):
    def result(*options):
        _, out, _ = run(capsys, "train", table, "--label", "answer", "--epochs", 3, "--seed", 1, *options)
        return re.sub(r"speed.*", "", out)

    usual = result()
    assert usual == result()
    for option in ("epochs=2", "layers=7", "dropout=0.5", "learning-rate=0.2", "momentum=0.1", "seed=2"):
        assert result(f"--{option}") != usual, option


def test_smoothing_and_decay_reach_training(capsys, table, tmp_path):
    states = []
    for option in ("--label-smoothing=0.1", "--label-smoothing=0", "--weight-decay=0.5", "--dropout=0"):
        path = tmp_path / "m.safetensors"
        assert run(capsys, "train", table, "--label", "answer", *SMALL, option, "--save", path)[0] == 0
        states.append(nn.load(path)["0.weight"])
    assert all((states[0] != state).any() for state in states[1:])


def test_class_without_training_rows(capsys, tmp_path):
    path = tmp_path / "t.csv"
    labels = ["x"] * 11 + ["rare"] + ["y"] * 28
    path.write_text("a,y\n" + "".join(f"{i},{label}\n" for i, label in enumerate(labels)))
    errors = [run(capsys, "train", path, "--label", "y", *SMALL, "--seed", seed)[2] for seed in range(9)]
    assert any("warning: class 'rare' has no row in the training part" in err for err in errors)


def test_diverging_loss_stops(capsys, tmp_path):
    path = tmp_path / "m.safetensors"
    with np.errstate(all="ignore"):
        code, out, err = run(capsys, "train", *SMALL, "--learning-rate", 1e30, "--save", path)
    assert code == 1
    assert "accuracy" not in out
    assert re.fullmatch(r"fastml: error: training diverged: [^\n]*--learning-rate\n", err)
    assert not path.exists()


@pytest.mark.parametrize("value", ["1e308", "1e200", "1e-300"])
def test_values_of_any_size_are_scaled(capsys, tmp_path, value):
    path = tmp_path / "t.csv"
    path.write_text("a,y\n" + "".join(f"{(-1) ** i * float(value)},{i % 2}\n" for i in range(30)))
    code, out, err = run(capsys, "train", path, "--label", "y")
    assert code == 0 and "test accuracy  100.00 %" in out, err


def test_value_too_large_beside_the_training_part(capsys, tmp_path):
    path = tmp_path / "t.csv"
    for large in range(30):  # some row is in the test part
        path.write_text("a,y\n" + "".join(f"{'1e100' if i == large else i},{i % 2}\n" for i in range(30)))
        code, _, err = run(capsys, "train", path, "--label", "y", *SMALL)
        if code == 2:
            assert "'a'" in err and "too large" in err
            return
    pytest.fail("no row was refused")


def test_bad_cell(capsys, table):
    table.write_text(table.read_text() + "\n1,2,three,no")
    refused(capsys, "train", table, "--label", "answer", words=["t.csv: row 62, column 'c': 'three'"])
