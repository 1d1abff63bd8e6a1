"""The examples, run as a reader runs them: each prints what it promises."""

import functools
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from .common import ROOT

EXAMPLES = ROOT / "examples"
CLASSIFIER = "from fastml import MLPClassifier"


@functools.cache
def run(name, *arguments):
    """Run an example in a new interpreter and return what it printed."""
    return run_file(EXAMPLES / f"{name}.py", *arguments)


def run_file(path, *arguments):
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(path), *arguments]
    done = subprocess.run(command, check=False, env=env, timeout=120, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def numbers(pattern, text):
    """The numbers that the pattern's group finds, in order."""
    return [float(found) for found in re.findall(pattern, text)]


def accuracy(text):
    (found,) = numbers(r"accuracy on \d+ \D*: (\d\.\d+)", text)
    return found


def test_every_example_has_a_test():
    names = {path.stem for path in EXAMPLES.glob("*.py")}
    assert names == {test.removeprefix("test_") for test in globals() if test.removeprefix("test_") in names}


def test_explicit_loop():
    printed = run("explicit_loop")
    losses = numbers(r"epoch +\d+: loss (\S+)", printed)
    assert len(losses) == 10 and losses[-1] < 0.15 * losses[0]
    assert accuracy(printed) > 0.95


def test_compiled_step():
    """The losses and the accuracy of the explicit loop, and the program in words."""
    printed, explicit = run("compiled_step"), run("explicit_loop")
    assert set(explicit.splitlines()) <= set(printed.splitlines())
    assert "phase 1" in printed and "MFLOP" in printed


def test_grid_search():
    pytest.importorskip("sklearn")
    printed = run("grid_search")
    scores = numbers(r"(0\.\d+)  {'mlp__", printed)
    assert len(scores) == 4 and max(scores) > 0.95
    assert accuracy(printed) > 0.95


def test_grid_search_with_the_other_import(tmp_path):
    """The very same program runs with scikit-learn's own class, and finds as good a network."""
    pytest.importorskip("sklearn")
    source = (EXAMPLES / "grid_search.py").read_text()
    path = tmp_path / "grid_search.py"
    path.write_text(source.replace(CLASSIFIER, "from sklearn.neural_network import MLPClassifier"))
    assert path.read_text() != source
    assert abs(accuracy(run_file(path)) - accuracy(run("grid_search"))) < 0.02


def test_from_pytorch():
    pytest.importorskip("torch")
    printed = run("from_pytorch")
    (difference,) = numbers(r"outputs: (\S+)", printed)
    before, after, back = numbers(r"accuracy \D*: (\d\.\d+)", printed)
    assert difference < 1e-4
    assert before < 0.9
    assert after > 0.95
    assert back == after


def test_course_data():
    """In as many passes, stochastic and mini-batch descent learn what one step a pass cannot."""
    printed = run("course_data")
    assert "the same when read: True" in printed and "[[1.0, 0.0], " in printed
    assert numbers(r"passes of (\d+) steps", printed) == [1, 800, 25]
    whole, single, mini = numbers(r"held-out points: (\d\.\d+)", printed)
    assert 0.5 < whole < 0.95 and single > 0.97 and mini > 0.97


def test_dropout():
    """The thinned network fits the training images worse, and the held-out ones no worse."""
    printed = run("dropout")
    plain, thinned = numbers(r"last pass (\S+),", printed)
    before, after = numbers(r"held-out images: (\d\.\d+)", printed)
    assert plain < thinned < 0.5
    assert after > 0.96 and after >= before


def test_spirals(tmp_path):
    image = pytest.importorskip("matplotlib.image")
    path = tmp_path / "boundary.png"
    printed = run("spirals", str(path))
    assert accuracy(printed) > 0.99
    pixels = image.imread(path)[..., :3]
    assert pixels.shape == (900, 900, 3)
    # A fifth of the picture at least for each class, by the colour that prevails.
    plane = pixels[100:800, 100:800].reshape(-1, 3)
    assert (np.bincount(plane.argmax(axis=1), minlength=3) > 0.2 * len(plane)).all()
