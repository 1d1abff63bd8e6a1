"""ConfusionMatrixDisplay: what is written where, scikit-learn's pixels, and that nothing is imported early."""

import io

import numpy as np
import pytest

from fastml import metrics

from .common import run_script

TRUE = np.array([0, 0, 0, 1, 1, 2] * 30)
PRED = np.array([0, 0, 1, 1, 1, 0] * 30)


@pytest.fixture
def plt(monkeypatch):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")


def pixels(figure):
    file = io.BytesIO()
    figure.savefig(file, format="rgba")
    return file.getvalue()


def test_entries_and_names(plt):
    display = metrics.ConfusionMatrixDisplay.from_predictions(
        np.array(["x", "y", "z"])[TRUE], np.array(list("xyz"))[PRED]
    )
    assert [[t.get_text() for t in row] for row in display.text_] == [
        ["60", "30", "0"],
        ["0", "60", "0"],
        ["30", "0", "0"],
    ]
    assert display.text_[2, 0].get_position() == (0, 2)
    axes = display.ax_
    assert (
        [t.get_text() for t in axes.get_yticklabels()]
        == [t.get_text() for t in axes.get_xticklabels()]
        == ["x", "y", "z"]
    )
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Predicted label", "True label")
    assert display.im_.get_array().tolist() == display.confusion_matrix.tolist()
    # Text stands out from its field.
    assert display.text_[0, 0].get_color() == display.im_.cmap(0)
    assert display.text_[0, 2].get_color() == display.im_.cmap(1.0)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"normalize": "true", "cmap": "Blues"},
        {"labels": [2, 0], "xticks_rotation": "vertical", "colorbar": False},
        {"display_labels": ["a", "b", "c"], "values_format": ".1f", "im_kw": {"vmin": 0}, "text_kw": {"color": "r"}},
        {"include_values": False, "sample_weight": np.arange(180) * 1234567},
        {"sample_weight": np.arange(180) * 1234567},
    ],
)
def test_scikit_learn_draws_the_same_picture(plt, options):
    theirs = pytest.importorskip("sklearn.metrics").ConfusionMatrixDisplay
    figures = []
    for cls in (metrics.ConfusionMatrixDisplay, theirs):
        figure, ax = plt.subplots()
        assert cls.from_predictions(TRUE, PRED, ax=ax, **options).figure_ is figure
        figures.append(pixels(figure))
    assert figures[0] == figures[1]


def test_from_estimator(plt):
    class Constant:
        classes_ = np.array([0, 1, 2, 3])

        def predict(self, X):
            return PRED

    display = metrics.ConfusionMatrixDisplay.from_estimator(Constant(), None, TRUE, colorbar=False)
    assert display.confusion_matrix.shape == (4, 4)
    assert display.display_labels.tolist() == [0, 1, 2, 3]


def test_errors():
    with pytest.raises(ValueError, match=r"square, not the shape \(2, 3\)"):
        metrics.ConfusionMatrixDisplay(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="must name 2 classes, not 3"):
        metrics.ConfusionMatrixDisplay(np.zeros((2, 2)), display_labels="abc")


def test_numpy_is_all_that_metrics_need():
    """Neither scikit-learn nor matplotlib is imported; without matplotlib the error says what to install."""
    code = """
    import sys
    for name in ("sklearn", "scipy", "matplotlib"):
        sys.modules[name] = None
    from fastml import metrics
    print(metrics.confusion_matrix([0, 1], [1, 1]).tolist(), metrics.log_loss([0, 1], [0.5, 0.5]))
    try:
        metrics.ConfusionMatrixDisplay([[1]]).plot()
    except ImportError as error:
        print(error)
    """
    out, _ = run_script(code)
    assert out.startswith("[[0, 1], [0, 1]] 0.69") and "pip install matplotlib" in out


def test_names_of_every_script(plt, recwarn):
    """What no font has is written as its number; nothing warns; a line may end within a name; mathematics is drawn."""
    display = metrics.ConfusionMatrixDisplay(np.eye(3, dtype=int), display_labels=["a\u732b", "b\nc", "$x_1$"]).plot()
    pixels(display.figure_)
    cat, *others = [t.get_text() for t in display.ax_.get_xticklabels()]
    assert cat in ("a\u732b", "aU+732B") and others == ["b\nc", "$x_1$"]
    assert display.display_labels == ["a\u732b", "b\nc", "$x_1$"]
    assert [str(w.message) for w in recwarn if "missing from font" in str(w.message)] == []
